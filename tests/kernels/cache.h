// A paged KV cache for tests: sequences whose pages lie in no order.
#pragma once

#include <vector>

#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

struct CacheShape {
  DType type;
  std::int64_t heads, dim;
};

class Cache {
 public:
  // Room for `sequences` of `positions` each. Bytes are garbage: NaN in every floating type.
  Cache(CacheShape shape, std::int64_t sequences, std::int64_t positions, Rng& rng);
  // Another cache with the same page numbers.
  Cache(CacheShape shape, const Cache& like);
  // The same pages with the same bytes.
  Cache(const Cache& other);

  const KvPages& pages() const { return pages_; }
  PageTable table() const { return {table_.data(), stride_}; }
  void fill(std::int64_t sequence, std::int64_t from, std::int64_t to, Rng& rng, float scale);
  std::byte* row(std::int64_t sequence, std::int64_t position, std::int64_t head) const;
  std::vector<float> values(std::int64_t sequence, std::int64_t position, std::int64_t head) const;
  // Pages wholly before `position` are gone.
  void drop_before(std::int64_t sequence, std::int64_t position);
  const Guarded& memory() const { return memory_; }

 private:
  KvPages pages_;
  std::int32_t stride_;
  std::vector<std::int32_t> table_;
  Guarded memory_;
};

// Tokens of several sequences: `counts[s]` tokens of sequence s from position `starts[s]` on.
struct BatchStep : SimpleStep {
  BatchStep(const std::vector<std::int64_t>& counts, const std::vector<std::int64_t>& starts);
};

}  // namespace medlar::kernels::testing
