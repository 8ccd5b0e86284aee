// How much memory each process may have, from what all of them say: the same for everyone who asks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/lease_record.h"

namespace medlar::host {

// Bytes for each record, in their order, its models included. `total` is what all may have together; a model
// that several have mapped counts once. What is left beside the models goes, in equal additions, first to
// what each holds already, then to what each cannot do without, then to what interactive and then to what
// background processes want, and at last to all up to the most that they take: nobody starves.
std::vector<std::uint64_t> shares(std::span<const LeaseRecord> records, std::uint64_t total);

}  // namespace medlar::host
