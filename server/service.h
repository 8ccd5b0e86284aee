// What all handlers share: the model, once it is loaded, the metrics and the log.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "engine/scheduler.h"
#include "server/metrics.h"

namespace medlar::server {

class Chat;

struct Model {
  Model();
  ~Model();

  std::shared_ptr<Engine> engine;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<Chat> chat;
  std::vector<std::string> names;  // that it is asked for by, the one it is listed under first
  std::filesystem::path path;
  int parallel = 1;
  std::int64_t loaded = 0;  // seconds since 1970

  const std::string& name() const { return names.front(); }
};

class Service {
 public:
  explicit Service(Logger logger) : log(std::move(logger)) {}

  // Any thread, once.
  void ready(std::unique_ptr<Model> model);
  bool is_ready() const { return model_.load() != nullptr; }
  // The model. Valid until close(). Throws ApiError(503) while it is being loaded.
  Model& model() const;
  // The model, if it has this name; "" stands for whichever there is. Throws ApiError(404) naming the one
  // that there is.
  Model& model(std::string_view name) const;
  // Ends all requests and unloads the model. No handler may run any more.
  void close();

  const Logger log;
  Metrics metrics;

 private:
  std::unique_ptr<Model> owned_;
  std::atomic<Model*> model_ = nullptr;
};

}  // namespace medlar::server
