// Lowering for GPUs: groups of the graph become dispatches, for steps of a given size.
#pragma once

#include <map>
#include <vector>

#include "ir/fuse.h"
#include "runtime/backend.h"
#include "runtime/gpu/plan.h"

namespace medlar::runtime::gpu {

// The sizes that one list of dispatches is made for. A list serves every step that is no larger: kernels read
// the true counts from the step buffer.
struct StepShape {
  int tokens = 1;
  int logit_rows = 1;
  int kv_tokens = 1;  // longest sequence, this step's tokens included
  int runs = 1;       // of neighbouring tokens of one sequence
  friend auto operator<=>(const StepShape&, const StepShape&) = default;
};

// Whether most runs have few tokens: then attention divides the keys, not the rows.
constexpr bool is_decoding(const StepShape& s) { return s.tokens <= 8 || s.runs * 4 > s.tokens; }

struct LowerOptions {
  // Decoding divides a sequence's keys into parts of about this many, so that few heads keep many cores busy.
  int keys_per_split = 256;
  int max_splits = 32;
  // Products of few rows read activations as bytes: for devices with dot products of bytes.
  bool bytes = false;
  // Products of more rows than linear_few takes and up to so many are those of linear_rows.h; 0: the device
  // has no such matrix unit.
  int lane_rows = 0;
  // Products of so many rows and more are those of linear_wgmma.h; 0: the device has no such matrix unit.
  int wgmma_rows = 0;
  int cores = 0;  // that run threadgroups side by side; 0: not known
};

// One layer's keys or values in the KV buffer: pages of (heads, kPageTokens) rows. Or its states, whose pages
// have no rows.
struct KvPart {
  DType type = DType::f32;
  std::int64_t heads = 0, dim = 0, row_bytes = 0, page_bytes = 0;
  std::size_t offset = 0, bytes = 0;
};

// Index: 2 * layer, + 1 for the values. Throws Error(unsupported) when a head cannot be stored in the type.
std::vector<KvPart> layout_kv(const ir::Graph& graph, const ProgramOptions& options);

// The graph, options and layout must outlive it. Throws Error(unsupported) naming what has no kernel.
class Lowering {
 public:
  Lowering(const ir::Graph& graph, const ProgramOptions& options, const std::vector<KvPart>& kv,
           LowerOptions tuning);

  // The shape whose dispatches serve `shape`: sizes are rounded up to powers of two, so that few lists serve
  // all steps.
  StepShape covering(const StepShape& shape) const;
  StepPlan plan(const StepShape& shape) const;

 private:
  friend class Emitter;
  const ir::Graph& graph_;
  const ProgramOptions& options_;
  const std::vector<KvPart>& kv_;
  LowerOptions tuning_;
  std::vector<ir::Group> groups_;
  std::vector<int> storage_;  // the value whose memory each value has: itself, or what it reshapes
  std::map<int, ir::Value> block_inputs_;  // lower_few.h
};

}  // namespace medlar::runtime::gpu
