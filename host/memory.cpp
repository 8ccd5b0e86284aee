#include "host/memory.h"

namespace medlar::host {
namespace {

// Measured on Linux (docs/planning.md): a process with the smallest model, most of it pages of the program
// and its libraries.
constexpr std::int64_t kProcess = 20'000'000;
// Of 4 KB pages, 8 bytes each; smaller than that where the system uses larger ones.
constexpr std::int64_t kPageTables = 512;

std::int64_t touched(const ModelPlan& plan) {
  return plan.weights_resident + plan.memory.kv + plan.memory.activations + plan.memory.scratch;
}

// What a model takes beside what its program does: tokenizer, the file's directory, page tables.
std::int64_t around(const ModelPlan& plan) {
  return plan.table_bytes + plan.directory_bytes + (plan.device.apart ? 0 : touched(plan) / kPageTables);
}

// Weights in a device's own memory are all there; in the machine's, those that are read.
std::int64_t on_device(const ModelPlan& plan) {
  return plan.device.apart ? plan.memory.on_device() : touched(plan) - plan.memory.scratch;
}

}  // namespace

MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft) {
  MemoryNeed need{.weights_mapped = plan.memory.weights,
                  .weights_resident = plan.weights_resident,
                  .kv = plan.memory.kv,
                  .activations = plan.memory.activations,
                  .scratch = plan.memory.scratch,
                  .overhead = kProcess + around(plan),
                  .on_device = on_device(plan),
                  .device = plan.device};
  if (draft) {
    need.draft = (draft->device.apart ? draft->memory.scratch : touched(*draft)) + around(*draft);
    need.on_device += on_device(*draft);
  }
  return need;
}

}  // namespace medlar::host
