#include "store/http.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>

#include <curl/curl.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "store/url.h"

namespace medlar::store {
namespace {

constexpr std::size_t kMaxHeaderBytes = 256 << 10;  // of one answer
constexpr const char* kUserAgent = "medlar/0.1";

std::string_view trim(std::string_view s) {
  const auto first = s.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view()
                                         : s.substr(first, s.find_last_not_of(" \t\r\n") - first + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::optional<std::uint64_t> parse_number(std::string_view s) {
  std::uint64_t value = 0;
  const auto r = std::from_chars(s.data(), s.data() + s.size(), value);
  if (s.empty() || r.ec != std::errc() || r.ptr != s.data() + s.size()) return std::nullopt;
  return value;
}

// libcurl with CURLOPT_NOSIGNAL leaves SIGPIPE to its caller. Blocks it for this thread, and swallows one
// that came meanwhile.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    was_pending_ = pending();
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeGuard() {
    int signal = 0;
    if (!was_pending_ && pending()) sigwait(&pipe_, &signal);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

 private:
  static bool pending() {
    sigset_t set;
    sigemptyset(&set);
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
  }
  sigset_t pipe_, before_;
  bool was_pending_;
};

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Addresses look_up(const std::string& host, const std::string& port, int flags) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = flags;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &wanted, &list) != 0) return nullptr;
  return Addresses(list);
}

// The addresses of the proxies that the environment names: connections to them are the user's own wish.
std::vector<Addresses> proxy_addresses() {
  std::vector<Addresses> out;
  for (const char* name : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string_view text = value;
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos)
      text.remove_prefix(scheme + 3);
    text = text.substr(0, text.find('/'));
    if (const auto at = text.rfind('@'); at != std::string_view::npos) text.remove_prefix(at + 1);
    const auto colon = text.rfind(':');
    const std::string host(text.substr(0, colon));
    const std::string port(colon == std::string_view::npos ? "1080" : text.substr(colon + 1));
    if (Addresses found = look_up(host, port, 0)) out.push_back(std::move(found));
  }
  return out;
}

bool contains(const std::vector<Addresses>& lists, const sockaddr* address, socklen_t bytes) {
  for (const Addresses& list : lists) {
    for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
      if (a->ai_addrlen == bytes && std::memcmp(a->ai_addr, address, bytes) == 0) return true;
    }
  }
  return false;
}

// One request with its redirects.
class Exchange {
 public:
  Exchange(const HttpRequest& request, const HttpOptions& options, HttpBody& body)
      : request_(request), options_(options), body_(body), origin_(parse_url(request.url)), url_(origin_) {}

  void run() {
    for (int hop = 0; hop <= options_.max_redirects; ++hop) {
      perform();
      if (location_.empty()) return;
      const Url next = resolve_url(url_, location_);
      check_next(next);
      url_ = next;
    }
    refuse(fmt::format("more than {} redirects", options_.max_redirects));
  }

 private:
  struct FreeCurl {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  [[noreturn]] void refuse(const std::string& problem, HttpError::Details details = {},
                           ErrorKind kind = ErrorKind::network, std::string hint = {}) const {
    // The query of a URL may hold a signature, and is long: it stays out of messages.
    const std::string where = printable(std::string_view(url_.text).substr(0, url_.text.find('?')), 200);
    throw HttpError(kind, fmt::format("{}: {}", where, problem), std::move(hint), details);
  }

  void check_next(const Url& next) {
    store::check_redirect(url_, next);
    // Behind a proxy we never see the address of the host; a literal one is plain to see all the same.
    const Addresses literal = look_up(next.host, "", AI_NUMERICHOST);
    if (literal != nullptr && !may_connect(*literal->ai_addr, next.host)) {
      refuse(fmt::format("redirects to the private address {}", to_string(*literal->ai_addr)));
    }
  }

  bool may_connect(const sockaddr& address, const std::string& host) const {
    if (!options_.is_private(address) || !spoke_to_public_) return true;
    return std::ranges::find(options_.named_hosts, host) != options_.named_hosts.end();
  }

  bool may_send_token() const {
    const bool local = url_.host == "localhost" || url_.host == "127.0.0.1" || url_.host == "::1";
    return !request_.bearer.empty() && url_.same_origin(origin_) && (url_.scheme == "https" || local);
  }

  void add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr) fail(ErrorKind::out_of_memory, "no memory for a request header");
    static_cast<void>(headers_.release());
    headers_.reset(longer);
  }

  void set_up(CURL* curl) {
    headers_.reset();
    add_header("Accept-Encoding: identity");
    if (may_send_token()) add_header("Authorization: Bearer " + request_.bearer);
    if (request_.offset > 0) {
      add_header(fmt::format("Range: bytes={}-", request_.offset));
      if (!request_.if_range.empty()) add_header("If-Range: " + request_.if_range);
    }
    curl_easy_setopt(curl, CURLOPT_URL, url_.text.c_str());
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(curl, CURLOPT_USERAGENT, kUserAgent);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall_timeout.count()));
    for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
      const char* file = std::getenv(name);
      if (file != nullptr && *file != '\0') curl_easy_setopt(curl, CURLOPT_CAINFO, file);
    }
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text_);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &Exchange::open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, this);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, this);
  }

  void perform() {
    const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
    if (curl == nullptr) fail(ErrorKind::network, "libcurl could not be started");
    set_up(curl.get());
    reset_answer();
    refused_address_.clear();
    error_text_[0] = '\0';
    const SigpipeGuard guard;
    const CURLcode code = curl_easy_perform(curl.get());
    if (thrown_) std::rethrow_exception(thrown_);
    if (cancelled()) throw Error(ErrorKind::cancelled, "cancelled");
    if (!refused_address_.empty()) refuse(fmt::format("leads to the private address {}", refused_address_));
    if (answered_ && status_ >= 300) return finish_without_body();
    if (code != CURLE_OK || !answered_) fail_exchange(code);
  }

  // Redirects, and answers that say no. Their bodies are not read.
  void finish_without_body() {
    const bool redirect =
        status_ == 301 || status_ == 302 || status_ == 303 || status_ == 307 || status_ == 308;
    if (redirect && !location_.empty()) return;
    location_.clear();
    HttpError::Details details{.status = status_};
    details.transient = status_ == 408 || status_ == 429 || status_ >= 500;
    details.retry_after = retry_after_;
    const std::string problem = fmt::format("the server answers {}", status_);
    if (status_ == 401 || status_ == 403) {
      refuse(problem + " (not allowed)", details, ErrorKind::network,
             "check the name; if the model is gated or private, accept its terms on the web site and set "
             "HF_TOKEN");
    }
    if (status_ == 404 || status_ == 410) refuse(problem + " (not found)", details, ErrorKind::not_found);
    refuse(problem, details);
  }

  [[noreturn]] void fail_exchange(CURLcode code) const {
    HttpError::Details details;
    details.transient = code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT ||
                        code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
                        code == CURLE_GOT_NOTHING || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM ||
                        code == CURLE_SSL_CONNECT_ERROR;
    std::string hint = "check the network connection";
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
      hint = "if a proxy here re-signs connections, set SSL_CERT_FILE to its certificates";
    }
    const char* text = error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
    refuse(printable(text, 200), details, ErrorKind::network, hint);
  }

  void begin_body() {
    begun_ = true;
    const std::string& encoding = answer_.content_encoding;
    if (!encoding.empty() && !equal_ignoring_case(encoding, "identity")) {
      refuse(fmt::format("sends a compressed body ({}), which was not asked for", printable(encoding, 40)));
    }
    body_.begin(answer_);
  }

  void reset_answer() {
    const HttpResponse earlier = std::move(answer_);
    answer_ = {};
    answer_.linked_etag = earlier.linked_etag;
    answer_.linked_size = earlier.linked_size;
    status_ = 0;
    answered_ = false;
    begun_ = false;
    header_bytes_ = 0;
    location_.clear();
    retry_after_ = {};
  }

  void header(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // also after an interim 1xx answer
      reset_answer();
      const auto blank = line.find(' ');
      if (blank != std::string_view::npos)
        status_ = static_cast<int>(parse_number(line.substr(blank + 1, 3)).value_or(0));
      answer_.status = status_;
      return;
    }
    if (trim(line).empty()) {  // the end of the headers, or of trailers after the body
      answered_ = status_ >= 200;
      if (answered_ && status_ < 300 && !begun_) begin_body();
      return;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    const auto is = [name](std::string_view other) { return equal_ignoring_case(name, other); };
    if (is("etag")) answer_.etag = value;
    if (is("content-length")) answer_.content_length = parse_number(value);
    if (is("content-range")) answer_.content_range = value;
    if (is("content-encoding")) answer_.content_encoding = value;
    if (is("location")) location_ = value;
    if (is("retry-after"))
      retry_after_ = std::chrono::seconds(std::min<std::uint64_t>(parse_number(value).value_or(0), 3600));
    if (url_.same_origin(origin_)) {
      if (is("x-linked-etag")) answer_.linked_etag = value;
      if (is("x-linked-size")) answer_.linked_size = value;
    }
  }

  bool cancelled() const {
    return request_.cancel != nullptr && request_.cancel->load(std::memory_order_relaxed);
  }

  // Runs `action` for libcurl, through which no exception may pass. False: stop the transfer.
  template <class Action>
  bool guarded(Action action) {
    try {
      action();
      return true;
    } catch (...) {
      thrown_ = std::current_exception();
      return false;
    }
  }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    const bool go_on = self.guarded([&] {
      self.header_bytes_ += size;
      if (self.header_bytes_ > kMaxHeaderBytes) self.refuse("sends endless headers");
      self.header({data, size});
    });
    return go_on ? size : 0;
  }

  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    if (!self.begun_) return 0;  // nobody reads the body of a redirect or an error
    const bool go_on = self.guarded([&] { self.body_.write(std::as_bytes(std::span(data, size))); });
    return go_on ? size : 0;
  }

  static int on_progress(void* self_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(self_pointer)->cancelled() ? 1 : 0;
  }

  // The address is the one that the connection will use, whatever the name resolved to before.
  static curl_socket_t open_socket(void* self_pointer, curlsocktype, curl_sockaddr* address) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    bool allowed = false;
    self.guarded([&] { allowed = self.check_address(address->addr, address->addrlen); });
    if (!allowed) return CURL_SOCKET_BAD;
    const int fd = ::socket(address->family, address->socktype, address->protocol);
    if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
  }

  bool check_address(const sockaddr& address, socklen_t bytes) {
    if (!proxies_) proxies_ = proxy_addresses();
    if (contains(*proxies_, &address, bytes)) {
      spoke_to_public_ = true;  // whom the proxy speaks to is not known
      return true;
    }
    if (!may_connect(address, url_.host)) {
      refused_address_ = to_string(address);
      return false;
    }
    if (!options_.is_private(address)) spoke_to_public_ = true;
    return true;
  }

  const HttpRequest& request_;
  const HttpOptions& options_;
  HttpBody& body_;
  const Url origin_;
  Url url_;  // of the current hop

  HttpResponse answer_;
  int status_ = 0;
  bool answered_ = false;  // all headers of a final answer are in
  bool begun_ = false;
  std::size_t header_bytes_ = 0;
  std::string location_;
  std::chrono::seconds retry_after_{0};
  bool spoke_to_public_ = false;
  std::string refused_address_;
  std::optional<std::vector<Addresses>> proxies_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::exception_ptr thrown_;
  char error_text_[CURL_ERROR_SIZE] = "";
};

class TextBody : public HttpBody {
 public:
  explicit TextBody(std::size_t cap) : cap_(cap) {}
  void begin(const HttpResponse&) override {}
  void write(std::span<const std::byte> bytes) override {
    if (text.size() + bytes.size() > cap_) {
      throw HttpError(ErrorKind::network, fmt::format("an answer of more than {} bytes", cap_), "", {});
    }
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string text;

 private:
  std::size_t cap_;
};

}  // namespace

std::optional<ContentRange> ContentRange::parse(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const auto dash = text.find('-');
  const auto slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  const auto total = parse_number(text.substr(slash + 1));
  if (!first || !last || !total || *first > *last || *last >= *total) return std::nullopt;
  return ContentRange{*first, *last, *total};
}

void http_get(const HttpRequest& request, const HttpOptions& options, HttpBody& body) {
  Exchange(request, options, body).run();
}

std::string http_get_text(const HttpRequest& request, const HttpOptions& options, std::size_t cap) {
  TextBody body(cap);
  http_get(request, options, body);
  return std::move(body.text);
}

}  // namespace medlar::store
