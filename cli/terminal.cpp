#include "cli/terminal.h"

#include <cstdint>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

namespace medlar::cli {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// One character at the start of `text`: its code point (negative: broken) and its length in bytes.
struct Character {
  std::int32_t code = -1;
  std::size_t bytes = 1;
};

Character first_character(std::string_view text) {
  utf8proc_int32_t code = -1;
  const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto bytes = utf8proc_iterate(data, static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (bytes <= 0) return {};
  return {code, static_cast<std::size_t>(bytes)};
}

void append_code_point(std::string& out, std::int32_t code) {
  std::uint8_t bytes[4];
  const auto count = utf8proc_encode_char(code, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(count));
}

bool overrides_direction(std::int32_t code) {
  return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

Terminal probe_terminal(int descriptor) {
  Terminal result;
  result.interactive = isatty(descriptor) == 1;
  const std::string_view kind = environment("TERM");
  result.colour = result.interactive && environment("NO_COLOR").empty() && !kind.empty() && kind != "dumb";
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) result.columns = size.ws_col;
  return result;
}

std::string styled(const Terminal& terminal, Style style, std::string_view text) {
  const auto wrap = [&](std::string_view start) { return std::string(start).append(text).append("\x1b[0m"); };
  if (!terminal.colour) return std::string(text);
  switch (style) {
    case Style::bold:
      return wrap("\x1b[1m");
    case Style::dim:
      return wrap("\x1b[2m");
    case Style::red:
      return wrap("\x1b[31m");
    case Style::plain:
      break;
  }
  return std::string(text);
}

std::string visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [code, bytes] = first_character(text);
    if (code == '\n' || code == '\t') {
      out += static_cast<char>(code);
    } else if (code >= 0 && code < 0x20) {
      append_code_point(out, 0x2400 + code);
    } else if (code == 0x7F) {
      append_code_point(out, 0x2421);
    } else if (code < 0 || (code >= 0x80 && code < 0xA0) || overrides_direction(code)) {
      out += kReplacement;
    } else {
      out += text.substr(0, bytes);
    }
    text.remove_prefix(bytes);
  }
  return out;
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const auto [code, bytes] = first_character(text);
    width += code < 0 ? 1 : utf8proc_charwidth(code);
    text.remove_prefix(bytes);
  }
  return width;
}

std::string fit(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::string out;
  int left = columns - 1;
  while (!text.empty()) {
    const auto [code, bytes] = first_character(text);
    left -= code < 0 ? 1 : utf8proc_charwidth(code);
    if (left < 0) break;
    out += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return columns > 0 ? out + "…" : "";
}

}  // namespace medlar::cli
