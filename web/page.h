// The files of the page, embedded in the program. docs/page.md says how they are to be served.
#pragma once

#include <span>
#include <string_view>

namespace medlar::web {

struct PageFile {
  std::string_view path;  // of the request: "/", "/assets/index-1a2b3c4d.js"
  std::string_view content_type;
  std::string_view encoding;  // content-encoding of the bytes: "gzip", or empty
  std::string_view etag;      // in its quotes
  std::string_view cache_control;
  std::span<const unsigned char> bytes;
};

// "/" is always among them; in a build without Node it is a page that says so, and the only one.
std::span<const PageFile> page_files();
bool has_page();

// Null if there is no such file. The path is compared as it is: without a query, not decoded.
const PageFile* find_page_file(std::string_view path);

// Content-Security-Policy for every file: nothing from elsewhere, no script but the page's own files.
std::string_view page_policy();

}  // namespace medlar::web
