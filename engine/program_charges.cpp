#include "engine/program_charges.h"

#include <algorithm>
#include <utility>

namespace medlar {
namespace {

std::uint64_t count(std::int64_t bytes) { return static_cast<std::uint64_t>(bytes); }

}  // namespace

ProgramCharges::ProgramCharges(const Ledgers& ledgers, const runtime::Program& program, const Shape& shape) {
  const std::vector<const runtime::Program*> programs = program.parts();
  for (std::size_t i = 0; i < programs.size(); ++i) {
    const runtime::MemoryPlan& takes = programs[i]->memory();
    Ledger& place = ledgers.of(shape.memories[i]);
    Part part{.apart = shape.memories[i].apart,
              .weight_bytes = shape.weights ? takes.weights : 0,
              .activation_bytes = takes.activations,
              .scratch_bytes = takes.scratch};
    part.weights = place.charge(MemoryUse::weights, count(part.weight_bytes));
    part.kv = place.charge(MemoryUse::kv, count(takes.cache()));
    part.cache = place.charge(MemoryUse::cache, 0);
    part.activations = place.charge(MemoryUse::activations, count(part.activation_bytes));
    part.scratch = ledgers.machine->charge(MemoryUse::scratch, count(part.scratch_bytes));
    for (int g = 0; g < shape.groups; ++g)
      part.page_bytes.push_back(static_cast<std::int64_t>(programs[i]->page_bytes(g)));
    parts_.push_back(std::move(part));
  }
}

void ProgramCharges::note(const PageTree& tree) {
  note_pages(tree);
  for (Part& part : parts_) {
    part.weights.set_used(count(part.weight_bytes));
    part.activations.set_used(count(part.activation_bytes));
    part.scratch.set_used(count(part.scratch_bytes));
  }
}

void ProgramCharges::note_pages(const PageTree& tree) {
  for (Part& part : parts_) part.note_pages(tree);
}

void ProgramCharges::rest() {
  for (Part& part : parts_)
    if (!part.apart) part.weights.set_used(0);
}

void ProgramCharges::Part::note_pages(const PageTree& tree) {
  std::int64_t bytes = 0, most = 1;
  for (std::size_t g = 0; g < page_bytes.size(); ++g) {
    const std::int64_t pages = tree.touched(static_cast<int>(g));
    bytes += pages * page_bytes[g];
    most = std::max(most, pages);
  }
  const std::int64_t used = bytes / most * std::min(tree.usage().used, most);
  kv.set_used(count(used));
  cache.set_used(count(bytes - used));
}

}  // namespace medlar
