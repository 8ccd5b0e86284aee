#include "runtime/gpu/lower_few.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "kernels/gpu/kernels.h"

namespace medlar::runtime::gpu {

using namespace medlar::gpu;  // NOLINT: this file is about their parameters
using ir::Value;

namespace {

constexpr std::size_t kMatrices = 3;
constexpr std::int64_t kBytesGroup = 32;  // values with one scale (kernels/gpu/int8_rows.h)
constexpr std::int64_t kMostPieces = kOneSums / (2 * kFewOutputs);  // of a row

DType weight_type(const ir::Graph& graph, Value linear) { return graph[graph[linear].inputs[1]].type.dtype; }

bool is_block(const ir::Graph& graph, Value linear) {
  return format_info(weight_type(graph, linear)).block_length > 1;
}

// Formats of blocks have products with rows of bytes, or none here.
bool has_product(const ir::Graph& graph, Value linear) {
  return find_kernel(fmt::format("linear_one_{}", format_name(weight_type(graph, linear)))) != nullptr;
}

int one_piece(DType type) { return format_info(type).block_length > 1 ? kOneBlockPiece : kOneDensePiece; }

}  // namespace

std::uint32_t one_groups(const FewParams& p, DType type, int cores) {
  const std::int64_t tile = p.bytes ? kFewOutputs : kOneOutputs;
  std::int64_t tiles = 0;
  for (const std::uint32_t n : p.n) tiles += ceil_div(n, tile);
  if (p.glu) tiles = ceil_div(p.n[0], tile);
  const std::int64_t sums = ceil_div(p.k, one_piece(type)) * (p.glu ? 2 : 1) * tile;  // of a tile
  const std::int64_t least = ceil_div(tiles, kOneSums / sums);
  return u32_of(std::clamp<std::int64_t>(cores, least, std::max(least, tiles)));
}

BlockInputs block_inputs(const ir::Graph& graph, const std::vector<ir::Group>& groups,
                         const std::vector<int>& storage) {
  BlockInputs found;
  for (const ir::Group& group : groups)
    if (const auto* linear = std::get_if<ir::LinearGroup>(&group))
      if (std::ranges::any_of(linear->outs, [&](const auto& out) {
            return is_block(graph, out.linear) && has_product(graph, out.linear);
          }))
        found.try_emplace(storage[static_cast<std::size_t>(linear->input.id)], linear->norm);
  return found;
}

struct FewProducts::Operands {
  FewParams p{};
  std::vector<Region> reads, writes;
  Region gamma, bytes;
};

FewProducts::FewProducts(StepBuilder& builder, const LowerOptions& options, const BlockInputs& block_inputs)
    : b_(builder), options_(options), block_inputs_(block_inputs) {}

bool FewProducts::take(const ir::LinearGroup& group) const {
  if (!options_.bytes || b_.only_vec()) return false;
  const std::int64_t rows = b_.max_rows(b_.type(group.input).rows);
  const auto possible = [&](const ir::LinearGroup::Out& out) {
    const Value weight = b_.in(out.linear, 1);
    const ir::ValueType& t = b_.type(weight);
    return has_product(b_.g(), out.linear) && rows <= (is_block(b_.g(), out.linear) ? kFewBatch : 1) &&
           b_.lanes_can_load(weight) && ceil_div(t.shape[1], one_piece(t.dtype)) <= kMostPieces;
  };
  return std::ranges::all_of(group.outs, possible);
}

// Matrices of one type side by side; one whose product is added to something by itself.
void FewProducts::emit(const ir::LinearGroup& group) {
  const auto dtype = [&](const ir::LinearGroup::Out& out) { return b_.type(b_.in(out.linear, 1)).dtype; };
  if (group.glu && dtype(group.outs[0]) == dtype(group.outs[1])) return emit(group, group.outs, true);
  std::vector<Outs> parts;
  for (const ir::LinearGroup::Out& out : group.outs) {
    const auto same = std::ranges::find_if(parts, [&](const Outs& part) {
      return !out.residual && !part[0].residual && dtype(part[0]) == dtype(out);
    });
    if (same != parts.end())
      same->push_back(out);
    else
      parts.push_back({out});
  }
  for (const Outs& part : parts) emit(group, part, false);
  if (group.glu) b_.glu(group.glu, b_.value(group.outs[0].linear), b_.value(group.outs[1].linear));
}

void FewProducts::emit(const ir::LinearGroup& group, const Outs& outs, bool gated) {
  Operands o = operands(group, outs, gated);
  const DType dtype = b_.type(b_.in(outs[0].linear, 1)).dtype;
  const std::int64_t m = b_.max_rows(b_.type(group.input).rows);
  if (m == 1) {
    o.p.groups = one_groups(o.p, dtype, options_.cores);
    return b_.emit(fmt::format("linear_one_{}", format_name(dtype)), o.p, std::move(o.reads),
                   std::move(o.writes), {.x = o.p.groups});
  }
  std::uint32_t tiles = 0;
  for (std::size_t i = 0; i < (gated ? 1 : kMatrices); ++i) tiles += ceil_div(o.p.n[i], kFewOutputs);
  b_.emit(fmt::format("linear_few_{}", format_name(dtype)), o.p, std::move(o.reads), std::move(o.writes),
          {.x = tiles});
}

FewProducts::Operands FewProducts::operands(const ir::LinearGroup& group, const Outs& outs, bool gated) {
  const ir::ValueType& rows = b_.type(group.input);
  const bool blocks = is_block(b_.g(), outs[0].linear);
  Operands o;
  FewParams& p = o.p;
  p.rows = b_.rows_of(rows.rows), p.k = u32_of(rows.width());
  p.row_bytes = u32_of(row_bytes(b_.type(b_.in(outs[0].linear, 1)).dtype, rows.width()));
  if (group.norm) p.norm = 1, p.eps = b_.op<ir::RmsNorm>(group.norm).eps;
  if (gated) p.glu = 1, p.activation = static_cast<std::uint32_t>(b_.op<ir::Glu>(group.glu).activation);
  p.has_residual = static_cast<bool>(outs[0].residual);

  const Region unused = b_.constant(b_.in(outs[0].linear, 1));
  std::vector<Region> weights(kMatrices, unused), biases(kMatrices, unused);
  for (std::size_t i = 0; i < outs.size(); ++i) {
    const Value linear = outs[i].linear;
    p.n[i] = u32_of(b_.type(b_.in(linear, 1)).shape[0]);
    weights[i] = b_.constant(b_.in(linear, 1));
    if (b_.has_input(linear, 2)) p.has_bias |= 1U << i, biases[i] = b_.constant(b_.in(linear, 2));
  }
  const Value result = gated ? group.glu : outs[0].result;
  const auto result_of = [&](const ir::LinearGroup::Out& out) {
    return b_.value(group.glu ? out.linear : out.result);
  };
  o.writes.assign(kMatrices, gated ? b_.value(result) : result_of(outs[0]));
  for (std::size_t i = 1; i < outs.size() && !gated; ++i) o.writes[i] = result_of(outs[i]);
  o.reads = {kCounts, blocks ? input(group) : b_.value(group.input)};
  o.reads.insert(o.reads.end(), weights.begin(), weights.end());
  o.reads.insert(o.reads.end(), biases.begin(), biases.end());
  o.reads.push_back(outs[0].residual ? b_.value(outs[0].residual) : unused);
  o.gamma = unused, o.bytes = o.writes[0];
  if (outs.size() == 1 || gated) store_bytes(result, o);
  o.reads.push_back(o.gamma);
  o.reads.push_back(group.norm ? b_.constant(b_.in(group.norm, 1)) : unused);
  o.writes.push_back(o.bytes);
  return o;
}

// Where a product of weights in blocks reads the result, it is stored for that, too.
void FewProducts::store_bytes(Value result, Operands& o) {
  const auto reader = block_inputs_.find(b_.storage(result));
  if (reader == block_inputs_.end() || o.p.n[0] % kFewOutputs != 0) return;
  o.p.bytes = 1, o.p.has_gamma = static_cast<bool>(reader->second);
  if (o.p.has_gamma) o.gamma = b_.constant(b_.in(reader->second, 1));
  o.bytes = bytes_of_rows(result);
  bytes_.insert_or_assign({b_.storage(result), reader->second.id}, o.bytes);
}

StoredBytes FewProducts::stored_bytes(Value attention) {
  const ir::ValueType& t = b_.type(attention);
  const auto reader = block_inputs_.find(b_.storage(attention));
  if (!options_.bytes || b_.only_vec() || b_.max_rows(t.rows) > kFewBatch || reader == block_inputs_.end() ||
      t.shape.back() % kBytesGroup != 0)
    return {};
  StoredBytes stored{.bytes = bytes_of_rows(attention)};
  if (reader->second) stored.gamma = b_.constant(b_.in(reader->second, 1));
  bytes_.insert_or_assign({b_.storage(attention), reader->second.id}, *stored.bytes);
  return stored;
}

// Room for a value as rows of bytes (kernels/gpu/int8_rows.h).
Region FewProducts::bytes_of_rows(Value v) {
  const ir::ValueType& t = b_.type(v);
  const std::int64_t stride = std::int64_t{ceil_div(t.width(), kInt8Chunk)} * kInt8Chunk;
  return b_.temporary(static_cast<std::size_t>(b_.max_rows(t.rows) * (stride / 8 * 11)));
}

// The group's input as rows of bytes, times the weight of its norm: as it was stored by what made it, or made
// now.
Region FewProducts::input(const ir::LinearGroup& group) {
  const std::pair<int, std::int32_t> key{b_.storage(group.input), group.norm.id};
  if (const auto found = bytes_.find(key); found != bytes_.end()) return found->second;
  const ir::ValueType& t = b_.type(group.input);
  const Region y = bytes_of_rows(group.input), x = b_.value(group.input);
  b_.emit("quantize", QuantizeParams{b_.rows_of(t.rows), u32_of(t.width()), static_cast<bool>(group.norm)},
          {kCounts, x, group.norm ? b_.constant(b_.in(group.norm, 1)) : x}, {y},
          {ceil_div(t.width(), kElementwiseWidth), u32_of(b_.max_rows(t.rows))});
  return bytes_[key] = y;
}

}  // namespace medlar::runtime::gpu
