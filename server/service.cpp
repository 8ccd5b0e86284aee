#include "server/service.h"

#include <algorithm>
#include <cctype>
#include <exception>

#include "server/api_error.h"
#include "server/chat.h"

namespace medlar::server {
namespace {

// "Name:latest" is how Ollama's clients say "name".
std::string comparable(std::string_view name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  std::string result(name);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

ApiError still_loading() {
  return {503,
          "the model is still being loaded",
          {.code = "unavailable_error", .hint = "GET /health says when it is ready"}};
}

ApiError no_model() {
  return {404,
          "this server has no model in memory",
          {.param = "model",
           .code = "model_not_found",
           .hint = "choose one on the page at /, send {\"model\": NAME} to /v1/models/load, or start medlar "
                   "serve NAME"}};
}

}  // namespace

Model::Model() = default;
Model::~Model() = default;

bool Model::has_name(std::string_view name) const {
  return std::ranges::any_of(names, [&](const auto& own) { return comparable(own) == comparable(name); });
}

Service::Lease Service::lease() {
  if (Lease lease = lease_if_ready()) return lease;
  const std::lock_guard lock(mutex_);
  throw loading_ || model_ ? still_loading() : no_model();
}

Service::Lease Service::lease_if_ready() {
  const std::lock_guard lock(mutex_);
  if (!model_ || !open_) return {};
  ++leases_;
  return Lease(this);
}

void Service::give_back() {
  const std::lock_guard lock(mutex_);
  if (--leases_ == 0) changed_.notify_all();
}

void Service::require_not_loading() const {
  const std::lock_guard lock(mutex_);
  if ((loading_ || model_) && !(model_ && open_)) throw still_loading();
}

Model& Service::model() const { return *model_; }

Model& Service::model(std::string_view name) const {
  Model& present = model();
  if (name.empty() || present.has_name(name)) return present;
  throw ApiError(404, fmt::format("model \"{}\" not found", printable(name, 128)),
                 {.param = "model",
                  .code = "model_not_found",
                  .hint = fmt::format("this server serves \"{}\"", present.name())});
}

std::optional<std::chrono::steady_clock::time_point> Service::queue_deadline(
    std::optional<double> seconds) const {
  const double limit = seconds.value_or(queue_timeout);
  if (!seconds && limit == 0) return std::nullopt;
  using Clock = std::chrono::steady_clock;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limit));
}

void Service::begin_loading() {
  const std::lock_guard lock(mutex_);
  loading_ = true;
}

void Service::end_loading() {
  const std::lock_guard lock(mutex_);
  loading_ = false;
}

bool Service::retire(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  open_ = false;
  changed_.wait_for(lock, patience, [&] { return leases_ == 0 || stopping_; });
  if (leases_ == 0) return true;
  open_ = true;
  return false;
}

void Service::replace(std::unique_ptr<Model> next, const SchedulerOptions& scheduling) {
  std::unique_ptr<Model> before;
  {
    const std::lock_guard lock(mutex_);
    before = std::move(model_);
  }
  before.reset();  // takes a while: not under the lock
  std::exception_ptr failure;
  try {
    if (next) {
      next->scheduler = std::make_unique<Scheduler>(next->engine, scheduling);
      next->chat = std::make_unique<Chat>(*next->engine);
      next->embedder = std::make_shared<Embedder>(*next->scheduler, next->pooling);
    }
  } catch (...) {
    next.reset();
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    model_ = std::move(next);
    open_ = true;
  }
  if (failure) std::rethrow_exception(failure);
}

void Service::stop_waiting() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Service::close() { model_.reset(); }

}  // namespace medlar::server
