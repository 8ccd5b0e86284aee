#include "store/address.h"

#include <array>
#include <cstdint>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace medlar::store {
namespace {

struct Ipv4Range {
  std::uint32_t prefix;
  int bits;
};

constexpr std::uint32_t ip(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr std::array kPrivateRanges = {
    Ipv4Range{ip(0, 0, 0, 0), 8},        // this network
    Ipv4Range{ip(10, 0, 0, 0), 8},       // private
    Ipv4Range{ip(100, 64, 0, 0), 10},    // shared by carriers
    Ipv4Range{ip(127, 0, 0, 0), 8},      // loopback
    Ipv4Range{ip(169, 254, 0, 0), 16},   // link-local, and the clouds' metadata services
    Ipv4Range{ip(172, 16, 0, 0), 12},    // private
    Ipv4Range{ip(192, 0, 0, 0), 24},     // protocol assignments
    Ipv4Range{ip(192, 0, 2, 0), 24},     // documentation
    Ipv4Range{ip(192, 168, 0, 0), 16},   // private
    Ipv4Range{ip(198, 18, 0, 0), 15},    // benchmarking
    Ipv4Range{ip(198, 51, 100, 0), 24},  // documentation
    Ipv4Range{ip(203, 0, 113, 0), 24},   // documentation
    Ipv4Range{ip(224, 0, 0, 0), 3},      // multicast, reserved, broadcast
};

bool is_private_ipv4(std::uint32_t address) {
  for (const Ipv4Range& range : kPrivateRanges) {
    if ((address ^ range.prefix) >> (32 - range.bits) == 0) return true;
  }
  return false;
}

std::uint32_t big_endian(const std::uint8_t* bytes) { return ip(bytes[0], bytes[1], bytes[2], bytes[3]); }

bool is_private_ipv6(const in6_addr& address) {
  const std::uint8_t* b = address.s6_addr;
  const auto starts_with = [b](std::initializer_list<std::uint8_t> prefix) {
    return std::memcmp(b, prefix.begin(), prefix.size()) == 0;
  };
  if (starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) return is_private_ipv4(big_endian(b + 12));
  if (starts_with({0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0}))
    return is_private_ipv4(big_endian(b + 12));                              // NAT64
  if (starts_with({0x20, 0x02})) return is_private_ipv4(big_endian(b + 2));  // 6to4
  if (starts_with({0x20, 0x01, 0x0D, 0xB8})) return true;                    // documentation
  return (b[0] & 0xE0) != 0x20;                                              // only 2000::/3 is public
}

}  // namespace

bool is_private_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    return is_private_ipv4(ntohl(in.sin_addr.s_addr));
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    return is_private_ipv6(in.sin6_addr);
  }
  return true;
}

std::string to_string(const sockaddr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
  } else if (address.sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
  }
  return text;
}

}  // namespace medlar::store
