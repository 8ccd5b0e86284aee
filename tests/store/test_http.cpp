// Redirects, tokens, addresses and headers: what a request may be led to, and what it may give away.
#include <cstring>
#include <set>
#include <string>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "base/error.h"
#include "store/http.h"
#include "store/url.h"
#include "tests/store/store_fixture.h"

namespace medlar::store {
namespace {

using medlar::testing::error_of;
using medlar::testing::HttpServer;
using medlar::testing::ServerConnection;
using medlar::testing::ServerRequest;

constexpr std::size_t kCap = 1 << 20;

HttpOptions quick() {
  return {.connect_timeout = std::chrono::milliseconds(2000), .stall_timeout = std::chrono::seconds(1)};
}

std::string get(const std::string& url, const HttpOptions& options = quick(),
                const std::string& bearer = "") {
  return http_get_text({.url = url, .bearer = bearer}, options, kCap);
}

// A server whose every path answers with one status line and headers, and perhaps a body.
HttpServer::Handler answer(std::string status, std::vector<std::string> headers, std::string body = "") {
  return [=](const ServerRequest&, ServerConnection& c) {
    c.head(status, headers);
    c.send(body);
  };
}

TEST(Http, ReadsABody) {
  HttpServer server(answer("200 OK", {"Content-Length: 5"}, "hello"));
  EXPECT_EQ(get(server.url("/x?y=1")), "hello");
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_EQ(server.requests()[0].target, "/x?y=1");
  EXPECT_EQ(server.requests()[0].headers.at("accept-encoding"), "identity");
  EXPECT_FALSE(server.requests()[0].has("authorization"));
}

TEST(Http, FollowsRedirectsRelativeAndAbsolute) {
  HttpServer other(answer("200 OK", {"Content-Length: 2"}, "ok"));
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    const bool first = r.target == "/a/b";
    c.head("302 Found", {first ? "Location: ../c" : "Location: " + other.url("/end"), "Content-Length: 4"});
    c.send("body");
  });
  EXPECT_EQ(get(server.url("/a/b")), "ok");
  EXPECT_EQ(server.requests().at(1).target, "/c");
  EXPECT_EQ(other.requests().at(0).target, "/end");
}

TEST(Http, RefusesRedirectLoops) {
  HttpServer server(answer("302 Found", {"Location: /again"}));
  const Error e = error_of([&] { get(server.url()); });
  EXPECT_EQ(e.kind(), ErrorKind::network);
  EXPECT_NE(std::string(e.what()).find("redirects"), std::string::npos);
  EXPECT_EQ(server.requests().size(), 9U);  // the first, and 8 more
}

TEST(Http, RefusesRedirectsToOtherSchemesAndCredentials) {
  for (const char* where :
       {"ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/", "javascript:1",
        "http://u:p@127.0.0.1/", "http://", "//", "http://a b/", "dict://127.0.0.1:11211/stat"}) {
    HttpServer server(answer("302 Found", {std::string("Location: ") + where}));
    EXPECT_EQ(error_of([&] { get(server.url()); }).kind(), ErrorKind::network) << where;
  }
}

TEST(Http, RefusesToLeaveHttps) {
  const Url secure = parse_url("https://h/a");
  EXPECT_EQ(error_of([&] { check_redirect(secure, resolve_url(secure, "http://h/b")); }).kind(),
            ErrorKind::network);
  EXPECT_NO_THROW(check_redirect(secure, resolve_url(secure, "//other/b")));
  EXPECT_NO_THROW(check_redirect(secure, resolve_url(secure, "b")));
  EXPECT_NO_THROW(check_redirect(parse_url("http://h/a"), secure));
}

TEST(Http, SendsTheTokenToItsOwnOriginOnly) {
  HttpServer other(answer("200 OK", {"Content-Length: 2"}, "ok"));
  HttpServer server([&](const ServerRequest& r, ServerConnection& c) {
    c.head("307 Temporary Redirect",
           {r.target == "/1" ? std::string("Location: /2") : "Location: " + other.url("/3")});
  });
  EXPECT_EQ(get(server.url("/1"), quick(), "secret"), "ok");
  EXPECT_EQ(server.requests().at(0).headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(server.requests().at(1).headers.at("authorization"), "Bearer secret");
  EXPECT_FALSE(other.requests().at(0).has("authorization"));  // another port is another origin
}

TEST(Http, SendsTheTokenToNoHostByPlainHttp) {
  HttpServer server(answer("200 OK", {"Content-Length: 2"}, "ok"));
  // The machine's own name is not one of the three that are known to be local.
  char name[256] = "";
  ASSERT_EQ(gethostname(name, sizeof name - 1), 0);
  const std::string url = "http://" + std::string(name) + ":" + std::to_string(server.port()) + "/";
  try {
    get(url, quick(), "secret");
  } catch (const Error&) {
    GTEST_SKIP() << "this machine's name does not lead to 127.0.0.1";
  }
  EXPECT_FALSE(server.requests().at(0).has("authorization"));
}

// Plays the internet on one machine: 127.0.0.1 passes for public, everything else of 127/8 for private.
HttpOptions pretend_public() {
  HttpOptions options = quick();
  options.is_private = [](const sockaddr& address) { return to_string(address) != "127.0.0.1"; };
  return options;
}

TEST(Http, RefusesPrivateAddressesAfterAPublicHost) {
  for (const char* where : {"http://127.0.0.2:9/", "http://[::1]:9/", "http://127.1.2.3:9/x",
                            "http://0x7f000002:9/", "http://2130706434:9/"}) {
    HttpServer server(answer("302 Found", {std::string("Location: ") + where}));
    const Error e = error_of([&] { get(server.url(), pretend_public()); });
    EXPECT_EQ(e.kind(), ErrorKind::network);
    EXPECT_NE(std::string(e.what()).find("private address"), std::string::npos) << where << ": " << e.what();
  }
}

// Only the server at `port` passes for public.
HttpOptions public_port(int port) {
  HttpOptions options = quick();
  options.is_private = [port](const sockaddr& address) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    return address.sa_family != AF_INET || ntohs(in.sin_port) != port;
  };
  return options;
}

TEST(Http, LooksAtTheAddressNotTheName) {
  // "localhost" is no literal address: only the connection itself shows where it leads.
  HttpServer server(answer("302 Found", {"Location: http://localhost:9/"}));
  const Error e = error_of([&] { get(server.url(), public_port(server.port())); });
  EXPECT_NE(std::string(e.what()).find("private address"), std::string::npos) << e.what();
}

TEST(Http, AllowsPrivateAddressesThatTheUserNamed) {
  HttpServer inner(answer("200 OK", {"Content-Length: 2"}, "ok"));
  HttpServer outer(answer("302 Found", {"Location: http://localhost:" + std::to_string(inner.port())}));
  HttpOptions options = public_port(outer.port());
  EXPECT_EQ(error_of([&] { get(outer.url(), options); }).kind(), ErrorKind::network);
  EXPECT_TRUE(inner.requests().empty());
  options.named_hosts = {"localhost"};
  EXPECT_EQ(get(outer.url(), options), "ok");
}

TEST(Http, AllowsPrivateToPrivate) {
  HttpServer inner(answer("200 OK", {"Content-Length: 2"}, "ok"));
  HttpServer outer(answer("302 Found", {"Location: " + inner.url()}));
  EXPECT_EQ(get(outer.url()), "ok");
}

TEST(Http, RefusesCompressedBodies) {
  for (const char* encoding : {"gzip", "br", "zstd", "deflate", "gzip, gzip", "x-bomb"}) {
    HttpServer server(answer("200 OK", {std::string("Content-Encoding: ") + encoding, "Content-Length: 4"},
                             "\x1f\x8b\x08z"));
    const Error e = error_of([&] { get(server.url()); });
    EXPECT_NE(std::string(e.what()).find("compressed"), std::string::npos) << e.what();
  }
  HttpServer server(answer("200 OK", {"Content-Encoding: Identity", "Content-Length: 2"}, "ok"));
  EXPECT_EQ(get(server.url()), "ok");
}

TEST(Http, CapsBodiesAndHeaders) {
  HttpServer endless([](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK");
    while (c.send(std::string(65536, 'x'))) {
    }
  });
  EXPECT_EQ(error_of([&] { get(endless.url()); }).kind(), ErrorKind::network);
  HttpServer headers([](const ServerRequest&, ServerConnection& c) {
    c.send("HTTP/1.1 200 OK\r\n");
    while (c.send("X-More: " + std::string(8000, 'x') + "\r\n")) {
    }
  });
  EXPECT_EQ(error_of([&] { get(headers.url()); }).kind(), ErrorKind::network);
}

TEST(Http, GivesUpOnAStall) {
  HttpServer body([](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK", {"Content-Length: 100"});
    c.send("x");
    c.stall(60000);
  });
  EXPECT_EQ(error_of([&] { get(body.url()); }).kind(), ErrorKind::network);
  HttpServer silent([](const ServerRequest&, ServerConnection& c) { c.stall(60000); });
  EXPECT_EQ(error_of([&] { get(silent.url()); }).kind(), ErrorKind::network);
}

TEST(Http, StatusesBecomeErrors) {
  struct Case {
    const char* status;
    ErrorKind kind;
    bool transient;
  };
  const Case cases[] = {{"404 Not Found", ErrorKind::not_found, false},
                        {"410 Gone", ErrorKind::not_found, false},
                        {"401 Unauthorized", ErrorKind::network, false},
                        {"403 Forbidden", ErrorKind::network, false},
                        {"429 Too Many Requests", ErrorKind::network, true},
                        {"503 Service Unavailable", ErrorKind::network, true},
                        {"418 I'm a teapot", ErrorKind::network, false},
                        {"302 Found", ErrorKind::network, false}};
  for (const Case& c : cases) {
    HttpServer server(answer(c.status, {"Retry-After: 7"}, "an error page"));
    try {
      get(server.url("/path?signature=secret"));
      ADD_FAILURE() << c.status;
    } catch (const HttpError& e) {
      EXPECT_EQ(e.kind(), c.kind) << c.status;
      EXPECT_EQ(e.details().transient, c.transient) << c.status;
      EXPECT_EQ(e.details().retry_after, std::chrono::seconds(7));
      EXPECT_EQ(std::string(e.what()).find("secret"), std::string::npos) << "queries stay out of messages";
    }
  }
  HttpServer server(answer("401 Unauthorized", {}));
  EXPECT_NE(error_of([&] { get(server.url()); }).hint().find("HF_TOKEN"), std::string::npos);
}

TEST(Http, GarbageIsAnError) {
  for (const char* garbage : {"", "hello\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"}) {
    HttpServer server([&](const ServerRequest&, ServerConnection& c) { c.send(garbage); });
    EXPECT_THROW(get(server.url()), Error) << garbage;
  }
}

TEST(Http, CancelsInTheMiddle) {
  std::atomic<bool> cancel = false;
  HttpServer server([&](const ServerRequest&, ServerConnection& c) {
    c.head("200 OK", {"Content-Length: 1000000"});
    c.send("x");
    cancel = true;
    c.stall(60000);
  });
  const Error e = error_of([&] {
    http_get_text({.url = server.url(), .cancel = &cancel}, {.stall_timeout = std::chrono::seconds(60)},
                  kCap);
  });
  EXPECT_EQ(e.kind(), ErrorKind::cancelled);
}

TEST(Http, LinkedHeadersCountOnlyFromTheFirstOrigin) {
  class Body : public HttpBody {
   public:
    void begin(const HttpResponse& r) override { response = r; }
    void write(std::span<const std::byte>) override {}
    HttpResponse response;
  };
  HttpServer storage(
      answer("200 OK",
             {"Content-Length: 2", "X-Linked-Etag: \"storage\"", "X-Linked-Size: 9", "ETag: \"own\""}, "ok"));
  HttpServer hub(
      answer("302 Found", {"Location: " + storage.url(), "X-Linked-ETag: \"hub\"", "X-Linked-Size: 2"}));
  Body body;
  http_get({.url = hub.url()}, quick(), body);
  EXPECT_EQ(body.response.linked_etag, "\"hub\"");
  EXPECT_EQ(body.response.linked_size, "2");
  EXPECT_EQ(body.response.etag, "\"own\"");
}

TEST(ContentRangeTest, ParsesStrictly) {
  const auto range = ContentRange::parse("bytes 5-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->first, 5U);
  EXPECT_EQ(range->last, 9U);
  EXPECT_EQ(range->total, 10U);
  for (const char* text : {"", "bytes", "bytes 5-9", "bytes 5-9/*", "bytes */10", "bytes 9-5/10",
                           "bytes 5-10/10", "bytes -9/10", "5-9/10", "bytes 5-9/10 ", "bytes 0x5-9/10",
                           "bytes 5-9/99999999999999999999", "octets 5-9/10", "bytes +5-9/10"}) {
    EXPECT_FALSE(ContentRange::parse(text)) << text;
  }
}

bool is_private(const char* text) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    storage.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    storage.ss_family = AF_INET6;
  } else {
    ADD_FAILURE() << text;
  }
  return is_private_address(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Address, PrivateAndPublic) {
  for (const char* text : {"0.0.0.0",
                           "10.0.0.1",
                           "10.255.255.255",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.254",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.8",
                           "192.168.0.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "224.0.0.1",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fdff::1",
                           "ff02::1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.1.2.3",
                           "64:ff9b::10.0.0.1",
                           "2002:7f00:1::",
                           "2001:db8::1",
                           "::127.0.0.1"}) {
    EXPECT_TRUE(is_private(text)) << text;
  }
  for (const char* text : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                           "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.167.255.255",
                           "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
                           "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2a00:1450::1"}) {
    EXPECT_FALSE(is_private(text)) << text;
  }
  sockaddr unknown{};
  unknown.sa_family = AF_UNIX;
  EXPECT_TRUE(is_private_address(unknown));
}

TEST(UrlTest, TakesApartAndNames) {
  const Url url = parse_url("https://Example.COM/a/b%20c.gguf?x=1#y");
  EXPECT_EQ(url.host, "example.com");
  EXPECT_EQ(url.port, "443");
  EXPECT_EQ(file_name_of(url), "b c.gguf");
  EXPECT_EQ(parse_url("http://[::1]:8080/").host, "::1");
  EXPECT_EQ(file_name_of(parse_url("http://h/")), "");
  EXPECT_EQ(file_name_of(parse_url("http://h/..%2f..%2fetc%2fpasswd")), "");
  EXPECT_EQ(file_name_of(parse_url("http://h/a%00b")), "");
  EXPECT_EQ(file_name_of(parse_url("http://h/a%0ab")), "");
  EXPECT_EQ(encode_segment("a b/c?ä"), "a%20b%2Fc%3F%C3%A4");
  for (const char* text :
       {"", "x", "ftp://h/", "http:/", "http://h h/", "http://h/\r\nX: y", "https://u@h/", "file:///x"}) {
    EXPECT_EQ(error_of([&] { parse_url(text); }).kind(), ErrorKind::network) << text;
  }
}

}  // namespace
}  // namespace medlar::store
