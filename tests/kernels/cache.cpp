#include "tests/kernels/cache.h"

#include <algorithm>
#include <numeric>

#include "formats/all.h"

namespace medlar::kernels::testing {

namespace {

KvPages lay_out(CacheShape s) {
  const std::int64_t row = row_bytes(s.type, s.dim);
  return {.base = nullptr,
          .type = s.type,
          .heads = s.heads,
          .dim = s.dim,
          .row_bytes = row,
          .page_bytes = row * s.heads * kPageTokens};
}

}  // namespace

Cache::Cache(CacheShape shape, std::int64_t sequences, std::int64_t positions, Rng& rng)
    : pages_(lay_out(shape)),
      stride_(static_cast<std::int32_t>((positions + kPageTokens - 1) / kPageTokens)),
      table_(static_cast<std::size_t>(sequences * stride_)),
      memory_(static_cast<std::int64_t>(table_.size()) * pages_.page_bytes, 4) {
  std::ranges::fill(memory_.bytes(), std::byte{0xFF});
  pages_.base = memory_.data();
  std::iota(table_.begin(), table_.end(), 0);
  for (std::size_t i = table_.size(); i > 1; --i) {
    std::swap(table_[i - 1], table_[static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(i)))]);
  }
}

Cache::Cache(CacheShape shape, const Cache& like)
    : pages_(lay_out(shape)),
      stride_(like.stride_),
      table_(like.table_),
      memory_(static_cast<std::int64_t>(table_.size()) * pages_.page_bytes, 4) {
  std::ranges::fill(memory_.bytes(), std::byte{0xFF});
  pages_.base = memory_.data();
}

Cache::Cache(const Cache& other)
    : pages_(other.pages_),
      stride_(other.stride_),
      table_(other.table_),
      memory_(static_cast<std::int64_t>(other.memory_.bytes().size()), 4) {
  std::ranges::copy(other.memory_.bytes(), memory_.data());
  pages_.base = memory_.data();
}

std::byte* Cache::row(std::int64_t sequence, std::int64_t position, std::int64_t head) const {
  const std::int64_t page = table_[static_cast<std::size_t>(sequence * stride_ + position / kPageTokens)];
  return pages_.base + page * pages_.page_bytes +
         (head * kPageTokens + position % kPageTokens) * pages_.row_bytes;
}

void Cache::fill(std::int64_t sequence, std::int64_t from, std::int64_t to, Rng& rng, float scale) {
  for (std::int64_t p = from; p < to; ++p) {
    for (std::int64_t h = 0; h < pages_.heads; ++h) {
      encode_row(pages_.type, rng.normals(pages_.dim, scale).data(), row(sequence, p, h), pages_.dim);
    }
  }
}

std::vector<float> Cache::values(std::int64_t sequence, std::int64_t position, std::int64_t head) const {
  std::vector<float> v(static_cast<std::size_t>(pages_.dim));
  decode_row(pages_.type, row(sequence, position, head), v.data(), pages_.dim);
  return v;
}

void Cache::drop_before(std::int64_t sequence, std::int64_t position) {
  for (std::int64_t page = 0; page < position / kPageTokens; ++page) {
    table_[static_cast<std::size_t>(sequence * stride_ + page)] = -1;
  }
}

BatchStep::BatchStep(const std::vector<std::int64_t>& counts, const std::vector<std::int64_t>& starts)
    : SimpleStep(std::accumulate(counts.begin(), counts.end(), std::int64_t{0})) {
  std::size_t t = 0;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    for (std::int64_t i = 0; i < counts[s]; ++i, ++t) {
      sequences[t] = static_cast<std::int32_t>(s);
      positions[t] = static_cast<std::int32_t>(starts[s] + i);
    }
  }
}

}  // namespace medlar::kernels::testing
