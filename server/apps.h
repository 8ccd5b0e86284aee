// The apps as the server sees them: whose key a request has, what it may ask for, and who listens to what
// happens.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "server/app_store.h"
#include "server/http.h"

namespace medlar::server {

struct Call;
struct Model;

class Apps {
 public:
  Apps(std::filesystem::path path, Logger log);
  ~Apps();

  // Any thread from here on, but refresh(): reads what is registered, where it changed, and keeps listeners
  // awake; to be called about once a second. Returns the bytes that the apps cannot do without which asked
  // something in the last minutes, or listen.
  std::uint64_t refresh();

  // The client that requests with this key are of; "": it is no app's.
  std::string client_of(std::string_view key);
  // Null: it is none, or not any more.
  std::shared_ptr<const RegisteredApp> of(std::string_view client) const;

  // What the KV cache of a model is to have instead of the server's type; where apps differ, the type that
  // keeps most.
  std::optional<DType> kv_type(const Model& model) const;

  // Ends with its client, or with close(). Throws ApiError: 403 for who is no app, 503 for too many.
  void listen(const Call& call);
  // An event for all apps, or for one client.
  void tell(std::string_view event, const boost::json::object& data);
  void tell(std::string_view client, std::string_view event, const boost::json::object& data);
  // Ends all streams, and those that come.
  void close();

 private:
  struct Listener;
  using Clock = std::chrono::steady_clock;

  void read();
  void send(std::string_view client, const std::string& bytes);

  const std::filesystem::path path_;
  const Logger log_;
  std::optional<AppStore> store_;  // of refresh()'s thread
  std::int64_t version_ = -1;      // of what was read
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const RegisteredApp>, std::less<>> apps_;  // by client
  std::map<std::string, Clock::time_point, std::less<>> used_;                     // by client
  std::vector<std::shared_ptr<Listener>> listeners_;
  Clock::time_point beat_{};
  bool closed_ = false;
};

// The name of the model that a request means which names this one, "" for none. Throws ApiError(403) where
// the app may not ask for it. `model`: what is in memory of that name; null: nothing.
std::string allowed_model(const RegisteredApp& app, std::string_view name, const Model* model);

}  // namespace medlar::server
