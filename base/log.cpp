// Logging through spdlog, and the escaping that makes any text safe to print.
#include "base/log.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace medlar {
namespace {

constexpr std::size_t kMaxLine = 4096;  // bytes of one log line

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: not UTF-8 here
};

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The character that `text` (not empty) starts with: shortest form only, no surrogates, at most U+10FFFF.
CodePoint first_code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  char32_t value = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(text[i])) return {};
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3F);
  }
  const char32_t smallest = bytes == 4 ? 0x10000 : bytes == 3 ? 0x800 : 0x80;
  if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, bytes};
}

bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) ||          // C0, DEL and C1 controls
         (c >= 0x200E && c <= 0x200F) || c == 0x061C ||  // direction marks
         (c >= 0x2028 && c <= 0x202E) ||                 // separators, direction embedding and override
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;    // direction isolates, byte order mark
}

void append_escaped(std::string& out, char32_t c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  if (c < 0x100) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<std::uint32_t>(c));
  } else {
    fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", static_cast<std::uint32_t>(c));
  }
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::off:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

std::string printable(std::string_view text, std::size_t cap) {
  std::string out;
  out.reserve(std::min(text.size(), cap));
  std::size_t at = 0;
  while (at < text.size()) {
    const CodePoint c = first_code_point(text.substr(at));
    const std::size_t bytes = c.bytes == 0 ? 1 : c.bytes;
    if (at + bytes > cap) break;
    if (c.bytes == 0) {
      append_escaped(out, static_cast<unsigned char>(text[at]));
    } else if (is_unsafe(c.value)) {
      append_escaped(out, c.value);
    } else {
      out.append(text, at, bytes);
    }
    at += bytes;
  }
  if (at < text.size()) fmt::format_to(std::back_inserter(out), "... ({} more bytes)", text.size() - at);
  return out;
}

Logger::Logger(std::shared_ptr<spdlog::sinks::sink> sink, LogLevel level)
    : level_(level), logger_(std::make_shared<spdlog::logger>("medlar", std::move(sink))) {
  logger_->set_level(spdlog_level(level));
  logger_->set_pattern("%H:%M:%S.%e %l: %v");
}

Logger Logger::to_stderr(LogLevel level) {
  return Logger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), level);
}

void Logger::write(LogLevel level, std::string_view text) const {
  const std::string line = printable(text, kMaxLine);
  logger_->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace medlar
