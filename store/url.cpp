#include "store/url.h"

#include <algorithm>
#include <cctype>
#include <memory>

#include <curl/curl.h>

#include "base/error.h"
#include "base/log.h"
#include "store/manifest.h"

namespace medlar::store {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, FreeUrl>;

struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* raw = nullptr;
  if (curl_url_get(url, which, &raw, flags) != CURLUE_OK) return {};
  return std::unique_ptr<char, FreeText>(raw).get();
}

[[noreturn]] void reject(std::string_view text, std::string_view problem) {
  fail(ErrorKind::network, "{}: {}", printable(text, 200), problem);
}

Url take_apart(CURLU* handle, std::string_view text) {
  Url url;
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  url.scheme = part(handle, CURLUPART_SCHEME);
  if (url.scheme != "http" && url.scheme != "https") reject(text, "neither http nor https");
  if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    reject(text, "a URL with a user name or password");
  }
  url.text = part(handle, CURLUPART_URL);
  url.host = part(handle, CURLUPART_HOST);
  url.port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  url.path = part(handle, CURLUPART_PATH);
  std::ranges::transform(url.host, url.host.begin(), [](unsigned char c) { return std::tolower(c); });
  if (url.host.starts_with('[') && url.host.ends_with(']'))
    url.host = url.host.substr(1, url.host.size() - 2);
  if (url.host.empty()) reject(text, "no host");
  return url;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c <= 0x20 || c == 0x7F; });
}

}  // namespace

Url parse_url(std::string_view text) {
  const Handle handle(curl_url());
  if (has_control(text) ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) {
    reject(text, "not a valid http or https URL");
  }
  return take_apart(handle.get(), text);
}

Url resolve_url(const Url& base, std::string_view location) {
  const Handle handle(curl_url());
  if (has_control(location) || curl_url_set(handle.get(), CURLUPART_URL, base.text.c_str(), 0) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, std::string(location).c_str(), 0) != CURLUE_OK) {
    reject(base.text,
           fmt::format("redirects to \"{}\", which is no http or https URL", printable(location, 120)));
  }
  return take_apart(handle.get(), location);
}

void check_redirect(const Url& from, const Url& to) {
  if (from.scheme == "https" && to.scheme != "https")
    reject(from.text, "redirects from https to " + to.scheme);
}

std::string encode_segment(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    const bool plain = std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out;
}

std::string file_name_of(const Url& url) {
  const std::string_view last = std::string_view(url.path).substr(url.path.rfind('/') + 1);
  int length = 0;
  const std::unique_ptr<char, FreeText> decoded(
      curl_easy_unescape(nullptr, last.data(), static_cast<int>(last.size()), &length));
  if (decoded == nullptr) return {};
  std::string name(decoded.get(), static_cast<std::size_t>(length));
  const bool plain = is_plain_file_name(name) && printable(name) == name;
  return plain ? name : std::string();
}

}  // namespace medlar::store
