// Who may ask: the names this server answers to, the pages it answers, and API keys.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "server/http.h"
#include "server/options.h"

namespace medlar::server {

class Access {
 public:
  // `bound` is the address the server listens on. Throws Error(usage) where it reaches beyond this machine
  // and neither a key nor no_api_key is given, or a key is empty.
  Access(const AccessOptions& options, std::string_view bound);

  // Whether Host and Origin are as a client of this server sends them. A page of another site, and one whose
  // name was made to point here (DNS rebinding), fail.
  bool allows_host(const RequestHead& head) const;
  bool allows_origin(const RequestHead& head) const;

  bool needs_key() const { return !keys_.empty(); }
  // The fingerprint of the key in Authorization: Bearer or x-api-key; empty: none that is known. Takes the
  // same time for every wrong key.
  std::string client_of(const RequestHead& head) const;
  // The key that a request has; empty: none.
  static std::string_view key_of(const RequestHead& head);

 private:
  using Digest = std::array<unsigned char, 32>;  // SHA-256

  bool is_own_name(std::string_view host) const;

  std::vector<std::string> names_, origins_;
  bool any_address_ = false;  // listens on all of the machine's addresses
  std::vector<Digest> keys_;
};

// Of a fingerprint: the first ones of its SHA-256 in hexadecimal.
inline constexpr std::size_t kFingerprintLetters = 16;

bool is_loopback(std::string_view host);

}  // namespace medlar::server
