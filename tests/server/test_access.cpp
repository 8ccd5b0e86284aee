// Names, origins and keys: who is answered and who is not.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "server/access.h"

namespace medlar::server {
namespace {

RequestHead with(std::vector<Header> fields) { return {.fields = std::move(fields)}; }
bool host_is_fine(const Access& access, const std::string& host) {
  return access.allows_host(with({{"host", host}}));
}

TEST(Access, AnswersToItsOwnNamesOnly) {
  const Access access({}, "127.0.0.1");
  for (const char* host :
       {"localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:11435", "[::1]:11435", "127.1.2.3"})
    EXPECT_TRUE(host_is_fine(access, host)) << host;
  for (const char* host :
       {"evil.example", "", " ", "localhost.evil.example", "x/?", "localhost:80:80", "localhost:port",
        "user@localhost", "[::1", "192.168.0.9", "localhost#", "127.0.0.1.evil"})
    EXPECT_FALSE(host_is_fine(access, host)) << host;
  EXPECT_FALSE(access.allows_host(with({})));
  EXPECT_FALSE(access.allows_host(with({{"host", "localhost"}, {"host", "localhost"}})));
}

TEST(Access, OnAllAddressesAnyAddressIsItsOwn) {
  const Access access({.no_api_key = true, .allow_hosts = {"Box.example"}}, "0.0.0.0");
  EXPECT_TRUE(host_is_fine(access, "192.168.0.9:11435"));
  EXPECT_TRUE(host_is_fine(access, "box.EXAMPLE"));
  EXPECT_FALSE(host_is_fine(access, "evil.example"));
}

TEST(Access, LetsOnlyKnownPagesAsk) {
  const auto fine = [](const Access& access, std::vector<Header> fields) {
    return access.allows_origin(with(std::move(fields)));
  };
  const Access access({.allow_origins = {"https://app.example"}}, "127.0.0.1");
  EXPECT_TRUE(fine(access, {}));
  for (const char* origin :
       {"http://localhost:3000", "http://127.0.0.1:11435", "https://app.example", "http://[::1]:1"})
    EXPECT_TRUE(fine(access, {{"origin", origin}})) << origin;
  for (const char* origin :
       {"null", "", "https://evil.example", "http://localhost.evil.example", "https://app.example.evil",
        "http://app.example", "file://", "http://", "http://user@localhost", "chrome-extension://x"})
    EXPECT_FALSE(fine(access, {{"origin", origin}})) << origin;
  EXPECT_FALSE(fine(access, {{"origin", "http://localhost"}, {"origin", "http://evil.example"}}));
  EXPECT_TRUE(fine(Access({.allow_origins = {"*"}}, "127.0.0.1"), {{"origin", "https://evil.example"}}));
  const Access open({.no_api_key = true}, "0.0.0.0");
  EXPECT_TRUE(fine(open, {{"host", "10.0.0.1:11435"}, {"origin", "http://10.0.0.1:11435"}}));
  EXPECT_FALSE(fine(open, {{"host", "10.0.0.1:11435"}, {"origin", "http://10.0.0.1:80"}}));
}

TEST(Access, KnowsKeysInBothPlaces) {
  const Access access({.api_keys = {"first", "second"}}, "127.0.0.1");
  const auto client = [&](const char* name, const char* value) {
    return access.client_of(with({{name, value}}));
  };
  ASSERT_TRUE(access.needs_key());
  EXPECT_FALSE(client("authorization", "Bearer first").empty());
  EXPECT_EQ(client("authorization", "bearer first"), client("x-api-key", "first"));
  EXPECT_NE(client("x-api-key", "first"), client("x-api-key", "second"));
  for (const char* value : {"Bearer firs", "Bearer firstx", "Bearer ", "Bearer", "first", "Basic first", ""})
    EXPECT_EQ(client("authorization", value), "") << value;
  EXPECT_EQ(access.client_of(with({})), "");
  // The key never shows.
  EXPECT_THAT(client("x-api-key", "first"), testing::Not(testing::HasSubstr("first")));
}

TEST(Access, ListeningFurtherNeedsAKeyOrAWord) {
  EXPECT_THROW(Access({}, "0.0.0.0"), Error);
  EXPECT_THROW(Access({}, "::"), Error);
  EXPECT_THROW(Access({}, "192.168.0.9"), Error);
  EXPECT_THROW(Access({.api_keys = {""}}, "127.0.0.1"), Error);
  EXPECT_NO_THROW(Access({}, "::1"));
  EXPECT_NO_THROW(Access({}, "localhost"));
  EXPECT_NO_THROW(Access({.api_keys = {"k"}}, "0.0.0.0"));
}

}  // namespace
}  // namespace medlar::server
