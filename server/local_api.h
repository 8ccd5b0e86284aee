// The server's routes for requests of this process: the same handlers, without HTTP.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "server/http.h"
#include "server/service.h"

namespace medlar::server {

class LocalApi {
 public:
  LocalApi(std::unique_ptr<Model> model, Logger log);
  // Drops what is not answered yet, without a word or with a 500.
  ~LocalApi();
  LocalApi(const LocalApi&) = delete;
  LocalApi& operator=(const LocalApi&) = delete;

  // Any thread. `on_answer` is called once, on a thread that must not be held up; a stream arrives as a
  // whole.
  using OnAnswer = std::function<void(Response)>;
  void post(std::string_view path, std::string body, std::string id, OnAnswer on_answer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar::server
