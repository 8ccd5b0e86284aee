#include "host/memory.h"

#include <algorithm>

namespace medlar::host {
namespace {

// Measured on Linux (docs/planning.md): a process with the smallest model, most of it pages of the program
// and its libraries.
constexpr std::int64_t kProcess = 20'000'000;
// Of 4 KB pages, 8 bytes each; smaller than that where the system uses larger ones.
constexpr std::int64_t kPageTables = 512;

// Of the machine's memory.
std::int64_t touched(const ModelPlan& plan) {
  std::int64_t bytes = plan.memory.scratch;
  for (const ModelPlan::Part& part : plan.parts)
    if (!part.room.apart) bytes += part.weights_resident + part.memory.cache() + part.memory.activations;
  return bytes;
}

// What a model takes beside what its program does: tokenizer, the file's directory, page tables.
std::int64_t around(const ModelPlan& plan) {
  return plan.table_bytes + plan.directory_bytes + touched(plan) / kPageTables;
}

// Weights in a device's own memory are all there; in the machine's, those that are read.
MemoryNeed::OnDevice on_device(const ModelPlan::Part& part) {
  const std::int64_t weights = part.room.apart ? part.memory.weights : part.weights_resident;
  return {.device = part.device,
          .name = part.name,
          .layers = part.layers,
          .weights = weights,
          .needed = weights + part.memory.cache() + part.memory.activations,
          .room = part.room};
}

void add_draft(const ModelPlan& draft, MemoryNeed& need) {
  need.draft = touched(draft) + around(draft);
  for (const ModelPlan::Part& part : draft.parts) {
    const MemoryNeed::OnDevice more = on_device(part);
    const auto known = std::ranges::find_if(need.devices, [&](const MemoryNeed::OnDevice& d) {
      return d.device == part.device && d.room.number == part.room.number;
    });
    if (known != need.devices.end())
      known->needed += more.needed;
    else if (part.room.available > 0)
      need.devices.push_back(more);
  }
}

}  // namespace

std::int64_t MemoryNeed::everywhere() const {
  std::int64_t bytes = total();
  for (const OnDevice& device : devices) bytes += device.room.apart ? device.needed : 0;
  return bytes;
}

std::int64_t MemoryNeed::share(std::int64_t more, std::int64_t weights) const {
  const double all = static_cast<double>(std::max<std::int64_t>(weights_mapped, 1));
  return static_cast<std::int64_t>(static_cast<double>(more) *
                                   std::min(1.0, static_cast<double>(weights) / all));
}

bool MemoryNeed::fits(std::int64_t limit, std::int64_t more) const {
  std::int64_t elsewhere = 0;
  for (const OnDevice& device : devices) elsewhere += device.room.apart ? device.weights : 0;
  return total() + more - share(more, elsewhere) <= limit && fits_devices(more);
}

std::pair<const MemoryNeed::OnDevice*, std::int64_t> MemoryNeed::fullest(std::int64_t more) const {
  std::pair<const OnDevice*, std::int64_t> worst{nullptr, 0};
  for (const OnDevice& device : devices) {
    const std::int64_t lacks = device.needed + share(more, device.weights) - device.room.available;
    if (!worst.first || lacks > worst.second) worst = {&device, lacks};
  }
  return worst;
}

MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft) {
  MemoryNeed need{.weights_mapped = plan.memory.weights,
                  .weights_resident = plan.weights_resident,
                  .kv = plan.memory.kv,
                  .state = plan.memory.state,
                  .activations = plan.memory.activations,
                  .scratch = plan.memory.scratch,
                  .overhead = kProcess + around(plan)};
  for (const ModelPlan::Part& part : plan.parts) {
    if (part.room.available > 0) need.devices.push_back(on_device(part));
    if (part.room.apart) need.apart += part.weights_resident + part.memory.cache() + part.memory.activations;
  }
  if (draft) add_draft(*draft, need);
  return need;
}

}  // namespace medlar::host
