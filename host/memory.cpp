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
  return plan.table_bytes + plan.directory_bytes + touched(plan) / kPageTables;
}

}  // namespace

MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft) {
  MemoryNeed need{.weights_mapped = plan.memory.weights,
                  .weights_resident = plan.weights_resident,
                  .kv = plan.memory.kv,
                  .activations = plan.memory.activations,
                  .scratch = plan.memory.scratch,
                  .overhead = kProcess + around(plan)};
  if (draft) need.draft = touched(*draft) + around(*draft);
  return need;
}

}  // namespace medlar::host
