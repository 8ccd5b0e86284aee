#include "engine/kv_cache.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/assert.h"

namespace medlar {
namespace {

std::int64_t pages_for(std::int64_t positions) { return (positions + kPageTokens - 1) / kPageTokens; }

}  // namespace

std::int32_t kv_pages_needed(std::int64_t tokens, std::int64_t window, std::int64_t batch) {
  const std::int64_t all = pages_for(tokens);
  if (window == 0) return static_cast<std::int32_t>(all);
  // The window, the batch being written, the slack, and a partly used page at either end.
  return static_cast<std::int32_t>(std::min(all, pages_for(window + batch + kRewindSlack) + 2));
}

KvCache::KvCache(const KvCacheOptions& options)
    : stride_(pages_for(options.max_positions)), sequences_(at(options.max_sequences)) {
  MEDLAR_ASSERT(options.windows.size() == options.pages.size() && options.windows.size() <= kMaxKvGroups);
  for (std::size_t i = 0; i < options.windows.size(); ++i) {
    Group group{options.windows[i],
                std::vector<std::int32_t>(at(options.max_sequences * stride_), -1),
                std::vector<std::int32_t>(at(options.pages[i])),
                {}};
    std::iota(group.free.rbegin(), group.free.rend(), 0);  // page 0 is taken first
    groups_.push_back(std::move(group));
  }
}

kernels::PageTable KvCache::table(int group) const {
  return {groups_[at(group)].table.data(), static_cast<std::int32_t>(stride_)};
}

void KvCache::drop(Group& group, int sequence, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    std::int32_t& p = page(group, sequence, i);
    if (p < 0) continue;
    group.free.push_back(p);
    group.released.push_back(p);
    p = -1;
  }
}

bool KvCache::extend(int sequence, std::int64_t count) {
  Sequence& s = sequences_[at(sequence)];
  const std::int64_t have = pages_for(s.length), want = pages_for(s.length + count);
  if (want > stride_) return false;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    Group& group = groups_[i];
    if (group.window == 0) continue;
    // The oldest position that the next query, or one after a small rewind, can still see.
    const std::int64_t oldest = s.length - group.window + 1 - kRewindSlack;
    const std::int64_t first = std::max(s.first_page[i], std::max<std::int64_t>(oldest, 0) / kPageTokens);
    drop(group, sequence, s.first_page[i], first);
    s.first_page[i] = first;
  }
  for (const Group& group : groups_)
    if (std::ssize(group.free) < want - have) return false;
  for (Group& group : groups_)
    for (std::int64_t i = have; i < want; ++i) {
      page(group, sequence, i) = group.free.back();
      group.free.pop_back();
      std::erase(group.released, page(group, sequence, i));
    }
  s.length += count;
  return true;
}

bool KvCache::truncate(int sequence, std::int64_t length) {
  Sequence& s = sequences_[at(sequence)];
  MEDLAR_ASSERT(length >= 0 && length <= s.length);
  if (length > 0)
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      const std::int64_t oldest = std::max<std::int64_t>(length - groups_[i].window + 1, 0);
      if (groups_[i].window > 0 && oldest / kPageTokens < s.first_page[i]) return false;
    }
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    drop(groups_[i], sequence, pages_for(length), pages_for(s.length));
    s.first_page[i] = std::min(s.first_page[i], pages_for(length));
  }
  s.length = length;
  return true;
}

void KvCache::clear(int sequence) { truncate(sequence, 0); }

std::vector<std::int32_t> KvCache::take_released(int group) {
  return std::exchange(groups_[at(group)].released, {});
}

}  // namespace medlar
