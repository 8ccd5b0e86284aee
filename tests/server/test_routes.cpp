// The table of routes: what it finds, what it does not, and what its document says.
#include <boost/json/serialize.hpp>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/routes.h"

namespace medlar::server {
namespace {

TEST(Routes, HaveOneSpelling) {
  const Routes routes;
  ASSERT_TRUE(routes.find(Method::get, "/v1/models").route);
  EXPECT_EQ(routes.find(Method::head, "/v1/models").route, routes.find(Method::get, "/v1/models").route);
  for (const char* path :
       {"//v1/models", "/v1//models", "/v1/models/", "/V1/models", "/v1/%6dodels", "/v1/./models",
        "/v1/x/../models", "/v1/models;a", "v1/models", "", "/v1/models%00"})
    EXPECT_FALSE(routes.find(Method::get, path).route) << path;
}

TEST(Routes, NamesHoldSlashes) {
  const Routes routes;
  const Match match = routes.find(Method::get, "/v1/models/hf.co/user/repo:Q4_K_M");
  ASSERT_TRUE(match.route);
  EXPECT_EQ(match.rest, "hf.co/user/repo:Q4_K_M");
}

TEST(Routes, TellWhichMethodsAPathHas) {
  const Routes routes;
  EXPECT_EQ(routes.find(Method::post, "/v1/models").allow, "GET, HEAD");
  EXPECT_EQ(routes.find(Method::get, "/v1/chat/completions").allow, "POST");
  EXPECT_EQ(routes.find(Method::del, "/nothing").allow, "");
}

TEST(Routes, TheDocumentHasThemAll) {
  const auto document = Routes().document();
  const auto& paths = document.at("paths").as_object();
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const auto& [path, methods] : paths) {
    for (const auto& [method, operation] : methods.as_object()) {
      ++operations;
      ids.insert(std::string(operation.at("operationId").as_string()));
      if (method == "delete") continue;  // some have one
      EXPECT_EQ(method == "post" || method == "put", operation.as_object().contains("requestBody")) << path;
    }
  }
  EXPECT_EQ(ids.size(), operations);
  EXPECT_TRUE(paths.contains("/v1/chat/completions") && paths.contains("/v1/messages") &&
              paths.contains("/api/chat"));
}

}  // namespace
}  // namespace medlar::server
