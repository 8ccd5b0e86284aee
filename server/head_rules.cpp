#include "server/head_rules.h"

#include <algorithm>
#include <cctype>

namespace medlar::server {
namespace {

// RFC 9110, 5.6.2
bool is_token(std::string_view text) {
  static constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
    return letter || digit || kPunctuation.find(c) != std::string_view::npos;
  });
}

bool is_visible(char c) { return c > ' ' && c < 0x7f; }
bool is_value(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes one line off the front, without its CRLF.
std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find("\r\n"));
  rest.remove_prefix(line.size() + 2);
  return line;
}

void check_request_line(std::string_view line) {
  const std::size_t first = line.find(' '), second = line.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos)
    throw Malformed(400, "the request line is not METHOD TARGET VERSION");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, second - first - 1),
                         version = line.substr(second + 1);
  if (!is_token(method)) throw Malformed(400, "the method is no token");
  if (!target.starts_with('/') || !std::ranges::all_of(target, is_visible))
    throw Malformed(400, "the target is no path");
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) || version[6] != '.' ||
      !digit(version[7]))
    throw Malformed(400, "the request line does not end in a version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") throw Malformed(505, "only HTTP/1.1 is spoken here");
}

struct Framing {
  int lengths = 0, codings = 0;
};

void check_field(std::string_view line, Framing& framing) {
  if (line.starts_with(' ') || line.starts_with('\t')) throw Malformed(400, "a header field is folded");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    throw Malformed(400, "a header field has no proper name");
  const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
  if (!std::ranges::all_of(value, is_value)) throw Malformed(400, "a header field holds control characters");
  if (equal_ignoring_case(name, "content-length")) {
    ++framing.lengths;
    const bool digits = std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (value.empty() || value.size() > 18 || !digits)
      throw Malformed(400, "content-length is no plain number");
  } else if (equal_ignoring_case(name, "transfer-encoding")) {
    ++framing.codings;
    if (!equal_ignoring_case(value, "chunked")) throw Malformed(501, "transfer-encoding is not \"chunked\"");
  }
}

}  // namespace

std::size_t head_length(std::string_view received, std::size_t seen) {
  for (std::size_t i = seen; i < received.size(); ++i) {
    if (received[i] == '\0') throw Malformed(400, "the head holds a NUL");
    if (received[i] != '\n') continue;
    if (i == 0 || received[i - 1] != '\r') throw Malformed(400, "a line ends in a bare LF");
    if (i < 2) throw Malformed(400, "the request line is empty");
    if (i >= 3 && received[i - 2] == '\n') return i + 1;
  }
  return 0;
}

void check_head(std::string_view head, std::size_t max_fields) {
  std::string_view rest = head.substr(0, head.size() - 2);
  const std::string_view request_line = take_line(rest);
  check_request_line(request_line);
  Framing framing;
  std::size_t fields = 0;
  while (!rest.empty()) {
    check_field(take_line(rest), framing);
    if (++fields > max_fields) throw Malformed(431, "there are too many header fields");
  }
  if (framing.lengths > 1) throw Malformed(400, "content-length is given twice");
  if (framing.codings > 1) throw Malformed(400, "transfer-encoding is given twice");
  if (framing.lengths > 0 && framing.codings > 0)
    throw Malformed(400, "both content-length and transfer-encoding are given");
  if (framing.codings > 0 && request_line.ends_with("HTTP/1.0"))
    throw Malformed(400, "HTTP/1.0 has no transfer-encoding");
}

}  // namespace medlar::server
