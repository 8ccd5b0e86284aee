// A web server for tests, on 127.0.0.1: real sockets, and a handler that may misbehave in any way it likes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace medlar::testing {

struct ServerRequest {
  std::string target;                          // "/path?query"
  std::map<std::string, std::string> headers;  // names in lower case
  std::uint64_t range_start() const;           // of "Range: bytes=N-"; 0: none
  bool has(const std::string& header) const { return headers.contains(header); }
};

// What a handler writes to. Closed when the handler returns.
class ServerConnection {
 public:
  explicit ServerConnection(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}
  // False once the client is gone or the server stops.
  bool send(std::string_view bytes);
  // "HTTP/1.1 STATUS", the header lines, Connection: close and an empty line.
  bool head(std::string_view status, const std::vector<std::string>& headers = {});
  // Waits for that long, or until the server stops.
  void stall(int milliseconds);

 private:
  int fd_;
  const std::atomic<bool>& stop_;
};

class HttpServer {
 public:
  using Handler = std::function<void(const ServerRequest&, ServerConnection&)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }
  std::string url(std::string_view path = "") const;
  // Requests so far, in the order they came.
  std::vector<ServerRequest> requests() const;

 private:
  void accept_loop();
  void serve(int fd);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<ServerRequest> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

// Serves `content` as a well-behaved server does: strong entity tag, ranges, If-Range, 416.
void serve_content(const ServerRequest& request, ServerConnection& connection, std::string_view content,
                   std::string_view etag = "\"v1\"");

// Serves each of `contents` under its path so, and 404 elsewhere. `contents` must outlive the server.
HttpServer::Handler serving(const std::map<std::string, std::string>& contents);

}  // namespace medlar::testing
