// What perplexity and compare share: the text that models read, and how far they are.
#pragma once

#include <chrono>
#include <string>

#include "cli/console.h"
#include "cli/progress_bar.h"
#include "eval/perplexity.h"

namespace medlar::cli {

// A newline that ends the file is no part of the text, as llama.cpp's programs have it. Throws as
// read_input().
std::string read_text(const std::string& file);

// How far a model has read, and its perplexity so far.
class ScoreBar {
 public:
  // `name` goes in front; may be empty.
  ScoreBar(const Console& console, const std::string& name);

  void show(const eval::ScoreProgress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  ProgressBar bar_;
  std::string name_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace medlar::cli
