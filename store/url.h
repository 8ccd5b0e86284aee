// URLs taken apart as libcurl does it, so that a check and the connection agree on the host.
#pragma once

#include <string>
#include <string_view>

namespace medlar::store {

struct Url {
  std::string text;    // whole, without fragment
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; an IPv6 address without brackets
  std::string port;    // always there
  std::string path;    // begins with '/'; still percent-encoded

  bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};

// Throws Error(network) for anything but http and https, for user names and passwords, and for syntax errors.
Url parse_url(std::string_view text);

// `location` of a redirect, which may be relative, as seen from `base`. Throws as parse_url().
Url resolve_url(const Url& base, std::string_view location);

// Throws Error(network) when following a redirect would leave https.
void check_redirect(const Url& from, const Url& to);

// One segment of a path, percent-encoded.
std::string encode_segment(std::string_view text);

// The last segment of the URL's path, decoded; empty where that is no plain file name.
std::string file_name_of(const Url& url);

}  // namespace medlar::store
