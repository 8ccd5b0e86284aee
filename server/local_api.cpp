#include "server/local_api.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "server/api.h"

namespace medlar::server {
namespace {

// One request; what a connection does for others is done by one thread.
class LocalExchange : public Exchange {
 public:
  LocalExchange(boost::asio::any_io_executor io, HttpRequest request, LocalApi::OnAnswer on_answer)
      : io_(std::move(io)), request_(std::move(request)), on_answer_(std::move(on_answer)) {}
  ~LocalExchange() override {
    // At once: where a handler dropped it there may be no thread any more.
    if (on_answer_)
      on_answer_({.status = 500, .body = R"({"error":{"message":"this request was dropped"}})"});
  }

  const HttpRequest& request() const override { return request_; }
  void reply(Response response) override { answer(std::move(response)); }
  void begin(Response head) override { stream_ = std::move(head); }
  void send(std::string bytes) override { stream_.body += bytes; }
  void end() override { answer(std::move(stream_)); }
  void on_gone(std::function<void()>) override {}  // the program itself asks, and waits
  void post(std::function<void()> task) override { boost::asio::post(io_, std::move(task)); }

 private:
  void answer(Response response) {
    if (const auto tell = std::exchange(on_answer_, nullptr))
      boost::asio::post(io_, [tell, response = std::move(response)]() mutable { tell(std::move(response)); });
  }

  boost::asio::any_io_executor io_;
  HttpRequest request_;
  LocalApi::OnAnswer on_answer_;
  Response stream_;
};

}  // namespace

struct LocalApi::Impl {
  boost::asio::thread_pool io{1};
  Service service;
  Api api;

  Impl(std::unique_ptr<Model> model, Logger log)
      : service(std::move(log), Ledger::make(), std::make_shared<DeviceLedgers>()),
        api(service, Access({}, "127.0.0.1")) {
    service.shelf.add(std::move(model), {}, std::nullopt);
    service.started();
  }
  // As a server does it: no handler runs any more, then no event is taken, and then the scheduler ends.
  ~Impl() {
    api.close();
    io.stop();
    io.join();
    service.shelf.close();
  }
};

LocalApi::LocalApi(std::unique_ptr<Model> model, Logger log)
    : impl_(std::make_unique<Impl>(std::move(model), std::move(log))) {}
LocalApi::~LocalApi() = default;

void LocalApi::post(std::string_view path, std::string body, std::string id, OnAnswer on_answer) {
  HttpRequest request{.head = {.method = Method::post, .path = std::string(path)},
                      .body = std::move(body),
                      .id = std::move(id)};
  impl_->api.handle(
      std::make_shared<LocalExchange>(impl_->io.get_executor(), std::move(request), std::move(on_answer)));
}

}  // namespace medlar::server
