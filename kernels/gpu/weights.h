// Rows of weights, keys or values in a block format, as kernels read and write them. Layouts, decoding and
// encoding are those of formats/; k and n count elements, and a row is a whole number of blocks.
#pragma once

#include "formats/bf16.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "formats/iq1_m.h"
#include "formats/iq1_s.h"
#include "formats/iq2_s.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "formats/iq4_nl.h"
#include "formats/iq4_xs.h"
#include "formats/mxfp4.h"
#include "formats/nvfp4.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q4_k.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/q8_0.h"
#include "formats/tq1_0.h"
#include "formats/tq2_0.h"
#include "kernels/gpu/common.h"
#include "kernels/gpu/decode8.h"

template <class Block>
struct Rows {
  enum { kLength = Block::kLength, kTail = kLength == 1 };  // tail: a row need not be a multiple of eight

  // out[i] = element k + i for i < 8, k a multiple of eight; 0 from `end` on.
  static FN void load8(const DEVICE u8* row, u32 k, u32 end, THREAD f32* out) {
    const DEVICE Block* b = (const DEVICE Block*)row + k / kLength;
    if (kTail) {
      UNROLL for (u32 i = 0; i < 8; ++i) out[i] = k + i < end ? decode(b + i, 0) : 0.f;
    } else {
      decode8(b, k % kLength, out);
    }
  }

  static FN f32 value(const DEVICE u8* row, u32 i) {
    return decode((const DEVICE Block*)row + i / kLength, i % kLength);
  }

  // Encodes block `b` of the row x.
  static FN void store_block(DEVICE u8* row, u32 b, const DEVICE f32* x) {
    encode(x + b * kLength, (DEVICE Block*)row + b);
  }
};
