// What medlar perplexity prints: a table for people, JSON for programs.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/quality.h"

namespace medlar::cli {

struct PerplexityReport {
  std::string model, base, file, saved;  // base, file, saved: empty where there is none
  std::int64_t context = 0, stride = 0;  // as asked for
  std::int64_t windows = 0, whole = 0;   // whole: windows there are
  std::vector<double> running;           // perplexity after each window
  double seconds = 0, tokens_per_second = 0;
  eval::Quality quality;

  bool complete() const { return windows == whole; }
};

// What a text says of a model: "tokens", "perplexity", "nll", and of a comparison its fields.
void add_quality(boost::json::object& object, const eval::Quality& quality);

std::string to_text(const PerplexityReport& report);
boost::json::object to_json(const PerplexityReport& report);

}  // namespace medlar::cli
