// Where a sequence's keys and values are: pages of 64 tokens, chosen by the page table (kernels/step.h).
#pragma once

#include "kernels/gpu/common.h"

enum { kPageTokens = 64 };

// Byte offset of head `head` of the token at `position`.
FN u64 kv_offset(const DEVICE i32* pages, u32 position, u32 head, u32 row_bytes, u64 page_bytes) {
  const u64 page = (u64)pages[position / kPageTokens];
  return page * page_bytes + (u64)(head * kPageTokens + position % kPageTokens) * row_bytes;
}
