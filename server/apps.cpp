#include "server/apps.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"
#include "server/access.h"
#include "server/api_error.h"
#include "server/routes.h"

namespace medlar::server {
namespace {

using namespace std::chrono_literals;

constexpr auto kActive = 5min;  // after its last request
constexpr auto kBeat = 15s;     // between two signs of life
constexpr std::size_t kMostListeners = 256, kMostOfApp = 16;

std::string event_text(std::string_view event, const boost::json::object& data) {
  return fmt::format("event: {}\ndata: {}\n\n", event, boost::json::serialize(data));
}

}  // namespace

struct Apps::Listener {
  std::shared_ptr<Exchange> exchange;
  std::string client;
};

Apps::Apps(std::filesystem::path path, Logger log) : path_(std::move(path)), log_(std::move(log)) {}
Apps::~Apps() = default;

std::uint64_t Apps::refresh() {
  try {
    read();
  } catch (const Error& error) {
    log_.warning("apps cannot be read reason=\"{}\"", error.what());
    store_.reset();
  }
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (now - beat_ >= kBeat) {
    beat_ = now;
    for (const auto& listener : listeners_) listener->exchange->send(":\n\n");
  }
  std::uint64_t bytes = 0;
  for (const auto& [client, app] : apps_) {
    const auto used = used_.find(client);
    const bool listens =
        std::ranges::find(listeners_, client, [](const auto& l) { return l->client; }) != listeners_.end();
    if (listens || (used != used_.end() && now - used->second < kActive)) bytes += app->manifest.memory_bytes;
  }
  return bytes;
}

// A server that no app was registered with makes no database.
void Apps::read() {
  std::error_code error;
  if (!store_) {
    if (!std::filesystem::exists(path_, error)) return;
    store_.emplace(path_, log_);
    version_ = -1;
  }
  const std::int64_t version = store_->version();
  if (version == version_) return;
  std::map<std::string, std::shared_ptr<const RegisteredApp>, std::less<>> apps;
  for (RegisteredApp& app : store_->list()) {
    const std::string client = app.client;
    apps[client] = std::make_shared<const RegisteredApp>(std::move(app));
  }
  version_ = version;
  log_.info("apps={}", apps.size());
  const std::lock_guard lock(mutex_);
  apps_ = std::move(apps);
  std::erase_if(used_, [&](const auto& use) { return !apps_.contains(use.first); });
  // Whose key is worth nothing any more hears nothing any more.
  std::erase_if(listeners_, [&](const auto& listener) {
    if (apps_.contains(listener->client)) return false;
    listener->exchange->end();
    return true;
  });
}

std::string Apps::client_of(std::string_view key) {
  if (key.empty()) return "";
  const std::string digest = digest_of(key);
  const std::lock_guard lock(mutex_);
  const auto app = apps_.find(std::string_view(digest).substr(0, kFingerprintLetters));
  if (app == apps_.end() || app->second->digest != digest) return "";
  used_[app->first] = Clock::now();
  return app->first;
}

std::shared_ptr<const RegisteredApp> Apps::of(std::string_view client) const {
  const std::lock_guard lock(mutex_);
  const auto app = apps_.find(client);
  return app == apps_.end() ? nullptr : app->second;
}

std::optional<DType> Apps::kv_type(const Model& model) const {
  const auto bits = [](DType type) { return format_info(type).bits_per_weight(); };
  std::optional<DType> finest;
  const std::lock_guard lock(mutex_);
  for (const auto& [client, app] : apps_)
    for (const AppManifest::KvException& exception : app->manifest.kv)
      if (model.has_name(exception.model) && (!finest || bits(exception.type) > bits(*finest)))
        finest = exception.type;
  return finest;
}

void Apps::listen(const Call& call) {
  const std::string client = call.request().client;
  if (!of(client))
    throw ApiError(403, "events are for apps",
                   {.code = "no_app", .hint = "send the key that \"medlar app add\" gave"});
  Response head{.content_type = "text/event-stream", .fields = {{"cache-control", "no-store"}}};
  if (call.request().head.method == Method::head) return call.exchange->reply(std::move(head));
  const auto listener = std::make_shared<Listener>(call.exchange, client);
  {
    const std::lock_guard lock(mutex_);
    const auto own = std::ranges::count(listeners_, client, [](const auto& l) { return l->client; });
    if (closed_ || listeners_.size() >= kMostListeners || own >= static_cast<std::ptrdiff_t>(kMostOfApp))
      throw ApiError(503, closed_ ? "the server is shutting down" : "too many streams of events are open",
                     {.hint = fmt::format("an app may have {}", kMostOfApp)});
    call.exchange->begin(std::move(head));
    call.exchange->send(": events of this app\n\n");
    listeners_.push_back(listener);
  }
  call.exchange->on_gone([this, left = std::weak_ptr(listener)] {
    const std::lock_guard lock(mutex_);
    std::erase(listeners_, left.lock());
  });
}

void Apps::send(std::string_view client, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  for (const auto& listener : listeners_)
    if (client.empty() || listener->client == client) listener->exchange->send(bytes);
}

void Apps::tell(std::string_view event, const boost::json::object& data) {
  send("", event_text(event, data));
}

void Apps::tell(std::string_view client, std::string_view event, const boost::json::object& data) {
  if (!client.empty()) send(client, event_text(event, data));
}

void Apps::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& listener : listeners_) listener->exchange->end();
  listeners_.clear();
}

std::string allowed_model(const RegisteredApp& app, std::string_view name, const Model* model) {
  const std::vector<std::string>& allowed = app.manifest.models;
  if (allowed.empty()) return std::string(name);
  if (name.empty()) return allowed.front();
  const bool known = std::ranges::any_of(allowed, [&](const std::string& own) {
    Model named;
    named.names = {own};
    return named.has_name(name) || (model && model->has_name(own));
  });
  if (known) return std::string(name);
  throw ApiError(
      403,
      fmt::format("the app \"{}\" does not name the model \"{}\"", app.manifest.name, printable(name, 128)),
      {.param = "model",
       .code = "model_not_allowed",
       .hint =
           fmt::format("it may ask for {}", printable(fmt::format("{}", fmt::join(allowed, ", ")), 512))});
}

}  // namespace medlar::server
