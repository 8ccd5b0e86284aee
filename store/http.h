// HTTP GET over libcurl, with every redirect checked before it is followed.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

#include "base/error.h"
#include "store/address.h"

namespace medlar::store {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{5000};  // name lookup, connection and TLS together
  std::chrono::seconds stall_timeout{30};           // without a byte
  int max_redirects = 8;
  // Hosts the user named. A redirect may lead to their private addresses; to others' only while no public
  // address has been spoken to. Proxies that the environment names are always allowed.
  std::vector<std::string> named_hosts;
  std::function<bool(const sockaddr&)> is_private = is_private_address;
};

struct HttpRequest {
  std::string url;
  std::string bearer;        // sent to this URL's own origin only, and only by https or to this machine
  std::uint64_t offset = 0;  // > 0: ask for the bytes from here on
  std::string if_range;      // a strong entity tag: if it no longer holds, the whole file is sent
  const std::atomic<bool>* cancel = nullptr;
};

struct HttpResponse {
  int status = 0;
  std::string etag;
  std::optional<std::uint64_t> content_length;
  std::string content_range;
  std::string content_encoding;
  // Hugging Face's, and only from the request's own origin: digest and size of the file behind the redirect.
  std::string linked_etag;
  std::string linked_size;
};

// "bytes FIRST-LAST/TOTAL".
struct ContentRange {
  std::uint64_t first = 0, last = 0, total = 0;
  static std::optional<ContentRange> parse(std::string_view text);
};

// Receives a successful (2xx) answer. Both may throw; the request then ends with that exception.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  virtual void begin(const HttpResponse& response) = 0;
  virtual void write(std::span<const std::byte> bytes) = 0;
};

// What went wrong with an exchange, and whether to try it again.
class HttpError : public Error {
 public:
  struct Details {
    int status = 0;                       // 0: there was no answer
    bool transient = false;               // worth another attempt
    std::chrono::seconds retry_after{0};  // the server's wish
  };
  HttpError(ErrorKind kind, const std::string& message, std::string hint, Details details)
      : Error(kind, message, std::move(hint)), details_(details) {}
  const Details& details() const { return details_; }

 private:
  Details details_;
};

// Follows redirects, refusing: more than max_redirects, https to http, anything but http and https, private
// addresses as above (checked on the very address connected to, so that a name cannot flip), and compressed
// bodies. TLS certificates are verified; SSL_CERT_FILE and CURL_CA_BUNDLE are honoured, as are proxies.
// Throws HttpError (kinds network and not_found), Error(cancelled), or what `body` throws.
void http_get(const HttpRequest& request, const HttpOptions& options, HttpBody& body);

// The whole body as text. Throws as http_get(), and HttpError when it is longer than `cap` bytes.
std::string http_get_text(const HttpRequest& request, const HttpOptions& options, std::size_t cap);

}  // namespace medlar::store
