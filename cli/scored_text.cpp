#include "cli/scored_text.h"

#include <cstdint>
#include <cstdio>

#include <fmt/format.h>

namespace medlar::cli {

std::string read_text(const std::string& file) {
  std::string text = read_input(file);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

ScoreBar::ScoreBar(const Console& console, const std::string& name)
    : bar_(console.messages, stderr), name_(name.empty() ? "" : fmt::format("{}: ", name)) {}

void ScoreBar::show(const eval::ScoreProgress& p) {
  const double share = static_cast<double>(p.read) / static_cast<double>(p.total);
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  bar_.show({.what = name_ + (p.perplexity > 0 ? fmt::format("perplexity {:.4f}", p.perplexity) : "reading"),
             .done = static_cast<std::uint64_t>(p.read),
             .total = static_cast<std::uint64_t>(p.total),
             .seconds_left = p.read > 0 ? seconds * (1 / share - 1) : -1,
             .bytes = false});
}

}  // namespace medlar::cli
