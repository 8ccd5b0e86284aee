// The application behind the protocol: admits by Host, Origin, key and route, and hands requests to handlers.
#pragma once

#include <memory>

#include "server/access.h"
#include "server/http.h"
#include "server/routes.h"
#include "server/service.h"

namespace medlar::server {

class Api : public Application {
 public:
  // `service` must outlive it.
  Api(Service& service, Access access);
  ~Api() override;

  Admission admit(const RequestHead& head) override;
  void handle(std::shared_ptr<Exchange> exchange) override;
  void draining() override;
  Response malformed(int status, std::string_view reason) override;
  void answered(const HttpRequest& request, int status, double seconds) override;

  // Waits for the handlers at work; those that wait are dropped.
  void close();

 private:
  struct Workers;
  void serve(const std::shared_ptr<Exchange>& exchange) const;
  void load(const Call& call, const std::string& name) const;

  Service& service_;
  Access access_;
  Routes routes_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace medlar::server
