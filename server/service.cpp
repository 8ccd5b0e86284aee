#include "server/service.h"

#include "server/api_error.h"
#include "server/apps.h"

namespace medlar::server {

Shelf::Lease Service::lease(std::string_view name) {
  require_started();
  if (Shelf::Lease lease = shelf.find(name)) return lease;
  const std::lock_guard lock(mutex_);
  const std::string wanted = name.empty() ? default_ : std::string(name);
  if (models && !wanted.empty()) throw NotInMemory{wanted};
  if (!name.empty())
    throw ApiError(
        404, fmt::format("model \"{}\" not found", printable(name, 128)),
        {.param = "model", .code = "model_not_found", .hint = "GET /v1/models lists what there is"});
  throw ApiError(404, "this server has no model in memory",
                 {.param = "model",
                  .code = "model_not_found",
                  .hint = "name one in the request, choose one on the page at /, send {\"model\": NAME} to "
                          "/v1/models/load, or start medlar serve NAME"});
}

Priority Service::priority_of(std::string_view client) const {
  const auto app = apps ? apps->of(client) : nullptr;
  return app ? app->manifest.priority : Priority::interactive;
}

void Service::require_started() const {
  const std::lock_guard lock(mutex_);
  if (started_) return;
  throw ApiError(503, "the model is still being loaded",
                 {.code = "unavailable_error", .hint = "GET /health says when it is ready"});
}

void Service::started() {
  const std::lock_guard lock(mutex_);
  started_ = true;
}

void Service::set_default(std::string name) {
  const std::lock_guard lock(mutex_);
  default_ = std::move(name);
}

std::optional<std::chrono::steady_clock::time_point> Service::queue_deadline(
    std::optional<double> seconds) const {
  const double limit = seconds.value_or(queue_timeout);
  if (!seconds && limit == 0) return std::nullopt;
  using Clock = std::chrono::steady_clock;
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limit));
}

}  // namespace medlar::server
