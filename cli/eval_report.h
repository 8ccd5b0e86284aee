// What medlar eval prints: accuracy of each task, as a table for people and as JSON for programs.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "eval/statistics.h"

namespace medlar::cli {

// One answered item.
struct EvalAnswer {
  std::string id, task;
  bool choice = false;       // else written
  bool correct = false;      // of choices: the highest ln p a byte
  bool correct_sum = false;  // of choices: the highest ln p
};

// Of one task, or of all.
struct EvalScore {
  std::string task;
  std::int64_t answered = 0, choices = 0, correct = 0, correct_sum = 0;

  void count(const EvalAnswer& answer);
};

struct EvalReport {
  std::string model, file, results;   // results: empty where none are kept
  std::int64_t items = 0, found = 0;  // found: answers that were there already
  std::uint64_t seed = 0;
  double seconds = 0;
  EvalScore all;
  std::vector<EvalScore> tasks;  // in the order in which they come

  void count(const EvalAnswer& answer);
  bool complete() const { return all.answered == items; }
};

std::string to_text(const EvalReport& report);
boost::json::object to_json(const EvalReport& report);

}  // namespace medlar::cli
