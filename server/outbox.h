// The exchange as the connection sees it: bytes that wait to be written, in order, and a bell that rings for
// more. Everything but post() happens on the I/O thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "server/buffers.h"
#include "server/http.h"

namespace medlar::server {

class Outbox {
 public:
  Outbox(boost::asio::any_io_executor io, HttpRequest request, std::size_t limit,
         std::shared_ptr<Buffers> buffers)
      : io_(std::move(io)),
        bell_(io_),
        request_(std::move(request)),
        limit_(limit),
        buffers_(std::move(buffers)) {}
  ~Outbox() { buffers_->change(waiting_.size(), 0); }

  // The handler's side; dropping the last copy unanswered answers 500.
  static std::shared_ptr<Exchange> exchange(std::shared_ptr<Outbox> outbox);

  const HttpRequest& request() const { return request_; }
  const boost::asio::any_io_executor& io() const { return io_; }

  // What the handler says.
  void reply(Response response);
  void begin(Response head);
  void send(std::string_view bytes);
  void end();
  void on_gone(std::function<void()> callback);

  // What the connection asks.
  bool has_news() const { return lost_ || ended_ || !waiting_.empty() || (head_ && !head_taken_); }
  bool lost() const { return lost_; }
  bool ended() const { return ended_; }
  bool streams() const { return streams_; }
  bool answered() const { return head_.has_value(); }
  // The head, once.
  std::optional<Response> take_head();
  std::string take_waiting() {
    buffers_->change(waiting_.size(), 0);
    return std::exchange(waiting_, {});
  }
  // The client has left.
  void lose();
  // Rings when there is news, or when the connection itself has some.
  boost::asio::steady_timer& bell() { return bell_; }

 private:
  void finish();

  boost::asio::any_io_executor io_;
  boost::asio::steady_timer bell_;
  HttpRequest request_;
  std::size_t limit_;
  std::shared_ptr<Buffers> buffers_;
  std::optional<Response> head_;
  bool head_taken_ = false, streams_ = false, ended_ = false, lost_ = false;
  std::string waiting_;
  std::function<void()> on_gone_;
};

}  // namespace medlar::server
