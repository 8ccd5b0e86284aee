#include "server/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "server/connection.h"

namespace medlar::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Unix = asio::local::stream_protocol;
using boost::system::error_code;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

// 10,000 clients are more than the usual limit of 1,024 files.
void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  constexpr rlim_t kEnough = 65536;
  limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? kEnough : std::min<rlim_t>(limit.rlim_max, kEnough);
  setrlimit(RLIMIT_NOFILE, &limit);
}

asio::ssl::context tls_context(const std::filesystem::path& cert, const std::filesystem::path& key) {
  asio::ssl::context context(asio::ssl::context::tls_server);
  context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  SSL_CTX_set_mode(context.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  error_code error;
  context.use_certificate_chain_file(cert.string(), error);
  if (error) fail(ErrorKind::bad_file, "--tls-cert {}: {}", cert.string(), error.message());
  context.use_private_key_file(key.string(), asio::ssl::context::pem, error);
  if (error) fail(ErrorKind::bad_file, "--tls-key {}: {}", key.string(), error.message());
  return context;
}

std::vector<tcp::endpoint> resolve(asio::io_context& io, const std::string& host, int port) {
  error_code error;
  const auto found = tcp::resolver(io).resolve(host, std::to_string(port), tcp::resolver::passive, error);
  if (error || found.empty())
    throw Error(ErrorKind::usage, fmt::format("--host {}: {}", host, error.message()),
                "give an address of this machine, such as 127.0.0.1");
  std::vector<tcp::endpoint> endpoints;
  for (const auto& entry : found) endpoints.push_back(entry.endpoint());
  return endpoints;
}

[[noreturn]] void fail_to_listen(const std::string& what, const error_code& error) {
  if (error == asio::error::address_in_use)
    throw Error(ErrorKind::io, what + " is in use by another program",
                "stop that program, or choose another with --port");
  throw Error(ErrorKind::io, fmt::format("{}: cannot listen: {}", what, error.message()));
}

// A socket file that nobody listens on any more is removed; one that somebody does is in use.
void clear_stale_socket(asio::io_context& io, const std::string& path) {
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  error_code error;
  Unix::socket probe(io);
  probe.connect(Unix::endpoint(path), error);
  if (error == asio::error::connection_refused) unlink(path.c_str());
}

}  // namespace

struct HttpServer::Impl {
  ListenOptions options;
  Logger log;
  ConnectionHub hub;  // outlives the connections, which `io` owns
  std::optional<asio::ssl::context> tls;
  asio::io_context io{1};
  asio::signal_set signals{io};
  asio::steady_timer drained{io};
  std::vector<tcp::acceptor> ports;
  std::vector<Unix::acceptor> sockets;
  std::vector<std::string> urls;

  Impl(const ListenOptions& o, Application& application, Logger l, Ledger& ledger)
      : options(o),
        log(std::move(l)),
        hub{.application = application, .limits = o.limits, .buffers = std::make_shared<Buffers>(ledger)} {}

  void listen_tcp(int port) {
    int bound = port;
    for (tcp::endpoint endpoint : resolve(io, options.host, port)) {
      endpoint.port(static_cast<unsigned short>(bound));
      tcp::acceptor acceptor(io);
      error_code error;
      acceptor.open(endpoint.protocol(), error);
      if (error) continue;  // a protocol that this machine does not have
      acceptor.set_option(asio::socket_base::reuse_address(true), error);
      if (endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(true), error);
      acceptor.bind(endpoint, error);
      if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
      if (error == boost::system::errc::address_not_available && !ports.empty()) continue;
      if (error) fail_to_listen(fmt::format("{} port {}", options.host, bound), error);
      bound = acceptor.local_endpoint().port();
      ports.push_back(std::move(acceptor));
    }
    const bool v6 = options.host.find(':') != std::string::npos;
    urls.push_back(fmt::format("{}://{}:{}", tls ? "https" : "http",
                               v6 ? "[" + options.host + "]" : options.host, bound));
  }

  void listen_unix(const std::string& path) {
    if (path.size() >= 100)
      throw Error(ErrorKind::usage, "--unix: the path is too long for a socket",
                  "choose one below 100 bytes");
    clear_stale_socket(io, path);
    Unix::acceptor acceptor(io);
    error_code error;
    acceptor.open(Unix(), error);
    const mode_t before = umask(0177);  // for its owner only
    if (!error) acceptor.bind(Unix::endpoint(path), error);
    umask(before);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) fail_to_listen(path, error);
    sockets.push_back(std::move(acceptor));
    urls.push_back("unix:" + path);
  }

  template <class Acceptor>
  asio::awaitable<void> accept_from(Acceptor& acceptor) {
    while (acceptor.is_open()) {
      auto [error, socket] = co_await acceptor.async_accept(kTuple);
      if (error == asio::error::operation_aborted || !acceptor.is_open()) co_return;
      if (error) {
        // Out of descriptors, most likely: those who wait are served when others have left.
        log.warning("accept failed reason=\"{}\"", error.message());
        asio::steady_timer pause(io, std::chrono::milliseconds(100));
        co_await pause.async_wait(kTuple);
        continue;
      }
      constexpr bool kLocal = std::is_same_v<Acceptor, Unix::acceptor>;
      if constexpr (!kLocal) socket.set_option(tcp::no_delay(true), error);
      if (tls && !kLocal) {
        asio::co_spawn(io, serve(Socket(std::move(socket)), *tls, hub), asio::detached);
      } else {
        asio::co_spawn(io, serve(Socket(std::move(socket)), kLocal, hub), asio::detached);
      }
    }
  }

  void await_signals() {
    signals.async_wait([this](const error_code& error, int number) {
      if (error) return;
      if (hub.draining) std::_Exit(128 + number);
      log.info("draining signal={} connections={}", number, hub.open);
      drain();
      await_signals();
    });
  }

  void drain() {
    if (hub.draining) return;
    error_code ignored;
    for (auto& acceptor : ports) acceptor.close(ignored);
    for (auto& acceptor : sockets) acceptor.close(ignored);
    hub.drain();
    hub.application.draining();
    await_drained(std::chrono::steady_clock::now() + options.drain);
  }

  void await_drained(std::chrono::steady_clock::time_point deadline) {
    if (hub.open == 0 || std::chrono::steady_clock::now() >= deadline) return io.stop();
    drained.expires_after(std::chrono::milliseconds(20));
    drained.async_wait([this, deadline](const error_code& error) {
      if (!error) await_drained(deadline);
    });
  }
};

HttpServer::HttpServer(const ListenOptions& options, Application& application, Logger log, Ledger& ledger)
    : impl_(std::make_unique<Impl>(options, application, std::move(log), ledger)) {
  if (options.tls_cert.empty() != options.tls_key.empty())
    throw Error(ErrorKind::usage, "TLS needs both a certificate and its key",
                "give --tls-cert and --tls-key");
  raise_file_limit();
  if (!options.tls_cert.empty()) impl_->tls = tls_context(options.tls_cert, options.tls_key);
  if (!options.unix_path.empty()) {
    impl_->listen_unix(options.unix_path);
  } else {
    impl_->listen_tcp(options.port);
  }
  if (options.ollama_port != 0) impl_->listen_tcp(options.ollama_port);
}

HttpServer::~HttpServer() {
  if (!impl_->options.unix_path.empty()) unlink(impl_->options.unix_path.c_str());
}

const std::vector<std::string>& HttpServer::urls() const { return impl_->urls; }

void HttpServer::run() {
  impl_->signals.add(SIGINT);
  impl_->signals.add(SIGTERM);
  impl_->await_signals();
  for (auto& acceptor : impl_->ports) asio::co_spawn(impl_->io, impl_->accept_from(acceptor), asio::detached);
  for (auto& acceptor : impl_->sockets)
    asio::co_spawn(impl_->io, impl_->accept_from(acceptor), asio::detached);
  const auto work = asio::make_work_guard(impl_->io);
  impl_->io.run();
}

void HttpServer::post(std::function<void()> task) { asio::post(impl_->io, std::move(task)); }
void HttpServer::drain() { impl_->drain(); }
void HttpServer::stop() { impl_->io.stop(); }

}  // namespace medlar::server
