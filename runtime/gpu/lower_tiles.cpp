#include "runtime/gpu/lower_tiles.h"

#include <algorithm>
#include <limits>
#include <span>
#include <string>

#include <fmt/format.h>

namespace medlar::runtime::gpu {

using namespace medlar::gpu;  // NOLINT: this file is about their parameters
using ir::Value;

namespace {

using Outs = std::vector<ir::LinearGroup::Out>;

constexpr std::int64_t kUnpackRows = 8;     // of a threadgroup of unpack
constexpr std::int64_t kSumWidth = 256;     // of linear_sum
constexpr std::int64_t kRowsWidth = 64;     // outputs of a threadgroup of linear_rows
constexpr std::int64_t kPartColumns = 256;  // a multiple of every block's length
// Unpacked weights that are there at once; as much again while the next are unpacked.
constexpr std::int64_t kUnpackedBytes = std::int64_t{128} << 20;

std::int64_t matrix_rows(const StepBuilder& b, Value linear) { return b.type(b.in(linear, 1)).shape[0]; }

// All rows of the weight are aligned to 16 bytes.
bool aligned(const StepBuilder& b, Value weight) {
  constexpr std::int64_t kAlignment = 16;
  const ir::ValueType& t = b.type(weight);
  return b.starts_aligned(weight) && row_bytes(t.dtype, t.shape.back()) % kAlignment == 0;
}

// f32 rows made ready, with the group's norm.
Input tile_input(StepBuilder& b, const ir::LinearGroup& group, std::uint32_t layout,
                 std::uint32_t row_blocks = 0) {
  const ir::ValueType& t = b.type(group.input);
  PrepareParams p = b.plain_rows(t.rows, t.width(), 1);
  p.layout = layout, p.row_blocks = row_blocks;
  Region weight = b.value(group.input);
  if (group.norm)
    p.norm = p.has_weight = 1, p.eps = b.op<ir::RmsNorm>(group.norm).eps,
    weight = b.constant(b.in(group.norm, 1));
  return b.prepare(p, b.value(group.input), weight);
}

// --- linear_tile and linear_rows

// Into how many parts the columns are divided so that every core has a few threadgroups.
std::int64_t column_parts(std::int64_t tiles, std::int64_t k, const LowerOptions& tuning) {
  constexpr std::int64_t kGroupsPerCore = 4, kLeastColumns = 512;
  return std::clamp<std::int64_t>(kGroupsPerCore * tuning.cores / tiles, 1,
                                  std::max<std::int64_t>(k / kLeastColumns, 1));
}

// A kernel of either kind, and how many outputs and rows a tile of it has.
struct TileKernel {
  std::string name;
  std::int64_t width, height;
};

// The numbers of parts that linear_rows is fastest with: as few rounds of threadgroups over the cores as
// there can be, and of equal ones the fewest parts.
std::int64_t row_parts(std::int64_t tiles, std::int64_t k, const LowerOptions& tuning) {
  constexpr std::int64_t kGroupsPerCore = 2, kMostParts = 8;
  constexpr double kSum = 0.5;  // what a part more costs, in steps of kPartColumns
  std::int64_t best = 1;
  double least = std::numeric_limits<double>::infinity();
  for (std::int64_t parts = 1; parts <= kMostParts; ++parts) {
    const std::int64_t steps = ceil_div(ceil_div(k, parts), kPartColumns);
    const std::int64_t rounds = ceil_div(tiles * parts, kGroupsPerCore * std::max(tuning.cores, 1));
    const double cost =
        static_cast<double>(rounds * steps) + (parts > 1 ? kSum * static_cast<double>(parts) : 0);
    if (cost < least) least = cost, best = parts;
  }
  return best;
}

void emit_tile(StepBuilder& b, const ir::LinearGroup::Out& out, const Input& x, Region y,
               const TileKernel& kernel, std::int64_t parts) {
  const ir::ValueType& weight = b.type(b.in(out.linear, 1));
  const ir::RowCount rows = b.type(out.linear).rows;
  const std::int64_t n = weight.shape[0], k = weight.shape[1], m = b.max_rows(rows);
  const bool has_bias = b.has_input(out.linear, 2);
  const std::int64_t columns = ceil_div(ceil_div(k, parts), kPartColumns) * kPartColumns;
  const TileParams p{.linear = {.rows = b.rows_of(rows),
                                .n = u32_of(n),
                                .k = u32_of(k),
                                .row_bytes = u32_of(row_bytes(weight.dtype, k)),
                                .has_bias = has_bias,
                                .has_residual = static_cast<bool>(out.residual)},
                     .parts = ceil_div(k, columns),
                     .part_columns = u32_of(columns),
                     .part_rows = u32_of(m),
                     .aligned = aligned(b, b.in(out.linear, 1))};
  const Region w = b.constant(b.in(out.linear, 1));
  const Region bias = has_bias ? b.constant(b.in(out.linear, 2)) : w;
  const Region residual = out.residual ? b.value(out.residual) : w;
  const Region sums =
      p.parts == 1 ? y : b.temporary(static_cast<std::size_t>(p.parts * m * n) * sizeof(float));
  b.emit(kernel.name, p, {kCounts, x.regions[0], x.regions[1], w, bias, residual}, {sums},
         {ceil_div(n, kernel.width), u32_of(ceil_div(m, kernel.height)), p.parts});
  if (p.parts > 1)
    b.emit("linear_sum", p, {kCounts, sums, bias, residual}, {y}, {ceil_div(n, kSumWidth), u32_of(m)});
}

// --- linear_wgmma

// Some outputs of a product, which are unpacked together.
struct Part {
  std::size_t out = 0;  // of the group; the first of the two that a gated part has
  std::int64_t first = 0, n = 0;
  std::vector<Region> unpacked;  // of each matrix
  std::int64_t bytes = 0;        // of them
};

class Wgmma {
 public:
  Wgmma(StepBuilder& b, const ir::LinearGroup& group, const LowerOptions& tuning)
      : b_(b), group_(group), tuning_(tuning), x_(tile_input(b, group, kLayoutTiles)) {
    k_tiles_ = ceil_div(b.type(group.input).width(), kSwizzledColumns);
    gated_ = group.glu &&
             std::ranges::none_of(group.outs, [&](const auto& out) { return b.has_input(out.linear, 2); });
  }

  void emit() {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < (gated_ ? 1 : group_.outs.size()); ++i) divide(i, parts);
    // As many as there is room for are unpacked, then multiplied, side by side.
    for (std::size_t i = 0, end = 0; i < parts.size(); i = end) {
      std::int64_t bytes = 0;
      while (end < parts.size() && (end == i || bytes + parts[end].bytes <= kUnpackedBytes))
        bytes += parts[end].bytes, unpack(parts[end++]);
      for (std::size_t j = i; j < end; ++j) multiply(parts[j]);
    }
    if (group_.glu && !gated_)
      b_.glu(group_.glu, b_.value(group_.outs[0].linear), b_.value(group_.outs[1].linear));
  }

 private:
  void divide(std::size_t out, std::vector<Part>& parts) const {
    const std::int64_t n = matrix_rows(b_, group_.outs[out].linear), matrices = gated_ ? 2 : 1;
    const std::int64_t block = k_tiles_ * kSwizzledBytes * matrices, blocks = ceil_div(n, kSwizzledRows);
    const std::int64_t most = std::max<std::int64_t>(kUnpackedBytes / block, 2);
    const std::int64_t count = ceil_div(blocks, most);
    const std::int64_t each = ceil_div(ceil_div(blocks, count), 2) * 2;  // whole tiles of two halves
    for (std::int64_t at = 0; at < blocks; at += each) {
      const std::int64_t first = at * kSwizzledRows, end = std::min((at + each) * kSwizzledRows, n);
      parts.push_back({.out = out, .first = first, .n = end - first, .unpacked = {}, .bytes = each * block});
    }
  }

  void unpack(Part& part) {
    const std::int64_t blocks = ceil_div(ceil_div(part.n, kSwizzledRows), 2) * 2;
    for (std::size_t i = part.out; i < part.out + (gated_ ? 2 : 1); ++i) {
      const Value weight = b_.in(group_.outs[i].linear, 1);
      const ir::ValueType& t = b_.type(weight);
      part.unpacked.push_back(b_.temporary(static_cast<std::size_t>(blocks * k_tiles_ * kSwizzledBytes)));
      b_.emit(fmt::format("unpack_{}", format_name(t.dtype)),
              UnpackParams{.rows = u32_of(part.n),
                           .first = u32_of(part.first),
                           .k = u32_of(t.shape[1]),
                           .row_bytes = u32_of(row_bytes(t.dtype, t.shape[1])),
                           .k_tiles = u32_of(k_tiles_),
                           .aligned = aligned(b_, weight)},
              {b_.constant(weight)}, {part.unpacked.back()}, {ceil_div(part.n, kUnpackRows)});
    }
  }

  void multiply(const Part& part) {
    const ir::LinearGroup::Out& out = group_.outs[part.out];
    const ir::RowCount rows = b_.type(out.linear).rows;
    const std::int64_t row_tiles = ceil_div(b_.max_rows(rows), kSwizzledRows);
    const std::int64_t halves = gated_ ? 2 : halves_for(row_tiles, part.n);
    const std::int64_t n_tiles = ceil_div(part.n, (gated_ ? 1 : halves) * kSwizzledRows);
    const bool has_bias = b_.has_input(out.linear, 2);
    const std::uint32_t groups = u32_of(std::min<std::int64_t>(row_tiles * n_tiles, tuning_.cores));
    const WgmmaParams p{
        .rows = b_.rows_of(rows),
        .n = u32_of(matrix_rows(b_, out.linear)),
        .first = u32_of(part.first),
        .part = u32_of(part.n),
        .n_tiles = u32_of(n_tiles),
        .k_tiles = u32_of(k_tiles_),
        .groups = groups,
        .glu = gated_,
        .activation = gated_ ? static_cast<std::uint32_t>(b_.op<ir::Glu>(group_.glu).activation) : 0,
        .has_bias = has_bias,
        .has_residual = static_cast<bool>(out.residual)};
    const Region w = part.unpacked.front();
    const Region y = b_.value(gated_ ? group_.glu : group_.glu ? out.linear : out.result);
    b_.emit(fmt::format("linear_wgmma_{}", halves), p,
            {kCounts, x_.regions[0], x_.regions[1], w, part.unpacked.back(),
             has_bias ? b_.constant(b_.in(out.linear, 2)) : w, out.residual ? b_.value(out.residual) : w},
            {y}, {groups});
  }

  // Tiles of two halves are faster for their size, tiles of one leave fewer cores idle at the end.
  std::int64_t halves_for(std::int64_t row_tiles, std::int64_t n) const {
    constexpr double kHalfTile = 0.55;  // of the time of a whole one
    const auto rounds = [&](std::int64_t width) {
      return ceil_div(row_tiles * ceil_div(n, width), tuning_.cores);
    };
    return kHalfTile * rounds(kSwizzledRows) < rounds(2 * kSwizzledRows) ? 1 : 2;
  }

  StepBuilder& b_;
  const ir::LinearGroup& group_;
  const LowerOptions& tuning_;
  const Input x_;
  std::int64_t k_tiles_ = 0;
  bool gated_ = false;
};

// Whether the products are linear_rows.h's.
bool in_registers(const StepBuilder& b, const ir::LinearGroup& group, const LowerOptions& tuning) {
  return b.max_rows(b.type(group.input).rows) <= tuning.lane_rows &&
         std::ranges::all_of(group.outs,
                             [&](const auto& out) { return b.lanes_can_load(b.in(out.linear, 1)); });
}

}  // namespace

void emit_tiles(StepBuilder& b, const ir::LinearGroup& group, const LowerOptions& tuning) {
  const std::int64_t m = b.max_rows(b.type(group.input).rows);
  if (tuning.wgmma_rows > 0 && m >= tuning.wgmma_rows) return Wgmma(b, group, tuning).emit();
  const bool rows = in_registers(b, group, tuning);
  const std::int64_t height = m <= 16 ? 16 : m <= 32 ? 32 : 64;
  const Input x =
      rows ? tile_input(b, group, kLayoutLanes, u32_of(height / 8)) : tile_input(b, group, kLayoutRows);
  for (const ir::LinearGroup::Out& out : group.outs) {
    const ir::ValueType& weight = b.type(b.in(out.linear, 1));
    const std::int64_t n = weight.shape[0], k = weight.shape[1];
    const std::string_view format = format_name(weight.dtype);
    const Region y = b.value(group.glu ? out.linear : out.result);
    if (rows)
      emit_tile(b, out, x, y, {fmt::format("linear_rows_{}_{}", format, height), kRowsWidth, height},
                row_parts(ceil_div(n, kRowsWidth), k, tuning));
    else
      emit_tile(b, out, x, y, {fmt::format("linear_tile_{}", format), kTileSide, kTileSide},
                column_parts(std::int64_t{ceil_div(n, kTileSide)} * ceil_div(m, kTileSide), k, tuning));
  }
  if (group.glu) b.glu(group.glu, b.value(group.outs[0].linear), b.value(group.outs[1].linear));
}

}  // namespace medlar::runtime::gpu
