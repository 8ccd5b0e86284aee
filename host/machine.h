// The machine that a plan is for: this one, or one of the catalogue.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/host.h"
#include "host/apple_chips.h"

namespace medlar::host {

struct Machine {
  std::string name;                // "Apple M2 Max, 38 GPU cores, 64 GB", or the processor's name for itself
  std::optional<AppleChip> chip;   // of the catalogue; none: this machine
  int threads = 1;                 // that programs use if not told otherwise
  std::uint64_t memory_bytes = 0;  // physical
  std::uint64_t limit_bytes = 0;   // what the process may hold
  std::string limit_reason;        // what sets it: "available memory", "GPU working set", "cgroup"
  std::string note;                // what was assumed, one line; empty: nothing
};

// "MacBook Air M2 16GB", "m1 max 32-core 64 GB", "Mac Studio M2 Ultra 76-core GPU 192GB": the names of
// products are passed over; where GPU cores are not given the fewest that come with so much memory are taken,
// and `note` says so. Throws Error(usage) that lists what there is.
Machine parse_machine(std::string_view text);

// This one as it is now: what is available, within the limits set on this process, but a margin that keeps
// others from being pushed out.
Machine this_machine();
Machine machine_of(const HostInfo& host);

}  // namespace medlar::host
