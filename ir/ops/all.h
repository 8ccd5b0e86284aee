// The one list of operations.
#pragma once

#include <variant>

#include "ir/ops/attention.h"
#include "ir/ops/concat.h"
#include "ir/ops/elementwise.h"
#include "ir/ops/embed.h"
#include "ir/ops/experts.h"
#include "ir/ops/gather_rows.h"
#include "ir/ops/head_linear.h"
#include "ir/ops/layer_norm.h"
#include "ir/ops/linear.h"
#include "ir/ops/received.h"
#include "ir/ops/recurrent.h"
#include "ir/ops/reshape.h"
#include "ir/ops/rms_norm.h"
#include "ir/ops/rope.h"
#include "ir/ops/slice.h"
#include "ir/ops/sources.h"
#include "ir/ops/temperature.h"

namespace medlar::ir {

using Op = std::variant<Weight, Table, Embed, GatherRows, RmsNorm, LayerNorm, Linear, Binary, Unary, Glu,
                        Route, Experts, Reshape, SliceOf, Rope, Temperature, KvWrite, Attention, ShortConv,
                        Scan, Received, HeadLinear, Concat>;

}  // namespace medlar::ir
