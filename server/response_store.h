// The answers of /v1/responses, kept in a database so that a later request can go on from one.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "store/database.h"

namespace medlar::server {

struct StoredResponse {
  std::string previous;          // the response that it goes on from; empty: none
  boost::json::array input;      // its own items, not those of earlier responses
  boost::json::object response;  // with its id and output
};

// One thread at a time. Every call names the client whose responses it means; nobody sees another's.
class ResponseStore {
 public:
  // How long a response is kept.
  static constexpr std::chrono::days kKept{30};

  // A damaged file is set aside, and the log told where it is. Throws what Database throws.
  ResponseStore(const std::filesystem::path& path, const Logger& log);

  std::optional<StoredResponse> get(std::string_view client, std::string_view id);
  // All items that led to a response and those that it wrote, the oldest first. Throws ApiError(404) naming
  // the response of the chain that is not there.
  boost::json::array items_through(std::string_view client, std::string_view id);
  // On the disk when it returns. Forgets what is older than kKept.
  void put(std::string_view client, const StoredResponse& response);
  bool remove(std::string_view client, std::string_view id);

 private:
  store::Database database_;
};

}  // namespace medlar::server
