// Fusion: which plain operations run as one step. A fused step is a set of plain nodes, so its meaning is
// always its own expansion; no second definition exists.
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "ir/graph.h"

namespace medlar::ir {

// One operation on its own.
struct Single {
  Value node;
};

// [rms_norm] -> up to three linears of one input -> [residual add] or [glu of two].
struct LinearGroup {
  struct Out {
    Value linear;
    Value residual;  // what is added to the product, or none
    Value result;    // the value later steps read: the linear, or the sum
  };
  Value input;  // what the norm, or else the products, read
  Value norm;   // the rms_norm node, or none
  std::vector<Out> outs;
  Value glu;  // the glu node over outs[0] (gate) and outs[1] (up), or none: then it is the only result
};

// [norm] -> [rope] of q and k, and the cache writes of k and v.
struct AttendPrepare {
  Value q, k, v;         // what the group reads; q is replaced in place
  Value q_norm, k_norm;  // rms_norm nodes, or none
  Value q_rope, k_rope;  // rope nodes, or none
  Value q_result;        // what attention reads
  Value key_write, value_write;
};

// residual + rms_norm(x).
struct NormAdd {
  Value norm, residual, result;
};

// residual + experts(x, ...).
struct ExpertsAdd {
  Value experts, residual, result;
};

using Group = std::variant<Single, LinearGroup, AttendPrepare, NormAdd, ExpertsAdd>;

struct FusionOptions {
  bool linear = true;
  bool attend_prepare = true;
  bool norm_add = true;
  bool experts_add = true;
  // Whether products with weights of these types can read one prepared input.
  std::function<bool(DType, DType)> share_input = [](DType, DType) { return true; };

  static FusionOptions none() {
    return {.linear = false, .attend_prepare = false, .norm_add = false, .experts_add = false};
  }
};

// Every operation (not the leaves) in exactly one group, in an order in which they can run.
std::vector<Group> fuse(const Graph& graph, const FusionOptions& options = {});

// The nodes of a group, in graph order.
std::vector<Value> members(const Graph& graph, const Group& group);

}  // namespace medlar::ir
