// What a handler sees of HTTP: a request that is complete, and the exchange it answers on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::server {

enum class Method : std::uint8_t { get, head, post, put, del, options, other };
std::string_view to_string(Method method);

struct Header {
  std::string name, value;
};

// The part that is known before the body is read.
struct RequestHead {
  Method method = Method::get;
  std::string path, query;     // as sent: nothing is decoded and nothing is normalised
  std::vector<Header> fields;  // names in lower case
  bool local_socket = false;   // came over a Unix socket

  // All values of a field, in order.
  std::vector<std::string_view> values(std::string_view lower_case_name) const;
  // The first one; empty where there is none.
  std::string_view value(std::string_view lower_case_name) const;
};

struct HttpRequest {
  RequestHead head;
  std::string body;
  std::string id;      // the client's x-request-id where it is a plain word, else made up
  std::string client;  // who asks: "" without API keys, else the key's fingerprint
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<Header> fields;
};

// One request being answered: by one reply(), or by begin(), any number of send(), and end(). From any
// thread; the calls of one thread take effect in order. Whoever drops the last reference without an answer
// has answered 500.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const HttpRequest& request() const = 0;
  virtual void reply(Response response) = 0;
  // The head of a stream; its body is ignored.
  virtual void begin(Response head) = 0;
  // A client that does not read is dropped once too much waits for it.
  virtual void send(std::string bytes) = 0;
  virtual void end() = 0;
  // Called once on the I/O thread if the client leaves before the answer's end, even if it has left already.
  virtual void on_gone(std::function<void()> callback) = 0;
  // Runs `task` on the I/O thread.
  virtual void post(std::function<void()> task) = 0;
};

// What stands behind the protocol.
class Application {
 public:
  virtual ~Application() = default;

  struct Admission {
    std::optional<Response> refusal;  // the answer, before any of the body is read
    std::vector<Header> fields;       // of every response to this request
    std::string client;
  };
  // On the I/O thread, once the head is complete.
  virtual Admission admit(const RequestHead& head) = 0;
  // On the I/O thread; must return soon and may not throw.
  virtual void handle(std::shared_ptr<Exchange> exchange) = 0;
  // On the I/O thread, once: streams that would never end by themselves are to end now.
  virtual void draining() {}
  // What breaks HTTP's own rules is answered with this, and the connection is closed.
  virtual Response malformed(int status, std::string_view reason) = 0;
  // After the last byte of a response, or when the client has left (status 499).
  virtual void answered(const HttpRequest& request, int status, double seconds) = 0;
};

}  // namespace medlar::server
