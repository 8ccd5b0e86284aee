// What medlar compare prints: a table for people, JSON for programs, a picture of the size-quality frontier.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "eval/quality.h"
#include "tune/scatter.h"

namespace medlar::cli {

struct ComparedModel {
  std::string name;  // as the user wrote it
  std::filesystem::path path;
  ModelDescription description;
  double prompt_rate = 0, answer_rate = 0;            // tokens a second; 0: not measured
  std::uint64_t anonymous_bytes = 0, file_bytes = 0;  // resident while measuring speed
  std::optional<eval::Quality> quality;               // none without a text; the base's has no comparison
  bool base = false, frontier = false;

  // Of tensors.
  double bits_per_weight() const;
};

struct CompareReport {
  std::string file;                  // the text; empty: none
  std::int64_t context = 0;          // tokens of a window
  std::int64_t prompt = 0, gen = 0;  // tokens that speed is measured with
  std::vector<ComparedModel> models;
};

// Finds the frontier of size and divergence.
void mark_frontier(std::vector<ComparedModel>& models);

// A table in Markdown.
std::string to_text(const CompareReport& report);
boost::json::object to_json(const CompareReport& report);
tune::Scatter to_plot(const CompareReport& report);

}  // namespace medlar::cli
