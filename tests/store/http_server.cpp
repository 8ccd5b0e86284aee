#include "tests/store/http_server.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <stdexcept>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace medlar::testing {
namespace {

#if defined(MSG_NOSIGNAL)
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // macOS: a socket option instead
#endif

ServerRequest parse_request(std::string_view text) {
  ServerRequest request;
  const auto first_line = text.substr(0, text.find("\r\n"));
  const auto a = first_line.find(' ');
  const auto b = first_line.rfind(' ');
  if (a != std::string_view::npos && b > a) request.target = first_line.substr(a + 1, b - a - 1);
  text.remove_prefix(std::min(first_line.size() + 2, text.size()));
  while (!text.empty()) {
    const auto line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(std::min(line.size() + 2, text.size()));
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[name] = line.substr(colon + 2);
  }
  return request;
}

}  // namespace

std::uint64_t ServerRequest::range_start() const {
  const auto range = headers.find("range");
  std::uint64_t start = 0;
  if (range != headers.end() && range->second.starts_with("bytes=")) {
    std::from_chars(range->second.data() + 6, range->second.data() + range->second.size(), start);
  }
  return start;
}

bool ServerConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (stop_) return false;
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), kNoSignal);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool ServerConnection::head(std::string_view status, const std::vector<std::string>& headers) {
  std::string text = fmt::format("HTTP/1.1 {}\r\n", status);
  for (const std::string& header : headers) text += header + "\r\n";
  return send(text + "Connection: close\r\n\r\n");
}

void ServerConnection::stall(int milliseconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  while (!stop_ && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
    throw std::runtime_error("no socket on 127.0.0.1 to be had");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  stop_ = true;
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::string HttpServer::url(std::string_view path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

std::vector<ServerRequest> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::accept_loop() {
  while (!stop_) {
    pollfd wait{listener_, POLLIN, 0};
    if (::poll(&wait, 1, 10) <= 0) continue;
    const int fd = ::accept(listener_, nullptr, nullptr);
    if (fd >= 0) threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void HttpServer::serve(int fd) {
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos && !stop_) {
    char block[4096];
    pollfd wait{fd, POLLIN, 0};
    if (::poll(&wait, 1, 10) <= 0) continue;
    const ssize_t n = ::recv(fd, block, sizeof block, 0);
    if (n <= 0) break;
    text.append(block, static_cast<std::size_t>(n));
  }
  const ServerRequest request = parse_request(text.substr(0, text.find("\r\n\r\n")));
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  ServerConnection connection(fd, stop_);
  handler_(request, connection);
  ::shutdown(fd, SHUT_WR);
  char rest[512];
  pollfd wait{fd, POLLIN, 0};
  while (!stop_ && ::poll(&wait, 1, 200) > 0 && ::recv(fd, rest, sizeof rest, 0) > 0) {
  }
  ::close(fd);
}

void serve_content(const ServerRequest& request, ServerConnection& connection, std::string_view content,
                   std::string_view etag) {
  const auto condition = request.headers.find("if-range");
  const bool whole =
      !request.has("range") || (condition != request.headers.end() && condition->second != etag);
  const std::uint64_t start = whole ? 0 : request.range_start();
  if (!whole && start >= content.size()) {
    connection.head("416 Range Not Satisfiable",
                    {fmt::format("Content-Range: bytes */{}", content.size()), "Content-Length: 0"});
    return;
  }
  std::vector<std::string> headers{fmt::format("Content-Length: {}", content.size() - start)};
  if (!etag.empty()) headers.push_back(fmt::format("ETag: {}", etag));
  if (!whole)
    headers.push_back(
        fmt::format("Content-Range: bytes {}-{}/{}", start, content.size() - 1, content.size()));
  if (connection.head(whole ? "200 OK" : "206 Partial Content", headers))
    connection.send(content.substr(start));
}

HttpServer::Handler serving(const std::map<std::string, std::string>& contents) {
  return [&contents](const ServerRequest& request, ServerConnection& connection) {
    const auto found = contents.find(request.target);
    if (found == contents.end()) {
      connection.head("404 Not Found");
    } else {
      serve_content(request, connection, found->second);
    }
  };
}

}  // namespace medlar::testing
