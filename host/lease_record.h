// What a process tells the others with which it shares this machine's memory: one record of 512 bytes.
// docs/apps.md has its layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace medlar::host {

enum class LeasePriority : std::uint8_t { interactive, background };
std::string_view name(LeasePriority priority);

// A file of weights that is mapped. All who map it share its pages.
struct LeasedModel {
  std::uint64_t device = 0, inode = 0;
  std::uint64_t bytes = 0;

  friend bool operator==(const LeasedModel&, const LeasedModel&) = default;
};

// Bytes throughout.
struct LeaseRecord {
  std::int32_t pid = 0;       // for people
  std::uint64_t machine = 0;  // that it runs on, until the next start of it
  std::string name;           // of the program, for people; at most kMostName bytes
  LeasePriority priority = LeasePriority::interactive;
  std::uint64_t most = UINT64_MAX;  // that it takes in any case, its models included
  std::uint64_t least = 0;          // that it cannot do without, its models included
  // Beside its models:
  std::uint64_t wanted = 0;         // more than it holds, where it is about to take more
  std::uint64_t held = 0;           // what it has taken; it keeps that
  std::uint64_t used = 0;           // of the system's memory, now
  std::vector<LeasedModel> models;  // at most kMostModels

  static constexpr std::size_t kMostName = 48, kMostModels = 16;

  std::uint64_t model_bytes() const;
  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

inline constexpr std::size_t kLeaseRecordBytes = 512;
using LeaseBytes = std::array<std::byte, kLeaseRecordBytes>;

// What is beyond the limits is cut off.
LeaseBytes encode(const LeaseRecord& record);
// Nothing where the checksum is wrong, as while it is being written, or a field is.
std::optional<LeaseRecord> decode(std::span<const std::byte, kLeaseRecordBytes> bytes);

// a + b, at most UINT64_MAX; a - b, at least 0.
constexpr std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) { return a + b < a ? UINT64_MAX : a + b; }
constexpr std::uint64_t less(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace medlar::host
