// Finding records by name: their order when sorted, which no choice of names can make slow.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace medlar {

// The indices of `records`, ordered by name. `name` maps a record to its std::string_view.
template <class T, class Name>
std::vector<std::uint32_t> sorted_by_name(std::span<const T> records, Name name) {
  std::vector<std::uint32_t> order(records.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](std::uint32_t i) { return std::invoke(name, records[i]); });
  return order;
}

// A record whose name another one has too, or null. `order` is sorted_by_name(records).
template <class T, class Name>
const T* find_duplicate(std::span<const T> records, std::span<const std::uint32_t> order, Name name) {
  const auto twin =
      std::ranges::adjacent_find(order, {}, [&](std::uint32_t i) { return std::invoke(name, records[i]); });
  return twin == order.end() ? nullptr : &records[*twin];
}

// The record of that name, or null.
template <class T, class Name>
const T* find_by_name(std::span<const T> records, std::span<const std::uint32_t> order, Name name,
                      std::string_view wanted) {
  const auto at = std::ranges::lower_bound(order, wanted, {},
                                           [&](std::uint32_t i) { return std::invoke(name, records[i]); });
  if (at == order.end() || std::invoke(name, records[*at]) != wanted) return nullptr;
  return &records[*at];
}

}  // namespace medlar
