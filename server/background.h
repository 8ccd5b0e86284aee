// Work that takes longer than a handler may, on threads of its own: disks, downloads, loading models.
#pragma once

#include <functional>
#include <memory>

#include "server/routes.h"

namespace medlar::server {

class Background {
 public:
  explicit Background(int threads);
  ~Background();  // as close()

  // Does it in turn, on one of the threads. What it throws is answered in the route's dialect.
  void run(const Call& call, std::function<void(const Call&)> work);
  // Waits for what is at work; drops what waits, and what comes later.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar::server
