#include "server/access.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>
#include <optional>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/error.h"

namespace medlar::server {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// The host of "host", "host:port" or "[v6]:port"; nothing where it is none of these.
std::optional<std::string> host_of(std::string_view authority) {
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else if (const std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == ':' || c == '_';
  };
  if (!port.empty() && (port[0] != ':' || port.size() > 6 || !std::ranges::all_of(port.substr(1), digit)))
    return std::nullopt;
  if (host.empty() || !std::ranges::all_of(host, allowed)) return std::nullopt;
  return lower(host);
}

bool is_address(std::string_view host) {
  boost::system::error_code error;
  boost::asio::ip::make_address(std::string(host), error);
  return !error;
}

bool is_wildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

std::string machine_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? lower(name) : "";
}

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1)
    fail(ErrorKind::unsupported, "libcrypto has no SHA-256");
  return digest;
}

}  // namespace

bool is_loopback(std::string_view host) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  return error ? host == "localhost" : address.is_loopback();
}

Access::Access(const AccessOptions& options, std::string_view bound) {
  if (options.api_keys.empty() && !options.no_api_key && !bound.empty() && !is_loopback(bound))
    throw Error(ErrorKind::usage, fmt::format("--host {}: other machines could use this server", bound),
                "give --api-key KEY, or --no-api-key if that is what you want");
  for (const std::string& key : options.api_keys) {
    if (key.empty())
      throw Error(ErrorKind::usage, "--api-key: the key is empty", "give at least one character");
    keys_.push_back(sha256(key));
  }
  for (const std::string& origin : options.allow_origins) origins_.push_back(lower(origin));
  for (const std::string& host : options.allow_hosts) names_.push_back(lower(host));
  any_address_ = is_wildcard(bound);
  if (!bound.empty()) names_.push_back(lower(bound));
  if (const std::string name = machine_name(); !name.empty() && !is_loopback(bound)) {
    names_.push_back(name);
    names_.push_back(name + ".local");
  }
}

// An address is nobody's to rebind, so a server on all addresses answers to any.
bool Access::is_own_name(std::string_view host) const {
  return is_loopback(host) || std::ranges::find(names_, host) != names_.end() ||
         (any_address_ && is_address(host));
}

bool Access::allows_host(const RequestHead& head) const {
  if (head.local_socket) return true;  // no browser gets here
  const auto values = head.values("host");
  if (values.size() != 1) return false;
  const auto host = host_of(values[0]);
  return host && is_own_name(*host);
}

bool Access::allows_origin(const RequestHead& head) const {
  const auto values = head.values("origin");
  if (values.empty()) return true;
  if (values.size() != 1) return false;
  const std::string origin = lower(values[0]);
  for (const std::string& allowed : origins_)
    if (allowed == "*" || allowed == origin) return true;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    const std::string_view authority = std::string_view(origin).substr(scheme.size());
    const auto host = host_of(authority);
    // A loopback page was served by this machine; any other must come from this very server.
    if (host) return is_loopback(*host) || authority == lower(head.value("host"));
  }
  return false;
}

std::string_view Access::key_of(const RequestHead& head) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view key = head.value("x-api-key");
  const std::string_view authorization = head.value("authorization");
  if (lower(authorization.substr(0, kBearer.size())) == kBearer) key = authorization.substr(kBearer.size());
  return key;
}

std::string Access::client_of(const RequestHead& head) const {
  const Digest given = sha256(key_of(head));
  bool known = false;
  for (const Digest& digest : keys_) known |= CRYPTO_memcmp(given.data(), digest.data(), digest.size()) == 0;
  if (!known) return "";
  std::string fingerprint;
  for (std::size_t i = 0; i < kFingerprintLetters / 2; ++i) fingerprint += fmt::format("{:02x}", given[i]);
  return fingerprint;
}

}  // namespace medlar::server
