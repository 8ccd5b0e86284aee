// Heads of requests that break HTTP's rules, and the ones that only look odd.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/head_rules.h"

namespace medlar::server {
namespace {

using namespace std::string_literals;

// The status a head is refused with; 0: it is fine.
int refusal(const std::string& head) {
  try {
    const std::size_t length = head_length(head, 0);
    EXPECT_EQ(length, head.size());
    check_head(std::string_view(head).substr(0, length), 100);
    return 0;
  } catch (const Malformed& e) {
    return e.status();
  }
}

std::string post(const std::string& fields) { return "POST /v1 HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"; }

TEST(HeadRules, AcceptsWhatClientsSend) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
  EXPECT_EQ(refusal("GET /a?b=c%20d HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(refusal(post("Content-Length: 12\r\n")), 0);
  EXPECT_EQ(refusal(post("transfer-encoding:CHUNKED\r\nX-Empty:\r\n")), 0);
  EXPECT_EQ(refusal(post("X-Latin: caf\xe9\r\nX-Tab: a\tb\r\n")), 0);
}

TEST(HeadRules, RefusesWhatFramesABodyInTwoWays) {
  EXPECT_EQ(refusal(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(refusal(post("Content-Length: 5\r\nContent-Length: 5\r\n")), 400);
  EXPECT_EQ(refusal(post("Content-Length: 5, 5\r\n")), 400);
  EXPECT_EQ(refusal(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")), 400);
  EXPECT_EQ(refusal(post("Transfer-Encoding: gzip, chunked\r\n")), 501);
  EXPECT_EQ(refusal(post("Transfer-Encoding: xchunked\r\n")), 501);
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

TEST(HeadRules, RefusesLengthsThatAreNoPlainNumbers) {
  for (const char* length : {"+5", "-5", "0x5", "5 5", "", " ", "5;", "99999999999999999999"})
    EXPECT_EQ(refusal(post("Content-Length: "s + length + "\r\n")), 400) << length;
}

TEST(HeadRules, RefusesLinesThatServersReadDifferently) {
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: x\n\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: x\n\r\n"), 400);
  EXPECT_EQ(refusal(post("X: a\rb\r\n")), 400);
  EXPECT_EQ(refusal(post("X : a\r\n")), 400);
  EXPECT_EQ(refusal(post("X: a\r\n b\r\n")), 400);
  EXPECT_EQ(refusal(post("X: a\r\n\tb\r\n")), 400);
  EXPECT_EQ(refusal(post(": a\r\n")), 400);
  EXPECT_EQ(refusal(post("no colon\r\n")), 400);
  EXPECT_EQ(refusal(post("X: a\0b\r\n"s)), 400);
  EXPECT_EQ(refusal(post("X\0: a\r\n"s)), 400);
  EXPECT_EQ(refusal(post("X: \x7f\r\n")), 400);
}

TEST(HeadRules, RefusesRequestLines) {
  for (const char* line :
       {"GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /a b HTTP/1.1", "G(T / HTTP/1.1",
        "GET http://x/ HTTP/1.1", "GET * HTTP/1.1", "GET /\x80 HTTP/1.1", "GET / FTP/1.1", " GET / HTTP/1.1"})
    EXPECT_EQ(refusal(line + "\r\n\r\n"s), 400) << line;
  EXPECT_EQ(refusal("GET / HTTP/2.0\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.10\r\n\r\n"), 400);
  EXPECT_EQ(refusal("\r\nGET / HTTP/1.1\r\n\r\n"), 400);
}

TEST(HeadRules, CountsFields) {
  std::string fields;
  for (int i = 0; i < 99; ++i) fields += "X: a\r\n";
  EXPECT_EQ(refusal(post(fields)), 0);
  EXPECT_EQ(refusal(post(fields + "X: a\r\n")), 431);
}

TEST(HeadRules, FindsTheEndWhereverTheBytesAreCut) {
  const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t cut = 0; cut < head.size(); ++cut) {
    EXPECT_EQ(head_length(std::string_view(head).substr(0, cut), 0), 0u);
    EXPECT_EQ(head_length(head + "more", cut), head.size()) << cut;
  }
  EXPECT_THROW(head_length("GET / HTTP/1.1\n", 0), Malformed);
}

}  // namespace
}  // namespace medlar::server
