// One client's connection: requests read one after the other, each answered before the next is read.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <unordered_set>

#include "server/buffers.h"
#include "server/http.h"
#include "server/options.h"

namespace medlar::server {

using Socket = boost::asio::generic::stream_protocol::socket;

// What the connections of a server share. Lives on the I/O thread.
struct ConnectionHub {
  Application& application;
  HttpLimits limits;
  std::shared_ptr<Buffers> buffers;
  bool draining = false;  // every connection ends after its present answer
  // Of each connection that waits for a request: what ends it.
  std::unordered_set<std::function<void()>*> idle;
  std::size_t open = 0;

  // From now on no connection waits for another request.
  void drain();
};

// Serve until the client leaves, breaks a rule or takes too long. Never throw.
boost::asio::awaitable<void> serve(Socket socket, bool local, ConnectionHub& hub);
boost::asio::awaitable<void> serve(Socket socket, boost::asio::ssl::context& tls, ConnectionHub& hub);

}  // namespace medlar::server
