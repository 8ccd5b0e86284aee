#include "runtime/gpu/lower_attention.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/assert.h"

namespace medlar::runtime::gpu {

using namespace medlar::gpu;  // NOLINT: this file is about their parameters
using ir::Value;

namespace {

constexpr std::int64_t kFewRows = 16, kTileRows = 64;  // of a threadgroup of flash_few and flash_tile
constexpr std::int64_t kGroupsPerCore = 3;             // threadgroups of flash_few that a core runs at once
// Keys, or values, that a threadgroup of flash_few has before it at a time: its least share is so many keys.
constexpr std::int64_t kTileValues = 8192;

std::int64_t visible_keys(std::int64_t window, const StepShape& shape) {
  return window > 0 ? std::min<std::int64_t>(window, shape.kv_tokens) : shape.kv_tokens;
}

AttentionParams params_of(const StepBuilder& b, Value v, const AttentionPlace& at) {
  const ir::Attention& o = b.op<ir::Attention>(v);
  return {.heads = u32_of(b.type(v).shape[0]),
          .kv_heads = u32_of(at.k.heads),
          .k_dim = u32_of(at.k.dim),
          .v_dim = u32_of(at.v.dim),
          .k_row_bytes = u32_of(at.k.row_bytes),
          .v_row_bytes = u32_of(at.v.row_bytes),
          .k_page_bytes = static_cast<std::uint64_t>(at.k.page_bytes),
          .v_page_bytes = static_cast<std::uint64_t>(at.v.page_bytes),
          .scale = o.scale,
          .softcap = o.softcap,
          .window = u32_of(b.g().kv_layers()[static_cast<std::size_t>(o.layer)].window),
          .group = static_cast<std::uint32_t>(at.group),
          .has_sinks = b.has_input(v, 3),
          .splits = 1,
          .causal = o.causal};
}

std::size_t floats(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }

// f32 all through, a threadgroup for each query head.
void emit_exact(StepBuilder& b, Value v, const AttentionPlace& at, AttentionParams p,
                const LowerOptions& tuning) {
  const StepShape& shape = b.shape();
  // A way that depends on the step: not where a row must take one path whatever is beside it.
  if (shape.tokens <= kVecRows && !b.batch_invariant())
    p.splits = u32_of(std::clamp<std::int64_t>(visible_keys(p.window, shape) / tuning.keys_per_split, 1,
                                               tuning.max_splits));
  const Region sinks = p.has_sinks ? b.constant(b.in(v, 3)) : kCounts;
  const Region y = p.splits == 1
                       ? b.value(v)
                       : b.temporary(floats(std::int64_t{shape.tokens} * p.heads * p.splits * (p.v_dim + 2)));
  b.emit(fmt::format("attention_{}_{}", format_name(at.k.type), format_name(at.v.type)), p,
         {kCounts, step(StepField::positions), step(StepField::sequences), step(StepField::pages, at.group),
          b.value(b.in(v, 0)), at.k_region, at.v_region, sinks},
         {y}, {p.heads, u32_of(shape.tokens), p.splits});
  if (p.splits > 1)
    b.emit("attention_combine", p, {kCounts, y, sinks}, {b.value(v)}, {p.heads, u32_of(shape.tokens)});
}

std::uint32_t kv_type(DType type) {
  switch (type) {
    case DType::f32:
      return kKvF32;
    case DType::f16:
      return kKvF16;
    case DType::bf16:
      return kKvBf16;
    case DType::q8_0:
      return kKvQ8_0;
    default:
      MEDLAR_ASSERT(type == DType::q4_0);
      return kKvQ4_0;
  }
}

// So many parts that every core has work, of at least one tile of keys.
std::uint32_t splits_of(const AttentionParams& p, const StepShape& shape, std::int64_t tiles,
                        std::int64_t head, int cores) {
  const std::int64_t most = std::max<std::int64_t>(visible_keys(p.window, shape) * head / kTileValues, 1);
  constexpr int kUnknownCores = 16;
  const std::int64_t room = kGroupsPerCore * (cores > 0 ? cores : kUnknownCores) / (p.kv_heads * tiles);
  return u32_of(std::clamp<std::int64_t>(room, 1, most));
}

void emit_flash(StepBuilder& b, Value v, const AttentionPlace& at, const AttentionParams& a, int cores) {
  const StepShape& shape = b.shape();
  const std::int64_t heads = a.heads / a.kv_heads;
  FlashParams p{.attention = a,
                .shared_heads = u32_of(heads),
                .per_shared_head = 1.0F / static_cast<float>(heads),
                .k_type = kv_type(at.k.type),
                .v_type = kv_type(at.v.type),
                .bytes = at.stored.bytes.has_value(),
                .has_gamma = at.stored.gamma.has_value()};
  const bool few = is_decoding(shape);
  const std::int64_t rows = few ? kFewRows : kTileRows;
  // Every run may end in a tile that is not full.
  const std::int64_t tiles = std::min(ceil_div(shape.tokens * heads, rows) + std::int64_t{shape.runs} - 1,
                                      shape.tokens * std::int64_t{ceil_div(heads, rows)});
  constexpr std::array<std::int64_t, 4> kHeads = {64, 128, 256, 512};
  const std::int64_t head = *std::ranges::lower_bound(kHeads, std::max(at.k.dim, at.v.dim));
  if (few) p.attention.splits = splits_of(a, shape, tiles, head, cores);
  const std::uint32_t splits = p.attention.splits;
  const Region y = b.value(v), sinks = a.has_sinks ? b.constant(b.in(v, 3)) : kCounts;
  const Region bytes = at.stored.bytes.value_or(y), gamma = at.stored.gamma.value_or(kCounts);
  const std::int64_t parts = std::int64_t{shape.tokens} * a.heads * splits;
  const Region sums = splits > 1 ? b.temporary(floats(parts * a.v_dim)) : y;
  const Region tops = splits > 1 ? b.temporary(floats(parts * 2)) : y;
  b.emit(fmt::format("flash_{}_{}", few ? "few" : "tile", head), p,
         {kCounts, step(StepField::positions), step(StepField::sequences), step(StepField::runs),
          step(StepField::pages, at.group), b.value(b.in(v, 0)), at.k_region, at.v_region, sinks, gamma},
         {splits > 1 ? sums : y, sums, tops, splits > 1 ? sums : bytes}, {a.kv_heads, u32_of(tiles), splits});
  if (splits > 1)
    b.emit("flash_combine", p, {kCounts, sums, tops, sinks, gamma}, {y, bytes},
           {a.heads, u32_of(shape.tokens)});
}

}  // namespace

void emit_attention(StepBuilder& b, Value v, const AttentionPlace& at, const LowerOptions& tuning) {
  const AttentionParams p = params_of(b, v, at);
  constexpr std::int64_t kMaxFlashHead = 512;
  if (b.only_vec() || at.k.dim > kMaxFlashHead) return emit_exact(b, v, at, p, tuning);
  emit_flash(b, v, at, p, tuning.cores);
}

}  // namespace medlar::runtime::gpu
