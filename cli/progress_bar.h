// A progress bar on one line of a terminal of any width; nothing where the output is no terminal.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "cli/terminal.h"

namespace medlar::cli {

struct Progress {
  std::string what;          // "downloading"
  std::uint64_t done = 0;    // bytes, or anything else that is counted
  std::uint64_t total = 0;   // 0: unknown
  double per_second = 0;     // bytes; 0: unknown
  double seconds_left = -1;  // < 0: unknown
  bool bytes = true;         // else only the share is shown
};

// The line, at most `columns` wide. What does not fit is left out: first the bar, then the size, then the
// rate.
std::string render_progress(const Progress& progress, int columns);

// Draws over its own line; the destructor clears it.
class ProgressBar {
 public:
  // `file` must be the file that `terminal` describes.
  ProgressBar(const Terminal& terminal, std::FILE* file) : terminal_(terminal), file_(file) {}
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(const Progress& progress);
  void clear();

 private:
  Terminal terminal_;
  std::FILE* file_;
  bool drawn_ = false;
};

}  // namespace medlar::cli
