// Parameter blocks of the GPU kernels and the head of the device step buffer. Host and kernels share these
// structs: 4- and 8-byte members only, each at a multiple of its size. Extents are in elements, strides in
// bytes. What a kernel computes is defined by the struct of the same name in kernels/args.h.
#pragma once

#include "kernels/gpu/types.h"

namespace medlar {
namespace gpu {

// What changes from step to step lives in device memory, never in parameters, so that one list of dispatches
// can be replayed. Token ids, positions, sequences, rows and page tables are arrays of i32 in the same
// buffer.
struct StepCounts {
  i32 tokens;          // T
  i32 logit_rows;      // R
  i32 page_stride[4];  // of each group's page table
  i32 runs;            // of tokens of one sequence each, one behind the other
};

// Which of the step's counts is the number of rows; numbered as kernels::RowCount.
enum { kRowsOne = 0, kRowsTokens = 1, kRowsLogits = 2 };

struct EmbedParams {
  u32 dim, row_bytes;
  f32 scale;
  u32 last;  // row of the table
};

struct GatherParams {
  u32 dim;
};

enum {
  kBest = 128,       // logits of a list
  kBestPart = 8192,  // logits, or entries of lists, of a threadgroup
};

struct TokenLogit {
  i32 token;
  f32 logit;
};

struct BestParams {
  u32 n;      // of a row: logits, or entries
  u32 merge;  // the row is lists
};

struct ReadPeakParams {
  u32 rounds;    // a multiple of 8
  u32 groups;    // the grid
  u32 expected;  // stored where a thread's words add up to it
};

struct ProductPeakParams {
  u32 rounds;
  f32 expected;
};

struct NormParams {
  u32 rows;     // which count
  u32 per_row;  // vectors a row
  u32 dim;
  f32 eps;
  u32 has_weight, has_residual;
};

// Rows of f32 as rows of f16 with a power of two for each row: x = y * scale. RMS-normalised first, maybe.
struct PrepareParams {
  u32 rows, dim;
  u32 norm, has_weight;
  f32 eps;
  u32 per_row;     // vectors a row
  u32 layout;      // what rows become
  u32 row_blocks;  // of eight, where lanes load them
};
// Rows of a multiple of eight values; swizzled tiles (swizzled_tiles.h); lanes' units (lane_units.h).
enum { kLayoutRows = 0, kLayoutTiles = 1, kLayoutLanes = 2 };
enum { kLaneColumns = 32 };

// Operands of the products of many rows (swizzled_tiles.h).
enum { kSwizzledRows = 128, kSwizzledColumns = 64, kSwizzledBytes = 16384 };

// Rows of a matrix as swizzled tiles: `rows` of them from row `first` on.
struct UnpackParams {
  u32 rows, first;
  u32 k, row_bytes;
  u32 k_tiles;
  u32 aligned;  // rows, to 16 bytes
};

// Products of many rows (linear_wgmma.h): outputs first, first + 1, ... of a matrix (n, k), `part` of them.
struct WgmmaParams {
  u32 rows;  // which count
  u32 n, first, part;
  u32 n_tiles, k_tiles;
  u32 groups;  // of the grid
  u32 glu, activation;
  u32 has_bias, has_residual;
};

struct LinearParams {
  u32 rows;       // which count
  u32 n, k;       // weight (n, k)
  u32 row_bytes;  // of the weight
  u32 has_bias, has_residual;
};

// A product by tiles (linear_tile.h), in parts of so many columns of its matrix each: a whole number of
// blocks.
struct TileParams {
  LinearParams linear;
  u32 parts, part_columns;
  u32 part_rows;  // that a part's sums have room for
  u32 aligned;    // rows of weights, to 16 bytes
};

enum { kMaxExperts = 4096 };

enum { kMaxRouteGroups = 256 };
enum { kScoreSoftmax = 0, kScoreSigmoid = 1 };  // as kernels::RouteScore

struct RouteParams {
  u32 rows, experts, used, normalize;
  u32 score, has_bias;
  u32 groups, groups_used, group_best;
  f32 scale;
};

struct ExpertPairsParams {
  u32 rows, experts;
  u32 block_rows;  // at most, of a block
  u32 blocks;      // room for so many
};

// Pairs of one expert, with its number: first, first + 1, ...
struct ExpertBlock {
  u32 expert, first, rows;
};

struct ExpertLinearParams {
  LinearParams linear;  // of one expert, without residual
  u32 gather;           // x has the step's rows, not one for each pair
};

struct ExpertSumParams {
  u32 rows, dim, experts, used, has_residual;
};

enum {
  kFewOutputs = 32,          // of a threadgroup of linear_few
  kFewBatch = 4,             // rows of x that it takes, as bytes
  kOneOutputs = 8,           // of a tile of linear_one; kFewOutputs where the result is stored as bytes
  kOneBlockPiece = 2048,     // values of a row that its simdgroups take at once, of weights in blocks
  kOneDensePiece = 1024,     // the same of dense ones
  kOneSums = 2048,           // sums of a threadgroup: outputs, twice with a gate, times pieces of a row
  kOneRingBytes = 90 << 10,  // with the sums as much as GPUs of sm_86 have for a threadgroup
  kInt8Chunk = 2048,  // rows of bytes are whole numbers of these codes; each eight codes take eleven bytes
};

// Rows of f32 as rows of bytes (int8_rows.h).
struct QuantizeParams {
  u32 rows, dim;
  u32 has_weight;
};

// Products of few rows (linear_few.h): up to three matrices that read the same x, side by side; or, with
// `glu`, the gated activation of the first by the second.
struct FewParams {
  u32 rows;       // which count
  u32 n[3];       // of each matrix; 0: there is none
  u32 k;          // of each
  u32 row_bytes;  // of each
  u32 norm;       // x is still to be divided by its root mean square
  f32 eps;
  u32 glu, activation;
  u32 has_bias;          // bit i: of matrix i
  u32 has_residual;      // added to the first matrix's product
  u32 bytes, has_gamma;  // the result, times gamma, is also stored as rows of bytes
  u32 groups;            // of linear_one: threadgroups, at most tiles
};

enum {
  kActivationNone = 0,
  kActivationSilu = 1,
  kActivationGelu = 2,
  kActivationClampedSilu = 3
};  // as kernels::Activation

struct GluParams {
  u32 rows, width, activation;
};

enum { kBinaryAdd = 0, kBinaryMul = 1 };  // as kernels::BinaryOp

struct BinaryParams {
  u32 rows, width, op, broadcast;
};

enum {
  kUnaryScale = 0,
  kUnarySoftcap = 1,
  kUnarySilu = 2,
  kUnaryGelu = 3,
  kUnarySigmoid = 4,
  kUnaryGeluErf = 5,
  kUnaryReluSquared = 6
};  // as kernels::UnaryOp

struct UnaryParams {
  u32 rows, width, op;
  f32 parameter;
};

struct TemperatureParams {
  u32 width;
  f32 beta;
  u32 length;
};

struct ConcatParams {
  u32 rows, a_width, b_width;
};

// A matrix (n, k) for each head.
struct HeadLinearParams {
  u32 rows, heads, n, k, rest;
  u32 row_bytes;  // of the weights
};

struct LayerNormParams {
  u32 rows, dim;
  f32 eps;
  u32 has_bias;
};

struct SliceParams {
  u32 rows, per_row, dim, begin, width;
};

struct ShortConvParams {
  u32 channels, width;
  u32 has_bias, activation;
  u32 group, padding;
  u64 page_bytes;  // of the states
};

struct ScanParams {
  u32 width, q_at, k_at, v_at;  // of a row of x
  u32 heads, key_heads, key_dim, value_dim;
  u32 interleaved, delta;
  f32 eps, scale;
  u32 group, padding;
  u64 page_bytes;  // of the states
};

enum { kRopeAdjacent = 0, kRopeHalves = 1 };  // as kernels::RopeStyle

// Heads of queries or keys on their way to attention.
struct HeadParams {
  u32 heads, dim;
  u32 norm, has_weight;  // norm of each head
  f32 eps;
  u32 rope_dim, rope_style;  // 0: no rotation
  f32 magnitude;
  u32 rope_first;  // value that is rotated
};

struct StoreParams {
  u32 heads, dim;
  u32 group, row_bytes;  // of the cache
  u64 page_bytes;
};

// Queries, keys and values of a token (attend_heads.h).
struct AttendParams {
  HeadParams q, k;
  StoreParams key, value;
};

struct AttentionParams {
  u32 heads, kv_heads, k_dim, v_dim;
  u32 k_row_bytes, v_row_bytes;
  u64 k_page_bytes, v_page_bytes;
  f32 scale, softcap;
  u32 window, group, has_sinks;
  u32 splits;  // parts that the keys are divided into; more than 1 needs attention_combine
  u32 causal;
};

enum { kKvF32 = 0, kKvF16 = 1, kKvBf16 = 2, kKvQ8_0 = 3, kKvQ4_0 = 4 };

// Attention over the matrix unit (flash_attention.h).
struct FlashParams {
  AttentionParams attention;  // more than one split needs flash_combine
  u32 shared_heads;           // query heads that share a KV head
  f32 per_shared_head;        // 1 / shared_heads
  u32 k_type, v_type;         // kKv...
  u32 bytes, has_gamma;       // the result, times gamma, is also stored as rows of bytes
};

}  // namespace gpu
}  // namespace medlar
