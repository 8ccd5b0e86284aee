// What models said in earlier turns, as the tokens that were sampled.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "text/reply/reply.h"

namespace medlar::server {

// A chat template writes an earlier turn its own way, and its text becomes tokens anew: both may differ from
// what was sampled, and nothing behind it is then found in the cache. So the latest turns are kept, to be put
// into the prompt as they were.
class SampledTurns {
 public:
  struct Turn {
    std::vector<std::int32_t> tokens;
    std::string reasoning;
  };

  // Any thread. `client`: turns are found by the same one only.
  void remember(std::string_view client, const reply::Reply& reply, std::vector<std::int32_t> tokens);
  // The turn that a message in OpenAI's form quotes: the same content and calls, whatever their ids and the
  // spaces in their arguments. Null: none.
  std::shared_ptr<const Turn> find(std::string_view client, const boost::json::object& message) const;

 private:
  static constexpr std::size_t kMostTurns = 1024;
  static constexpr std::size_t kMostTokens = std::size_t{1} << 20;

  mutable std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const Turn>>> latest_;  // the newest first
  std::size_t tokens_ = 0;
};

}  // namespace medlar::server
