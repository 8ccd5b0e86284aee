// The arguments of each kernel, as plain structs of pointers and extents. Activations are f32, row major,
// (rows, width) with no padding. A kernel never allocates, never throws and never waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "formats/dtype.h"
#include "kernels/step.h"

namespace medlar::kernels {

// Which row of a table a token gets.
enum class EmbedBy : std::uint8_t { token, position };

// y[t] = scale * table[r], where r is the token's id or its position; positions past the table have its last
// row.
struct EmbedArgs {
  const void* table;  // (table_rows, dim) of `type`
  DType type;
  std::int64_t dim;
  float scale;
  float* y;  // (T, dim)
  EmbedBy by = EmbedBy::token;
  std::int64_t table_rows = 0;  // of positions
};

// y[r] = x[rows[r]]
struct GatherRowsArgs {
  const float* x;  // (T, dim)
  std::int64_t dim;
  float* y;  // (R, dim)
};

// y = x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019), over each of `rows x per_row` vectors;
// with a residual, y = residual + that.
struct RmsNormArgs {
  const float* x;         // (rows, per_row, dim)
  const float* weight;    // (dim), or null for no scale
  const float* residual;  // like x, or null
  RowCount rows;
  std::int64_t per_row;  // vectors a row: heads, or 1
  std::int64_t dim;
  float eps;
  float* y;  // like x
};

// y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight + bias (Ba et al. 2016), over each row.
struct LayerNormArgs {
  const float* x;       // (rows, dim)
  const float* weight;  // (dim)
  const float* bias;    // (dim), or null
  RowCount rows;
  std::int64_t dim;
  float eps;
  float* y;  // (rows, dim), not x
};

enum class BinaryOp : std::uint8_t { add, mul };

// y = a op b; b is (width) and repeats for each row when `broadcast`.
struct BinaryArgs {
  BinaryOp op;
  const float* a;  // (rows, width)
  const float* b;  // (rows, width) or (width)
  bool broadcast;
  RowCount rows;
  std::int64_t width;
  float* y;
};

enum class UnaryOp : std::uint8_t {
  scale,    // parameter * x
  softcap,  // parameter * tanh(x / parameter)   (Gemma 2)
  silu,
  gelu,          // tanh approximation
  sigmoid,       // 1 / (1 + e^-x)
  gelu_erf,      // x times the normal distribution below x (Hendrycks & Gimpel 2016)
  relu_squared,  // max(x, 0)^2   (So et al. 2021)
};

struct UnaryArgs {
  UnaryOp op;
  float parameter;
  const float* x;  // (rows, width)
  RowCount rows;
  std::int64_t width;
  float* y;
};

enum class Activation : std::uint8_t {
  none,
  silu,
  gelu,          // the tanh approximation
  clamped_silu,  // g sigmoid(1.702 g) * (u + 1) with g = min(gate, 7), u = clamp(up, -7, 7) (OpenAI 2025)
};
inline constexpr float kClampedSlope = 1.702F, kClampedLimit = 7;

// y = activation(gate) * up   (Shazeer 2020)
struct GluArgs {
  Activation activation;
  const float* gate;  // (rows, width)
  const float* up;    // (rows, width)
  RowCount rows;
  std::int64_t width;
  float* y;
};

// y = x * (1 + beta log(1 + floor(position / length))): attention's temperature grows where texts are longer
// than they were in training (Meta 2025, Llama 4; Nakanishi 2025).
struct TemperatureArgs {
  const float* x;  // (T, width)
  std::int64_t width;
  float beta;
  std::int64_t length;
  float* y;
};

// How activations are stored for a product with a weight format's blocks.
enum class ActKind : std::uint8_t {
  f32,  // as they are
  q8,   // int8 with one f32 scale per 32 values, outliers apart (kernels/cpu/activation.h)
};

// What a step of many rows has instead of ActKind's, where something multiplies batches better.
enum class Batch : std::uint8_t {
  none,
  tiles,   // bf16 for a matrix unit of this processor (kernels/cpu/activation.h)
  floats,  // f32 for the system's BLAS
};

// From how many rows on: a matrix unit pays early; a BLAS wants the weights as f32 in memory, and copies
// them.
constexpr std::int64_t batch_from(Batch batch) { return batch == Batch::tiles ? 12 : 64; }
constexpr bool in_batch(Batch batch, std::int64_t rows) {
  return batch != Batch::none && rows >= batch_from(batch);
}

// Rows of activations made ready for LinearArgs; with `norm`, RMS-normalised first.
struct PrepareArgs {
  const float* x;  // (rows, width)
  bool norm;
  const float* norm_weight;  // (width), or null for no scale
  float eps;
  RowCount rows;
  std::int64_t width;
  ActKind kind;
  Batch batch;
  bool packed;               // a batch is there already: LinearArgs::next, or x itself
  std::byte* y;              // prepared_bytes() of them
  std::int64_t per_row = 1;  // vectors a row, where there is no batch: x and y are (rows, per_row, width)
  // Not 0: each thread prepares a vector that is the only one for itself, at y + index * copy_bytes, and the
  // product may begin as soon as it has.
  std::int64_t copy_bytes = 0;
};

// The leaf of a product: y[m * ldy + j] = dot(row j of weight, x[m]) for j < n and m < rows.
struct RowsDot {
  const std::byte* weight;  // n rows of row_bytes
  std::int64_t row_bytes;
  std::int64_t n, k;
  const std::byte* x;  // rows x act_bytes(kind, k), of the kind the entry wants
  std::int64_t rows;
  float* y;
  std::int64_t ldy;
  std::span<std::byte> scratch;  // this thread's
  bool uniform = false;          // a row's result must not depend on how many rows there are
};
using RowsDotFn = void (*)(const RowsDot&);

inline constexpr std::int64_t kBatchDotScratch = 1 << 21;  // bytes that LinearOut::batch_dot wants

// A stretch of a weight row for the matrix unit: `values` of them, a multiple of 32, to lines of bf16 that
// lie a tile apart. Prefetches `ahead` bytes further.
struct UnpackTiles {
  const std::byte* from;
  std::int64_t values;
  std::byte* to;
  std::int64_t ahead;
};
using UnpackTilesFn = void (*)(const UnpackTiles&);

// One weight matrix that reads the shared, prepared input.
struct LinearOut {
  const void* weight;    // (n, k) of `type`, rows contiguous
  RowsDotFn dot;         // the kernel for `type`
  UnpackTilesFn unpack;  // and what batches have: for Batch::tiles
  RowsDotFn batch_dot;   // ... for Batch::floats, of ActKind::f32
  DType type;
  std::int64_t n;
  const float* bias;      // (n), or null
  const float* residual;  // (rows, n) added to the result, or null; may equal y
  float* y;               // (rows, n)
};

inline constexpr int kMaxLinearOuts = 3;

// y_i = x W_i^T + bias_i + residual_i for up to three matrices in one sweep (QKV; gate and up). With an
// activation, there are two matrices (gate, up) of the same n and outs[0].y = activation(gate) * up.
struct LinearArgs {
  const std::byte* x;        // from PrepareArgs with the same kind and batch
  const std::byte* batch_x;  // in a batch; x too, unless it was packed
  ActKind kind;
  Batch batch;
  RowCount rows;
  std::int64_t k;
  int outs;
  LinearOut out[kMaxLinearOuts];
  Activation glu;
  bool uniform;  // as RowsDot's
  // In a batch of tiles, where out[0]'s result goes instead of y: into the tiles of the product that reads
  // it, whose k is out[0].n, a multiple of 32. Then out[0] has no residual. Or null.
  std::byte* next;
  std::int64_t copy_bytes = 0;  // as PrepareArgs's
};

// What a router's logit says of an expert: its share in the softmax over the row, or its own sigmoid.
enum class RouteScore : std::uint8_t { softmax, sigmoid };

// Which experts each row uses, and how much of each (Shazeer et al. 2017): the row's scores, but 0 outside
// its `used` best; when `normalize`, the others sum to 1; all of that times `scale`. The best have the
// largest score plus bias, of equal ones the first (Wang et al. 2024). Where there are groups of neighbouring
// experts, they are of the `groups_used` best groups, which are those with the largest sum of their
// `group_best` best experts (DeepSeek-AI 2024). Exactly `used` values of each row are not 0.
struct RouteArgs {
  const float* logits;          // (rows, experts)
  const float* bias = nullptr;  // (experts), or none
  RowCount rows;
  std::int64_t experts, used;
  RouteScore score = RouteScore::softmax;
  bool normalize;
  std::int64_t groups = 1, groups_used = 1, group_best = 1;
  float scale = 1;
  float* y;  // (rows, experts)
};

// The experts of a batch: what RouteArgs wrote, or other weights of which at most `used` of a row are not 0.
// A pair is a row and an expert whose weight is not 0; pairs are ordered by expert, then by row.
struct Routing {
  const float* weights;  // (rows, experts)
  RowCount rows;
  std::int64_t experts, used;
  bool uniform = false;  // as RowsDot's
};

// The matrices of all experts, one after the other.
struct ExpertMatrices {
  const void* weight;  // (experts, n, k) of `type`
  RowsDotFn dot;       // the kernel for `type`
  DType type;
  const float* bias = nullptr;  // (experts, n), or none
};

// y[p] = activation(gate_e x[r]) * (up_e x[r]) for each pair p of row r and expert e.
struct ExpertGluArgs {
  Routing routing;
  const std::byte* x;  // rows x act_bytes(kind, k), from PrepareArgs
  ActKind kind;
  std::int64_t k, n;
  ExpertMatrices gate, up;
  Activation activation;
  float* y;  // (rows * used, n); those past the last pair stay as they are
};

// y[r] = residual[r] + sum over the row's pairs p with expert e of weights[r, e] * (down_e x[p]).
struct ExpertSumArgs {
  Routing routing;
  const std::byte* x;  // (rows * used) x act_bytes(kind, k), from PrepareArgs
  ActKind kind;
  std::int64_t k, n;
  ExpertMatrices down;
  const float* residual;  // (rows, n), or null; may equal y
  float* y;               // (rows, n)
};

enum class RopeStyle : std::uint8_t {
  adjacent,  // rotates (x[2i], x[2i+1])          (llama)
  halves,    // rotates (x[i], x[i + rope_dim/2]) (neox: qwen, gemma, phi)
};

// Rotary position embedding (Su et al. 2021) of values [first, first + rope_dim) of a head. Angles are
// position * inv_freq[i]; other values pass through.
struct RopeArgs {
  const float* x;  // (T, heads, head_dim)
  std::int64_t heads, head_dim, rope_dim;
  RopeStyle style;
  const float* inv_freq;  // (rope_dim / 2)
  float magnitude;        // multiplies sin and cos (YaRN), else 1
  float* y;               // like x; may equal x
  std::int64_t first = 0;
};

// A matrix for each head, for its first k values; the rest of them pass through:
// y[t, h] = (W_h x[t, h, :k], x[t, h, k:]).
struct HeadLinearArgs {
  const float* x;      // (rows, heads, k + rest)
  const void* weight;  // (heads, n, k) of `type`
  DType type;
  RowsDotFn dot;  // the exact kernel for `type`
  RowCount rows;
  std::int64_t heads, n, k, rest;
  float* y;  // (rows, heads, n + rest)
};

// y = (a, b), row by row.
struct ConcatArgs {
  const float* a;  // (rows, a_width)
  const float* b;  // (rows, b_width)
  RowCount rows;
  std::int64_t a_width, b_width;
  float* y;  // (rows, a_width + b_width)
};

// The keys and values of one layer, in pages: page p, head h, token t starts at
// base + p * page_bytes + (h * kPageTokens + t) * row_bytes, where row_bytes is a row of dim values of
// `type`.
struct KvPages {
  std::byte* base;
  DType type;
  std::int64_t heads, dim;
  std::int64_t row_bytes, page_bytes;
};

// Writes row t of x to its sequence's page at its position.
struct KvWriteArgs {
  const float* x;  // (T, heads, dim)
  KvPages to;
  int group;  // which page table
};

// Everything between the QKV product and attention, in one pass: optional per-head norms of q and k, rotary
// embedding of both, and the cache writes of k and v.
struct AttendPrepareArgs {
  float* q;        // (T, heads, dim), replaced in place
  const float* k;  // (T, kv heads, dim)
  const float* v;  // (T, kv heads, v dim)
  std::int64_t heads, head_dim;
  const float* q_norm;  // (head_dim), or null for no norm
  const float* k_norm;
  float eps;
  std::int64_t rope_dim;  // 0: no rotation
  RopeStyle style;
  const float* inv_freq;
  float magnitude;
  KvPages k_to, v_to;
  int group;
};

// The states of one recurrent layer: that of page p at base + p * page_bytes. The state after the token at
// position q is in the page of q, where q is the page's last position or the sequence's. Before position 0 it
// is 0.
struct StatePages {
  std::byte* base;
  std::int64_t page_bytes;
  int group;  // which page table
};

inline constexpr int kMaxConvWidth = 8;

// Causal convolution of each channel by itself over the tokens of a sequence:
// y[t, c] = activation(bias[c] + sum_j weight[c, j] x[t - width + 1 + j, c]).
struct ShortConvArgs {
  const float* x;       // (T, channels)
  const float* weight;  // (channels, width)
  const float* bias;    // (channels), or null
  std::int64_t channels, width;
  Activation activation;
  StatePages state;  // (width - 1, channels): the last inputs, the latest last
  float* y;          // (T, channels)
};

// A gated linear recurrence: for each head a state S (key_dim, value_dim), which each token makes fade,
// writes to and reads. With d = softplus(a + bias):
//   S = exp(rate d) S + k u^T,  y = scale S^T q + skip v
// where u = sigmoid(b) (v - exp(rate d) S^T k) with b: the gated delta rule (Yang et al. 2025), whose q and k
// have length 1, x / sqrt(sum x^2 + eps); and u = d v without: a selective state space (Dao & Gu 2024,
// Mamba 2).
struct ScanArgs {
  const float* x;      // (T, width), in which a token's q, k (key_heads, key_dim) and v begin at
  std::int64_t width;  //
  std::int64_t q_at, k_at, v_at;
  std::int64_t heads, key_heads, key_dim, value_dim;
  bool interleaved;  // head h has key head h % key_heads; else h / (heads / key_heads)
  float eps, scale;
  const float* a;     // (T, heads)
  const float* rate;  // (heads), below 0
  const float* bias;  // (heads)
  const float* b;     // (T, heads), or null
  const float* skip;  // (heads), or null
  StatePages state;   // (heads, key_dim, value_dim)
  float* y;           // (T, heads, value_dim)
};

// y[r, i] = x[r, i, begin : begin + width] for i < per_row.
struct SliceArgs {
  const float* x;  // (rows, per_row, dim)
  RowCount rows;
  std::int64_t per_row, dim, begin, width;
  float* y;  // (rows, per_row, width)
};

// Attention of each token over its own sequence's cache, heads grouped over KV heads:
// y = softmax(cap(scale q k^T)) v, causal with keys at positions (p - window, p] where window > 0. Else a
// token also sees those after it up to the last of its sequence in this step, in which its tokens lie one
// behind the other: (p - window, p + window).
struct AttentionArgs {
  const float* q;  // (T, heads, head_dim)
  std::int64_t heads;
  KvPages k, v;
  int group;
  float scale;
  float softcap;        // 0: none
  std::int64_t window;  // 0: none
  const float* sinks;   // (heads) logits that take probability and give nothing (gpt-oss), or null
  bool tiles;           // a matrix unit, where there is one, may round everything to bf16
  float* y;             // (T, heads, v.dim)
  // Where threads leave what they have of work that they share, (threads, 2, attention_partial_floats), for
  // attention_merge, which then follows with the same arguments. Null: nothing is split, nothing follows.
  float* partials;
  bool uniform = false;  // a token's result must not depend on those beside it
  bool causal = true;
};

inline constexpr std::int64_t kAttentionRows = 64;  // query rows, tokens times heads, of a partial result
constexpr std::int64_t attention_partial_floats(std::int64_t v_dim) {
  return kAttentionRows * ((v_dim + 63) / 64 * 64 + 2);
}

}  // namespace medlar::kernels
