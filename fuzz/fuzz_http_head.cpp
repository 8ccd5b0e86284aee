// Heads of HTTP requests: what is a head does not depend on how it arrives, a refusal is one of five, and
// what is let through is read by the HTTP library to the same target, fields and framing, with nothing left
// to read in two ways.
#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/head_rules.h"

namespace medlar::fuzz {
namespace {

namespace http = boost::beast::http;
using server::Malformed;

constexpr std::size_t kFields = 12, kBytes = 8 << 10;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

struct Read {
  std::size_t length = 0;  // 0: more must come
  int refused = 0;         // a status
  bool operator==(const Read&) const = default;
};

// As a connection does it, `piece` bytes at a time.
Read read(std::string_view data, std::size_t piece) {
  std::size_t seen = 0;
  try {
    for (std::size_t end = std::min(piece, data.size());; end = std::min(end + piece, data.size())) {
      if (const std::size_t length = server::head_length(data.substr(0, end), seen)) {
        require(length <= end && data.substr(0, length).ends_with("\r\n\r\n"));
        server::check_head(data.substr(0, length), kFields);
        return {.length = length};
      }
      if (end == data.size()) return {};
      seen = end;
    }
  } catch (const Malformed& e) {
    return {.refused = e.status()};
  }
}

void require_unambiguous(std::string_view head) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(kBytes);
  parser.body_limit(boost::none);
  boost::system::error_code error;
  const std::size_t used = parser.put(boost::asio::buffer(head), error);
  if (error == http::error::need_more) error = {};
  // The library refuses some heads more than we do (an odd Connection field); it never reads past this one.
  if (error) return;
  require(used == head.size() && parser.is_header_done());
  const auto& message = parser.get();
  const std::string_view target(message.target().data(), message.target().size());
  require(target == head.substr(head.find(' ') + 1, target.size()) && target.starts_with('/'));
  const auto lines = std::count(head.begin(), head.end(), '\n');
  require(std::distance(message.begin(), message.end()) == lines - 2 && lines - 2 <= std::ptrdiff_t(kFields));
  const auto lengths = message.count(http::field::content_length),
             codings = message.count(http::field::transfer_encoding);
  require(lengths + codings <= 1);
  require(parser.chunked() == (codings == 1));
  if (lengths == 1) {
    const auto text = message[http::field::content_length];
    require(!text.empty() &&
            std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }));
    require(parser.content_length().value_or(0) == std::stoull(std::string(text)));
  }
}

void check(std::string_view data) {
  const Read whole = read(data, data.size() + 1);
  for (const std::size_t piece : {1, 2, 7}) require(read(data, piece) == whole);
  constexpr int kStatuses[] = {0, 400, 431, 501, 505};
  require(std::ranges::find(kStatuses, whole.refused) != std::end(kStatuses));
  if (whole.length == 0) return;
  const std::string_view head = data.substr(0, whole.length);
  for (std::size_t i = 0; i < head.size(); ++i) {
    require(head[i] != '\0' && (head[i] != '\n' || head[i - 1] == '\r'));
    if (i >= 2 && head[i - 1] == '\n') require(head[i] != ' ' && head[i] != '\t');
  }
  require_unambiguous(head);
}

}  // namespace
}  // namespace medlar::fuzz

// Half of the inputs are lines that a fuzzer would hardly find by itself: each byte is a piece of a head.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0 || size > medlar::fuzz::kBytes) return 0;
  constexpr std::string_view kPieces[] = {"GET / HTTP/1.1",
                                          "POST /v1/x?y=z HTTP/1.1",
                                          "\r\n",
                                          "\r\n\r\n",
                                          "Content-Length",
                                          "Transfer-Encoding",
                                          ": ",
                                          ":",
                                          "chunked",
                                          "gzip",
                                          ", ",
                                          "5",
                                          "0",
                                          "18446744073709551616",
                                          "+5",
                                          " ",
                                          "\t",
                                          "\n",
                                          "\r",
                                          "Host: x",
                                          "Connection: close",
                                          "Upgrade: h2c",
                                          "Expect: 100-continue",
                                          "HTTP/1.0",
                                          "HTTP/2.0",
                                          "content-length: 7\r\n"};
  if (bytes[0] % 2 == 0) {
    medlar::fuzz::check({reinterpret_cast<const char*>(bytes) + 1, size - 1});
    return 0;
  }
  std::string head;
  for (std::size_t i = 1; i < size && head.size() < medlar::fuzz::kBytes; ++i) {
    if (bytes[i] < std::size(kPieces)) {
      head += kPieces[bytes[i]];
    } else {
      head += static_cast<char>(bytes[i]);
    }
  }
  medlar::fuzz::check(head);
  return 0;
}
