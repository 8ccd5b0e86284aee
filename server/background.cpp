#include "server/background.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

namespace medlar::server {

struct Background::Impl {
  explicit Impl(int threads) : pool(static_cast<std::size_t>(threads)) {}
  boost::asio::thread_pool pool;
};

Background::Background(int threads) : impl_(std::make_unique<Impl>(threads)) {}
Background::~Background() { close(); }

void Background::run(const Call& call, std::function<void(const Call&)> work) {
  // The path's rest lies in the request, which the exchange keeps.
  boost::asio::post(impl_->pool, [call, work = std::move(work)] {
    try {
      work(call);
    } catch (...) {
      call.exchange->reply(error_response(call.dialect, current_error()));
    }
  });
}

void Background::close() {
  impl_->pool.stop();
  impl_->pool.join();
}

}  // namespace medlar::server
