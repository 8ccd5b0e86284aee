// Which network addresses are private: where a redirect from the public internet must not lead.
#pragma once

#include <string>

#include <sys/socket.h>

namespace medlar::store {

// Loopback, link-local, private, shared, multicast, reserved and unspecified addresses of IPv4 and IPv6,
// also when an IPv6 address carries such an IPv4 one (RFC 6890 and its registries). Unknown families too.
bool is_private_address(const sockaddr& address);

// "127.0.0.1", "::1"; empty for other families.
std::string to_string(const sockaddr& address);

}  // namespace medlar::store
