// Every GPU kernel, as lists to be visited: a list expands V(file, threads, name, instance) for each kernel,
// where `instance` defines the kernel when it stands after `file`, and is empty for a kernel that the file
// defines by itself. The emulator's functions are one visit, the table of what exists (kernels.h) is another.
#pragma once

// F(V, format, block) for each format of weights, and of the KV cache.
#define MEDLAR_GPU_KV_FORMATS(F, V) \
  F(V, f32, BlockF32)               \
  F(V, f16, BlockF16)               \
  F(V, bf16, BlockBf16)             \
  F(V, q8_0, BlockQ8_0)             \
  F(V, q4_0, BlockQ4_0)
#define MEDLAR_GPU_DENSE_FORMATS(F, V) \
  F(V, f32, BlockF32)                  \
  F(V, f16, BlockF16)                  \
  F(V, bf16, BlockBf16)
#define MEDLAR_GPU_BLOCK_FORMATS(F, V) \
  F(V, q8_0, BlockQ8_0)                \
  F(V, q4_0, BlockQ4_0)                \
  F(V, q4_1, BlockQ4_1)                \
  F(V, q5_0, BlockQ5_0)                \
  F(V, q5_1, BlockQ5_1)                \
  F(V, q2_k, BlockQ2_K)                \
  F(V, q3_k, BlockQ3_K)                \
  F(V, q4_k, BlockQ4_K)                \
  F(V, q5_k, BlockQ5_K)                \
  F(V, q6_k, BlockQ6_K)                \
  F(V, iq4_nl, BlockIq4_NL)            \
  F(V, iq4_xs, BlockIq4_XS)            \
  F(V, mxfp4, BlockMxfp4)
// Blocks that have no product with rows of bytes (int8_dot.h).
#define MEDLAR_GPU_GRID_FORMATS(F, V) \
  F(V, iq3_s, BlockIq3_S)             \
  F(V, iq3_xxs, BlockIq3_XXS)         \
  F(V, iq2_s, BlockIq2_S)             \
  F(V, iq2_xs, BlockIq2_XS)           \
  F(V, iq2_xxs, BlockIq2_XXS)         \
  F(V, iq1_m, BlockIq1_M)             \
  F(V, iq1_s, BlockIq1_S)             \
  F(V, tq2_0, BlockTq2_0)             \
  F(V, tq1_0, BlockTq1_0)             \
  F(V, nvfp4, BlockNvfp4)
#define MEDLAR_GPU_WEIGHT_FORMATS(F, V) \
  MEDLAR_GPU_DENSE_FORMATS(F, V)        \
  MEDLAR_GPU_BLOCK_FORMATS(F, V)        \
  MEDLAR_GPU_GRID_FORMATS(F, V)

#define MEDLAR_GPU_ROWS(block) Rows<medlar::formats::block>

#define MEDLAR_GPU_PLAIN_KERNELS(V)                              \
  V("kernels/gpu/rms_norm.h", 256, rms_norm, )                   \
  V("kernels/gpu/layer_norm.h", 256, layer_norm, )               \
  V("kernels/gpu/prepare.h", 256, prepare, )                     \
  V("kernels/gpu/linear_sum.h", 256, linear_sum, )               \
  V("kernels/gpu/quantize.h", 256, quantize, )                   \
  V("kernels/gpu/elementwise.h", 256, glu, )                     \
  V("kernels/gpu/elementwise.h", 256, binary, )                  \
  V("kernels/gpu/elementwise.h", 256, unary, )                   \
  V("kernels/gpu/elementwise.h", 256, temperature, )             \
  V("kernels/gpu/elementwise.h", 256, concat, )                  \
  V("kernels/gpu/elementwise.h", 256, slice, )                   \
  V("kernels/gpu/recurrent.h", 128, short_conv, )                \
  V("kernels/gpu/recurrent.h", 128, scan, )                      \
  V("kernels/gpu/rows.h", 256, gather_rows, )                    \
  V("kernels/gpu/best_logits.h", 256, best_logits, )             \
  V("kernels/gpu/peak.h", 512, read_peak, )                      \
  V("kernels/gpu/peak.h", 256, product_peak, )                   \
  V("kernels/gpu/heads.h", 128, heads, )                         \
  V("kernels/gpu/route.h", 128, route, )                         \
  V("kernels/gpu/expert_pairs.h", 256, expert_pairs, )           \
  V("kernels/gpu/expert_sum.h", 128, expert_sum, )               \
  V("kernels/gpu/attention_combine.h", 128, attention_combine, ) \
  V("kernels/gpu/flash_combine.h", 256, flash_combine, )

#define MEDLAR_GPU_EMBED(V, f, block) \
  V("kernels/gpu/rows.h", 128, embed_##f, EMBED(embed_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_EMBED_KERNELS(V) MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_EMBED, V)

#define MEDLAR_GPU_STORE_HEADS(V, f, block) \
  V("kernels/gpu/store_heads.h", 128, store_heads_##f, STORE_HEADS(store_heads_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_STORE_HEADS_KERNELS(V) MEDLAR_GPU_KV_FORMATS(MEDLAR_GPU_STORE_HEADS, V)

// Rows of activations in one pass over the weights: 1, 4 or 8.
#define MEDLAR_GPU_LINEAR_VEC_1(V, f, block)             \
  V("kernels/gpu/linear_vec.h", 128, linear_vec_##f##_1, \
    LINEAR_VEC(linear_vec_##f##_1, MEDLAR_GPU_ROWS(block), 1))
#define MEDLAR_GPU_LINEAR_VEC_4(V, f, block)             \
  V("kernels/gpu/linear_vec.h", 128, linear_vec_##f##_4, \
    LINEAR_VEC(linear_vec_##f##_4, MEDLAR_GPU_ROWS(block), 4))
#define MEDLAR_GPU_LINEAR_VEC_8(V, f, block)             \
  V("kernels/gpu/linear_vec.h", 128, linear_vec_##f##_8, \
    LINEAR_VEC(linear_vec_##f##_8, MEDLAR_GPU_ROWS(block), 8))
#define MEDLAR_GPU_LINEAR_VEC_KERNELS(V)                \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_LINEAR_VEC_1, V) \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_LINEAR_VEC_4, V) \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_LINEAR_VEC_8, V)

// Rows of x that are bytes for formats of blocks, and f32 for dense ones: one. Up to kFewBatch rows of bytes.
#define MEDLAR_GPU_LINEAR_ONE_INT8(V, f, block)      \
  V("kernels/gpu/linear_one.h", 256, linear_one_##f, \
    LINEAR_ONE(linear_one_##f, Int8Leaf<medlar::formats::block>, kOneBlockPiece, 256))
#define MEDLAR_GPU_LINEAR_ONE_DENSE(V, f, block)     \
  V("kernels/gpu/linear_one.h", 256, linear_one_##f, \
    LINEAR_ONE(linear_one_##f, F32Leaf<medlar::formats::block>, kOneDensePiece, 256))
#define MEDLAR_GPU_LINEAR_ONE_KERNELS(V)                  \
  MEDLAR_GPU_BLOCK_FORMATS(MEDLAR_GPU_LINEAR_ONE_INT8, V) \
  MEDLAR_GPU_DENSE_FORMATS(MEDLAR_GPU_LINEAR_ONE_DENSE, V)
#define MEDLAR_GPU_LINEAR_FEW(V, f, block)           \
  V("kernels/gpu/linear_few.h", 512, linear_few_##f, \
    LINEAR_FEW(linear_few_##f, Int8Leaf<medlar::formats::block>, 2, 1, 512))
#define MEDLAR_GPU_LINEAR_FEW_KERNELS(V) MEDLAR_GPU_BLOCK_FORMATS(MEDLAR_GPU_LINEAR_FEW, V)

#define MEDLAR_GPU_LINEAR_TILE(V, f, block) \
  V("kernels/gpu/linear_tile.h", 256, linear_tile_##f, LINEAR_TILE(linear_tile_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_LINEAR_TILE_KERNELS(V) MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_LINEAR_TILE, V)

// Rows of x in registers: up to 16, 32 or 64.
#define MEDLAR_GPU_LINEAR_ROWS(V, f, block)                        \
  V("kernels/gpu/linear_rows.h", 256, 0, linear_rows_##f##_16,     \
    LINEAR_ROWS(linear_rows_##f##_16, MEDLAR_GPU_ROWS(block), 16)) \
  V("kernels/gpu/linear_rows.h", 256, 0, linear_rows_##f##_32,     \
    LINEAR_ROWS(linear_rows_##f##_32, MEDLAR_GPU_ROWS(block), 32)) \
  V("kernels/gpu/linear_rows.h", 256, 0, linear_rows_##f##_64,     \
    LINEAR_ROWS(linear_rows_##f##_64, MEDLAR_GPU_ROWS(block), 64))

#define MEDLAR_GPU_UNPACK(V, f, block) \
  V("kernels/gpu/unpack.h", 256, unpack_##f, UNPACK(unpack_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_UNPACK_KERNELS(V) MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_UNPACK, V)

#define MEDLAR_GPU_HEAD_LINEAR(V, f, block) \
  V("kernels/gpu/head_linear.h", 128, head_linear_##f, HEAD_LINEAR(head_linear_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_HEAD_LINEAR_KERNELS(V) MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_HEAD_LINEAR, V)

// Pairs of an expert in one pass over its weights: 1 or up to 8.
#define MEDLAR_GPU_EXPERT_VEC_1(V, f, block)             \
  V("kernels/gpu/expert_vec.h", 128, expert_vec_##f##_1, \
    EXPERT_VEC(expert_vec_##f##_1, MEDLAR_GPU_ROWS(block), 1))
#define MEDLAR_GPU_EXPERT_VEC_8(V, f, block)             \
  V("kernels/gpu/expert_vec.h", 128, expert_vec_##f##_8, \
    EXPERT_VEC(expert_vec_##f##_8, MEDLAR_GPU_ROWS(block), 8))
#define MEDLAR_GPU_EXPERT_TILE(V, f, block) \
  V("kernels/gpu/expert_tile.h", 256, expert_tile_##f, EXPERT_TILE(expert_tile_##f, MEDLAR_GPU_ROWS(block)))
#define MEDLAR_GPU_EXPERT_KERNELS(V)                    \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_EXPERT_VEC_1, V) \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_EXPERT_VEC_8, V) \
  MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_EXPERT_TILE, V)

// Keys and values may have different formats.
#define MEDLAR_GPU_ATTENTION(V, k, keys, v, values)      \
  V("kernels/gpu/attention.h", 128, attention_##k##_##v, \
    ATTENTION(attention_##k##_##v, MEDLAR_GPU_ROWS(keys), MEDLAR_GPU_ROWS(values)))
#define MEDLAR_GPU_ATTENTION_KEYS(V, k, keys)       \
  MEDLAR_GPU_ATTENTION(V, k, keys, f32, BlockF32)   \
  MEDLAR_GPU_ATTENTION(V, k, keys, f16, BlockF16)   \
  MEDLAR_GPU_ATTENTION(V, k, keys, bf16, BlockBf16) \
  MEDLAR_GPU_ATTENTION(V, k, keys, q8_0, BlockQ8_0) \
  MEDLAR_GPU_ATTENTION(V, k, keys, q4_0, BlockQ4_0)
#define MEDLAR_GPU_ATTENTION_KERNELS(V) MEDLAR_GPU_KV_FORMATS(MEDLAR_GPU_ATTENTION_KEYS, V)

// For heads of up to so many values: few rows, whose simdgroups divide the keys, and tiles of rows.
#define MEDLAR_GPU_FLASH(V, name, head, teams, team, resident, threads) \
  V("kernels/gpu/flash_attention.h", threads, name,                     \
    FLASH_ATTENTION(name, head, teams, team, resident, threads))
#define MEDLAR_GPU_FLASH_KERNELS(V)                      \
  MEDLAR_GPU_FLASH(V, flash_few_64, 64, 8, 1, 2, 256)    \
  MEDLAR_GPU_FLASH(V, flash_few_128, 128, 4, 1, 3, 128)  \
  MEDLAR_GPU_FLASH(V, flash_few_256, 256, 2, 1, 1, 64)   \
  MEDLAR_GPU_FLASH(V, flash_few_512, 512, 1, 1, 1, 32)   \
  MEDLAR_GPU_FLASH(V, flash_tile_64, 64, 1, 4, 4, 128)   \
  MEDLAR_GPU_FLASH(V, flash_tile_128, 128, 1, 4, 3, 128) \
  MEDLAR_GPU_FLASH(V, flash_tile_256, 256, 1, 4, 2, 128) \
  MEDLAR_GPU_FLASH(V, flash_tile_512, 512, 1, 4, 1, 128)

#define MEDLAR_GPU_ATTEND_HEADS(V, k, keys, v, values)         \
  V("kernels/gpu/attend_heads.h", 128, attend_heads_##k##_##v, \
    ATTEND_HEADS(attend_heads_##k##_##v, MEDLAR_GPU_ROWS(keys), MEDLAR_GPU_ROWS(values)))
#define MEDLAR_GPU_ATTEND_HEADS_KEYS(V, k, keys)       \
  MEDLAR_GPU_ATTEND_HEADS(V, k, keys, f32, BlockF32)   \
  MEDLAR_GPU_ATTEND_HEADS(V, k, keys, f16, BlockF16)   \
  MEDLAR_GPU_ATTEND_HEADS(V, k, keys, bf16, BlockBf16) \
  MEDLAR_GPU_ATTEND_HEADS(V, k, keys, q8_0, BlockQ8_0) \
  MEDLAR_GPU_ATTEND_HEADS(V, k, keys, q4_0, BlockQ4_0)
#define MEDLAR_GPU_ATTEND_HEADS_KERNELS(V) MEDLAR_GPU_KV_FORMATS(MEDLAR_GPU_ATTEND_HEADS_KEYS, V)

// Those with a ring in threadgroup memory (TGRING) of kOneRingBytes.
#define MEDLAR_GPU_RING_KERNELS(V) MEDLAR_GPU_LINEAR_ONE_KERNELS(V)

#define MEDLAR_GPU_KERNELS(V)    \
  MEDLAR_GPU_RINGLESS_KERNELS(V) \
  MEDLAR_GPU_RING_KERNELS(V)

#define MEDLAR_GPU_RINGLESS_KERNELS(V) \
  MEDLAR_GPU_PLAIN_KERNELS(V)          \
  MEDLAR_GPU_EMBED_KERNELS(V)          \
  MEDLAR_GPU_STORE_HEADS_KERNELS(V)    \
  MEDLAR_GPU_ATTEND_HEADS_KERNELS(V)   \
  MEDLAR_GPU_LINEAR_VEC_KERNELS(V)     \
  MEDLAR_GPU_LINEAR_FEW_KERNELS(V)     \
  MEDLAR_GPU_LINEAR_TILE_KERNELS(V)    \
  MEDLAR_GPU_UNPACK_KERNELS(V)         \
  MEDLAR_GPU_HEAD_LINEAR_KERNELS(V)    \
  MEDLAR_GPU_EXPERT_KERNELS(V)         \
  MEDLAR_GPU_ATTENTION_KERNELS(V)      \
  MEDLAR_GPU_FLASH_KERNELS(V)

// Kernels in words that only some dialects have (prelude/wgmma.h, prelude/lane_rows.h), where others get no
// text. V(file, threads, bytes of large threadgroup memory, name, instance)
#define MEDLAR_GPU_NATIVE_KERNELS(V) \
  MEDLAR_GPU_WGMMA_KERNELS(V)        \
  MEDLAR_GPU_LINEAR_ROWS_KERNELS(V)
#define MEDLAR_GPU_LINEAR_ROWS_KERNELS(V) MEDLAR_GPU_WEIGHT_FORMATS(MEDLAR_GPU_LINEAR_ROWS, V)
#define MEDLAR_GPU_WGMMA_KERNELS(V)                                                                    \
  V("kernels/gpu/linear_wgmma.h", 384, 4 * 2 * 16384, linear_wgmma_1, LINEAR_WGMMA(linear_wgmma_1, 1)) \
  V("kernels/gpu/linear_wgmma.h", 384, 4 * 3 * 16384, linear_wgmma_2, LINEAR_WGMMA(linear_wgmma_2, 2)) \
  V("kernels/gpu/peak_wgmma.h", 256, 3 * 16384, wgmma_peak, )
