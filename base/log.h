// The log sink: silent unless a caller gives it somewhere to write, and safe to print whatever it is told.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace spdlog {
class logger;
namespace sinks {
class sink;
}
}  // namespace spdlog

namespace medlar {

enum class LogLevel { debug, info, warning, error, off };

// The text with nothing in it that a terminal or a log reader would act on: control characters, line and
// paragraph separators, bidirectional overrides and broken UTF-8 become \n, \t, \xNN or \u{NNNN}. Text beyond
// `cap` bytes is cut between characters and its length noted. The rest stays as it is.
std::string printable(std::string_view text, std::size_t cap = 256);

// Cheap to copy; copies share the sink. Safe to use from several threads. Every line is made printable.
class Logger {
 public:
  Logger() = default;  // writes nowhere
  Logger(std::shared_ptr<spdlog::sinks::sink> sink, LogLevel level);
  static Logger to_stderr(LogLevel level);

  bool enabled(LogLevel level) const { return level >= level_ && level_ != LogLevel::off; }

  template <class... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(LogLevel::debug)) write(LogLevel::debug, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(LogLevel::info)) write(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(LogLevel::warning))
      write(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) const {
    if (enabled(LogLevel::error)) write(LogLevel::error, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void write(LogLevel level, std::string_view text) const;

  LogLevel level_ = LogLevel::off;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace medlar
