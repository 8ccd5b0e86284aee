#include "server/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>
#include <chrono>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "server/head_rules.h"
#include "server/outbox.h"

namespace medlar::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;
using PlainStream = beast::basic_stream<asio::generic::stream_protocol>;
using TlsStream = asio::ssl::stream<PlainStream>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPipelined = 64 << 10;  // bytes of further requests read during an answer
constexpr std::size_t kAllBuffers = 1 << 30;  // of all connections together

Method method_of(http::verb verb) {
  switch (verb) {
    case http::verb::get:
      return Method::get;
    case http::verb::head:
      return Method::head;
    case http::verb::post:
      return Method::post;
    case http::verb::put:
      return Method::put;
    case http::verb::delete_:
      return Method::del;
    case http::verb::options:
      return Method::options;
    default:
      return Method::other;
  }
}

template <class Fields>
RequestHead head_of(const http::request_header<Fields>& from, bool local) {
  RequestHead head{.method = method_of(from.method()), .local_socket = local};
  const std::string_view target(from.target().data(), from.target().size());
  const std::size_t mark = target.find('?');
  head.path = target.substr(0, mark);
  if (mark != std::string_view::npos) head.query = target.substr(mark + 1);
  for (const auto& field : from) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    head.fields.push_back({std::move(name), std::string(field.value())});
  }
  return head;
}

// The client's own id where it is short and plain, else a new one.
std::string request_id(const RequestHead& head) {
  const std::string_view given = head.value("x-request-id");
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.';
  };
  if (!given.empty() && given.size() <= 64 && std::ranges::all_of(given, plain)) return std::string(given);
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("req-{:016x}", random());
}

enum class BodyFraming : std::uint8_t { length, chunks, until_close };

std::string head_text(const Response& response, const std::vector<Header>& fields, BodyFraming framing,
                      bool keep) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, std::string_view(reason.data(), reason.size()));
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("{}: {}\r\n", name, value);
  };
  for (const Header& field : fields) add(field.name, field.value);
  for (const Header& field : response.fields) add(field.name, field.value);
  if (!response.body.empty() || framing != BodyFraming::length) add("content-type", response.content_type);
  if (framing == BodyFraming::length && response.status != 204)
    add("content-length", std::to_string(response.body.size()));
  if (framing == BodyFraming::chunks) add("transfer-encoding", "chunked");
  add("x-content-type-options", "nosniff");
  if (!keep) add("connection", "close");
  return text + "\r\n";
}

template <class Stream>
class Connection : public std::enable_shared_from_this<Connection<Stream>> {
 public:
  Connection(Stream stream, bool local, ConnectionHub& hub)
      : stream_(std::move(stream)), local_(local), hub_(hub), close_idle_([this] { close(); }) {
    ++hub_.open;
  }
  ~Connection() {
    hold(0);
    --hub_.open;
  }

  asio::awaitable<void> run() {
    try {
      co_await handshake();
      while (co_await serve_one()) {
      }
      co_await linger();
    } catch (const std::exception&) {
      // The client has left, or took too long and was left; or there is no memory for it.
    }
    close();
  }

 private:
  PlainStream& plain() { return beast::get_lowest_layer(stream_); }
  // Counts this many bytes of a body among those of all connections.
  void hold(std::size_t bytes) {
    const bool grows = bytes > held_, fits = hub_.buffers->change(held_, bytes);
    if (fits) held_ = bytes;
    if (!fits || (grows && hub_.buffers->bytes() > kAllBuffers))
      throw Malformed(503, "too much is being sent to this server at once");
  }
  void close() {
    error_code ignored;
    plain().socket().close(ignored);
  }

  asio::awaitable<void> handshake() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      plain().expires_after(hub_.limits.head_time);
      co_await stream_.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
    }
    co_return;
  }

  // True when the connection may go on.
  asio::awaitable<bool> serve_one() {
    std::optional<Malformed> broken;
    bool go_on = false;
    try {
      const std::size_t length = co_await read_head();
      if (length == 0) co_return false;
      check_head(received().substr(0, length), hub_.limits.head_fields);
      go_on = co_await serve_request();
    } catch (const Malformed& e) {
      broken = e;
    }
    if (broken) co_await write_whole(hub_.application.malformed(broken->status(), broken->what()), {}, false);
    // An idle connection holds no buffer.
    if (buffer_.size() == 0) buffer_.shrink_to_fit();
    co_return go_on && !hub_.draining;
  }

  std::string_view received() const {
    const auto data = buffer_.cdata();
    return {static_cast<const char*>(data.data()), data.size()};
  }

  // Bytes of the head; 0 when the client has left between requests, or the server is to end.
  asio::awaitable<std::size_t> read_head() {
    std::size_t seen = 0;
    bool begun = false;
    Clock::time_point deadline = Clock::now() + hub_.limits.idle;
    while (true) {
      if (const std::size_t length = head_length(received(), seen)) {
        if (length > hub_.limits.head_bytes) break;
        co_return length;
      }
      seen = buffer_.size();
      if (seen > hub_.limits.head_bytes) break;
      if (seen > 0 && !std::exchange(begun, true)) deadline = Clock::now() + hub_.limits.head_time;
      if (!begun && hub_.draining) co_return 0;
      if (!begun) hub_.idle.insert(&close_idle_);
      plain().expires_at(deadline);
      const auto [error, n] = co_await stream_.async_read_some(buffer_.prepare(1024), kTuple);
      hub_.idle.erase(&close_idle_);
      if (error) co_return 0;
      buffer_.commit(n);
    }
    throw Malformed(431, "the head is too large");
  }

  asio::awaitable<bool> serve_request() {
    using Parser = http::request_parser<http::string_body>;
    Parser parser;
    parser.header_limit(static_cast<std::uint32_t>(hub_.limits.head_bytes + 1));
    parser.body_limit(hub_.limits.body_bytes);
    const auto [error, n] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
    fail_on(error);
    HttpRequest request{.head = head_of(parser.get().base(), local_)};
    request.id = request_id(request.head);
    old_client_ = parser.get().version() == 10;
    keep_ = parser.get().keep_alive() && !old_client_ && !hub_.draining;
    const auto begin = Clock::now();
    Application::Admission admission = hub_.application.admit(request.head);
    admission.fields.push_back({"x-request-id", request.id});
    request.client = std::move(admission.client);
    if (admission.refusal) {
      // What is left of the body would be taken for the next request.
      const bool keep = keep_ && parser.is_done();
      co_await write_whole(*admission.refusal, admission.fields, keep, request.head.method == Method::head);
      note(request, admission.refusal->status, begin);
      co_return keep;
    }
    if (!parser.is_done()) co_await read_body(parser, request.head);
    request.body = std::move(parser.get().body());
    co_return co_await answer(std::move(request), admission.fields, begin);
  }

  void fail_on(error_code error) {
    if (!error) return;
    if (error == http::error::body_limit) throw Malformed(413, "the body is too large");
    if (error == http::error::header_limit) throw Malformed(431, "the head is too large");
    if (error.category() == http::make_error_code(http::error::bad_chunk).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
      throw Malformed(400, error.message());
    throw boost::system::system_error(error);
  }

  template <class Parser>
  asio::awaitable<void> read_body(Parser& parser, const RequestHead& head) {
    if (head.value("expect") == "100-continue") {
      constexpr std::string_view kGoOn = "HTTP/1.1 100 Continue\r\n\r\n";
      plain().expires_after(hub_.limits.write_time);
      co_await asio::async_write(stream_, asio::buffer(kGoOn), asio::use_awaitable);
    }
    parser.eager(true);
    const Clock::time_point deadline = Clock::now() + hub_.limits.body_time;
    while (!parser.is_done()) {
      plain().expires_at(std::min(deadline, Clock::now() + hub_.limits.body_pause));
      const auto [error, n] = co_await http::async_read_some(stream_, buffer_, parser, kTuple);
      if (error == beast::error::timeout) throw Malformed(408, "the body took too long");
      fail_on(error);
      hold(parser.get().body().size());
    }
  }

  // Hands the request over and writes whatever comes, as it comes, while watching whether the client is
  // there.
  asio::awaitable<bool> answer(HttpRequest request, const std::vector<Header>& fields,
                               Clock::time_point begin) {
    const bool head_only = request.head.method == Method::head;
    const auto outbox = std::make_shared<Outbox>(stream_.get_executor(), std::move(request),
                                                 hub_.limits.waiting_bytes, hub_.buffers);
    hub_.application.handle(Outbox::exchange(outbox));
    if (!outbox->ended()) watch(outbox);
    int status = 499;
    std::exception_ptr failure;
    try {
      status = co_await write_answer(*outbox, fields, head_only);
    } catch (const boost::system::system_error&) {
      failure = std::current_exception();
    }
    hold(0);
    outbox->lose();  // means nothing after the end
    note(outbox->request(), failure ? 499 : status, begin);
    if (failure) std::rethrow_exception(failure);
    co_await stop_watching(*outbox);
    co_return keep_&& status != 499 && !watched_end_;
  }

  asio::awaitable<int> write_answer(Outbox& outbox, const std::vector<Header>& fields, bool head_only) {
    while (!outbox.has_news()) co_await ring(outbox);
    if (outbox.lost()) co_return 499;
    const Response head = *outbox.take_head();
    if (!outbox.streams()) {
      co_await write_whole(head, fields, keep_, head_only);
      co_return head.status;
    }
    const bool chunks = !old_client_;
    co_await write(head_text(head, fields, chunks ? BodyFraming::chunks : BodyFraming::until_close, keep_));
    while (true) {
      while (!outbox.has_news()) co_await ring(outbox);
      if (outbox.lost()) {
        keep_ = false;
        co_return 499;
      }
      const bool last = outbox.ended();
      std::string bytes = outbox.take_waiting();
      if (chunks && !bytes.empty()) bytes = fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
      if (chunks && last) bytes += "0\r\n\r\n";
      if (!bytes.empty() && !head_only) co_await write(bytes);
      if (last) co_return head.status;
    }
  }

  asio::awaitable<void> ring(Outbox& outbox) {
    outbox.bell().expires_at(Clock::time_point::max());
    co_await outbox.bell().async_wait(kTuple);
  }

  asio::awaitable<void> write(std::string_view bytes) {
    plain().expires_after(hub_.limits.write_time);
    co_await asio::async_write(stream_, asio::buffer(bytes), asio::use_awaitable);
    plain().expires_never();
  }

  asio::awaitable<void> write_whole(const Response& response, const std::vector<Header>& fields, bool keep,
                                    bool head_only = false) {
    const std::string head = head_text(response, fields, BodyFraming::length, keep);
    const std::array<asio::const_buffer, 2> parts{
        asio::buffer(head), asio::buffer(head_only ? std::string_view() : response.body)};
    plain().expires_after(hub_.limits.write_time);
    co_await asio::async_write(stream_, parts, asio::use_awaitable);
    plain().expires_never();
  }

  // Reads ahead during an answer, because that is how one learns that the client has left.
  void watch(const std::shared_ptr<Outbox>& outbox) {
    watching_ = true;
    plain().expires_never();
    asio::co_spawn(stream_.get_executor(), read_ahead(this->shared_from_this(), outbox), asio::detached);
  }

  static asio::awaitable<void> read_ahead(std::shared_ptr<Connection> self, std::shared_ptr<Outbox> outbox) {
    while (self->buffer_.size() < kPipelined && !outbox->ended()) {
      const auto [error, n] = co_await self->stream_.async_read_some(self->buffer_.prepare(1024), kTuple);
      if (error == asio::error::operation_aborted) break;
      if (error) {
        self->watched_end_ = true;
        outbox->lose();
        break;
      }
      self->buffer_.commit(n);
    }
    self->watching_ = false;
    outbox->bell().cancel();
  }

  asio::awaitable<void> stop_watching(Outbox& outbox) {
    while (watching_) {
      plain().cancel();
      co_await ring(outbox);
    }
  }

  // Takes what the client still sends, for a moment: closing on unread bytes would reset the connection, and
  // the client could lose the answer.
  asio::awaitable<void> linger() {
    if (!plain().socket().is_open()) co_return;
    plain().expires_after(std::chrono::seconds(1));
    if constexpr (std::is_same_v<Stream, TlsStream>) co_await stream_.async_shutdown(kTuple);
    error_code ignored;
    plain().socket().shutdown(asio::socket_base::shutdown_send, ignored);
    std::array<char, 4096> dropped;
    for (int i = 0; i < 256; ++i) {
      const auto [error, n] = co_await plain().async_read_some(asio::buffer(dropped), kTuple);
      if (error) break;
    }
  }

  void note(const HttpRequest& request, int status, Clock::time_point begin) {
    hub_.application.answered(request, status, std::chrono::duration<double>(Clock::now() - begin).count());
  }

  Stream stream_;
  bool local_;
  ConnectionHub& hub_;
  std::function<void()> close_idle_;
  beast::flat_buffer buffer_{128 << 10};
  std::size_t held_ = 0;
  bool keep_ = false, old_client_ = false;
  bool watching_ = false, watched_end_ = false;
};

}  // namespace

void ConnectionHub::drain() {
  draining = true;
  const auto waiting = std::exchange(idle, {});
  for (const auto* end : waiting) (*end)();
}

asio::awaitable<void> serve(Socket socket, bool local, ConnectionHub& hub) {
  const auto connection =
      std::make_shared<Connection<PlainStream>>(PlainStream(std::move(socket)), local, hub);
  co_await connection->run();
}

asio::awaitable<void> serve(Socket socket, asio::ssl::context& tls, ConnectionHub& hub) {
  const auto connection =
      std::make_shared<Connection<TlsStream>>(TlsStream(PlainStream(std::move(socket)), tls), false, hub);
  co_await connection->run();
}

}  // namespace medlar::server
