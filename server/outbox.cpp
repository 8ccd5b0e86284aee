#include "server/outbox.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace medlar::server {
namespace {

class OutboxExchange : public Exchange {
 public:
  explicit OutboxExchange(std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {}
  ~OutboxExchange() override {
    // Behind what other threads have answered and the I/O thread has not come to yet.
    boost::asio::post(outbox_->io(), [outbox = outbox_] {
      if (outbox->ended()) return;
      if (!outbox->answered())
        return outbox->reply({.status = 500, .body = R"({"error":"no answer was made"})"});
      outbox->lose();  // a stream that breaks off must not look complete
    });
  }

  const HttpRequest& request() const override { return outbox_->request(); }
  void reply(Response response) override {
    on_io([response = std::move(response)](Outbox& o) mutable { o.reply(std::move(response)); });
  }
  void begin(Response head) override {
    on_io([head = std::move(head)](Outbox& o) mutable { o.begin(std::move(head)); });
  }
  void send(std::string bytes) override {
    on_io([bytes = std::move(bytes)](Outbox& o) { o.send(bytes); });
  }
  void end() override {
    on_io([](Outbox& o) { o.end(); });
  }
  void on_gone(std::function<void()> callback) override {
    on_io([callback = std::move(callback)](Outbox& o) mutable { o.on_gone(std::move(callback)); });
  }
  void post(std::function<void()> task) override { boost::asio::post(outbox_->io(), std::move(task)); }

 private:
  template <class Action>
  void on_io(Action action) {
    boost::asio::dispatch(outbox_->io(),
                          [outbox = outbox_, action = std::move(action)]() mutable { action(*outbox); });
  }

  std::shared_ptr<Outbox> outbox_;
};

}  // namespace

std::shared_ptr<Exchange> Outbox::exchange(std::shared_ptr<Outbox> outbox) {
  return std::make_shared<OutboxExchange>(std::move(outbox));
}

void Outbox::reply(Response response) {
  if (head_ || lost_) return;
  head_ = std::move(response);
  finish();
}

void Outbox::begin(Response head) {
  if (head_ || lost_) return;
  head_ = std::move(head);
  streams_ = true;
  bell_.cancel();
}

void Outbox::send(std::string_view bytes) {
  if (!streams_ || ended_ || lost_) return;
  const std::size_t size = waiting_.size() + bytes.size();
  if (size > limit_ || !buffers_->change(waiting_.size(), size)) return lose();
  waiting_ += bytes;
  bell_.cancel();
}

void Outbox::end() {
  if (streams_ && !ended_ && !lost_) finish();
}

void Outbox::finish() {
  ended_ = true;
  on_gone_ = nullptr;
  bell_.cancel();
}

void Outbox::on_gone(std::function<void()> callback) {
  if (ended_) return;
  if (lost_) return callback();
  on_gone_ = std::move(callback);
}

void Outbox::lose() {
  if (lost_) return;
  lost_ = true;
  bell_.cancel();
  if (const auto callback = std::exchange(on_gone_, nullptr); callback && !ended_) callback();
}

std::optional<Response> Outbox::take_head() {
  if (!head_ || head_taken_) return std::nullopt;
  head_taken_ = true;
  return head_;
}

}  // namespace medlar::server
