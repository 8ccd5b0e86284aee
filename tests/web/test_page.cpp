// The embedded page: complete, typed, cacheable, and nothing in it points elsewhere.
#include <regex>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "web/page.h"

namespace medlar::web {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string text_of(const PageFile& file) { return {file.bytes.begin(), file.bytes.end()}; }

TEST(Page, HasAFrontPageInPlainText) {
  const PageFile* file = find_page_file("/");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(file->encoding, "");
  EXPECT_EQ(file->cache_control, "no-cache");
  EXPECT_THAT(text_of(*file), StartsWith("<!doctype html>"));
}

TEST(Page, HasEveryFileThatTheFrontPageNames) {
  const std::string html = text_of(*find_page_file("/"));
  const std::regex reference("(?:src|href)=\"([^\"]+)\"");
  int found = 0;
  for (std::sregex_iterator it(html.begin(), html.end(), reference), end; it != end; ++it, ++found)
    EXPECT_NE(find_page_file((*it)[1].str()), nullptr) << (*it)[1];
  EXPECT_EQ(found > 0, has_page());
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
}

TEST(Page, HasNoScriptOrStyleThatThePolicyWouldStop) {
  const std::string html = text_of(*find_page_file("/"));
  EXPECT_THAT(html, Not(HasSubstr("<style")));
  EXPECT_THAT(html, Not(HasSubstr(" style=")));
  EXPECT_FALSE(std::regex_search(html, std::regex("<script(?![^>]* src=)"))) << html;
}

TEST(Page, DescribesItsFiles) {
  std::set<std::string_view> paths, etags;
  for (const PageFile& file : page_files()) {
    EXPECT_TRUE(paths.insert(file.path).second) << file.path;
    EXPECT_TRUE(etags.insert(file.etag).second) << file.path;
    EXPECT_THAT(file.path, StartsWith("/"));
    EXPECT_TRUE(file.etag.size() > 2 && file.etag.front() == '"' && file.etag.back() == '"') << file.etag;
    ASSERT_GT(file.bytes.size(), 20u) << file.path;
    if (file.encoding == "gzip") {
      EXPECT_EQ(file.bytes[0], 0x1f) << file.path;
      EXPECT_EQ(file.bytes[1], 0x8b) << file.path;
    }
    // A name with a hash in it never changes its content.
    EXPECT_EQ(file.cache_control.find("immutable") != std::string_view::npos,
              file.path.starts_with("/assets/"));
  }
}

TEST(Page, IsFoundByExactPathsOnly) {
  for (const std::string_view path : {"", "//", "/index.html", "/assets/", "/../page.h", "/?", "/%2F"})
    EXPECT_EQ(find_page_file(path), nullptr) << path;
}

TEST(Page, SaysSoWhereItIsMissing) {
  if (has_page()) GTEST_SKIP() << "this build has the page";
  EXPECT_THAT(text_of(*find_page_file("/")), HasSubstr("This build of Medlar has no page"));
  EXPECT_EQ(page_files().size(), 1u);
}

TEST(Page, HasAStrictPolicy) {
  EXPECT_THAT(page_policy(), StartsWith("default-src 'none';"));
  EXPECT_THAT(page_policy(), HasSubstr("script-src 'self';"));
  EXPECT_THAT(page_policy(), Not(HasSubstr("unsafe")));
  EXPECT_THAT(page_policy(), Not(HasSubstr("data:")));
  EXPECT_THAT(page_policy(), Not(HasSubstr("http")));
}

}  // namespace
}  // namespace medlar::web
