// What changes from one step of the model to the next. Every kernel gets it; everything else is fixed when a
// program is lowered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace medlar::kernels {

inline constexpr int kPageTokens = 64;  // tokens in one page of the KV cache
inline constexpr int kMaxKvGroups = 4;  // layers that share a window share a group, and so a page table
// The "window" of the group of recurrent layers: a page of it holds what a sequence has become after the
// page's tokens, and the next token needs only the latest.
inline constexpr std::int64_t kRecurrent = -1;

// The pages of every sequence in the batch, for one KV group. Row s of `pages` is sequence s:
// position p of that sequence lives in page pages[s * stride + p / kPageTokens], at p % kPageTokens.
// Pages that have slid out of a window hold -1, and so do those after whose tokens no state is kept. A
// sequence's tokens stand together in a step, in their order.
struct PageTable {
  const std::int32_t* pages = nullptr;  // (sequences, stride)
  std::int32_t stride = 0;
};

struct Step {
  std::int32_t tokens = 0;                  // T: tokens in this batch
  std::int32_t logit_rows = 0;              // R: tokens whose logits are wanted
  const std::int32_t* token_ids = nullptr;  // (T)
  const std::int32_t* positions = nullptr;  // (T) position of each token in its sequence
  const std::int32_t* sequences = nullptr;  // (T) row of each token in the page tables
  const std::int32_t* rows = nullptr;       // (R) which tokens want logits
  PageTable pages[kMaxKvGroups];
};

// Which leading dimension a buffer or a kernel's loop has.
enum class RowCount : std::uint8_t { one, tokens, logit_rows };

inline std::int64_t resolve(RowCount rows, const Step& step) {
  switch (rows) {
    case RowCount::one:
      return 1;
    case RowCount::tokens:
      return step.tokens;
    case RowCount::logit_rows:
      return step.logit_rows;
  }
  return 0;
}

// One thread's share of a kernel's work. The kernel splits its own index space by index / count, or into
// units that are taken one after the other by whichever thread is free.
struct Slice {
  int index = 0;
  int count = 1;
  std::span<std::byte> scratch;  // this thread's own, 64-byte aligned, at least what the entry asked for
  // Units that the threads have taken so far: shared by the slices of one call and 0 when it begins. Null:
  // each thread has fixed ones.
  std::int32_t* taken = nullptr;
};

}  // namespace medlar::kernels
