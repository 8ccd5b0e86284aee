#include "engine/program_charges.h"

#include <algorithm>

namespace medlar {
namespace {

std::uint64_t count(std::int64_t bytes) { return static_cast<std::uint64_t>(bytes); }

}  // namespace

ProgramCharges::ProgramCharges(Ledger& ledger, Ledger& device, const runtime::Program& program,
                               std::int64_t weights, int groups)
    : weight_bytes_(weights),
      activation_bytes_(program.memory().activations),
      scratch_bytes_(program.memory().scratch),
      weights_(device.charge(MemoryUse::weights, count(weight_bytes_))),
      kv_(device.charge(MemoryUse::kv, count(program.memory().kv))),
      cache_(device.charge(MemoryUse::cache, 0)),
      activations_(device.charge(MemoryUse::activations, count(activation_bytes_))),
      scratch_(ledger.charge(MemoryUse::scratch, count(scratch_bytes_))) {
  for (int g = 0; g < groups; ++g) page_bytes_.push_back(static_cast<std::int64_t>(program.page_bytes(g)));
}

void ProgramCharges::note(const PageTree& tree) {
  note_pages(tree);
  weights_.set_used(count(weight_bytes_));
  activations_.set_used(count(activation_bytes_));
  scratch_.set_used(count(scratch_bytes_));
}

void ProgramCharges::note_pages(const PageTree& tree) {
  std::int64_t bytes = 0, most = 1;
  for (std::size_t g = 0; g < page_bytes_.size(); ++g) {
    const std::int64_t pages = tree.touched(static_cast<int>(g));
    bytes += pages * page_bytes_[g];
    most = std::max(most, pages);
  }
  const std::int64_t used = bytes / most * std::min(tree.usage().used, most);
  kv_.set_used(count(used));
  cache_.set_used(count(bytes - used));
}

}  // namespace medlar
