#include "host/lease_shares.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace medlar::host {
namespace {

// Bytes of all models; one that is named several times counts once, as the largest it is said to be.
std::uint64_t distinct_bytes(std::span<const LeaseRecord> records) {
  std::vector<LeasedModel> models;
  for (const LeaseRecord& record : records)
    models.insert(models.end(), record.models.begin(), record.models.end());
  std::ranges::sort(models, {}, [](const LeasedModel& m) { return std::tuple(m.device, m.inode, m.bytes); });
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < models.size(); ++i) {
    const bool last = i + 1 == models.size() || models[i + 1].device != models[i].device ||
                      models[i + 1].inode != models[i].inode;
    if (last) sum = sum_of(sum, models[i].bytes);
  }
  return sum;
}

// Water filling: raises each share towards its target, all by as much, until they are there or nothing is
// left.
void fill(std::vector<std::uint64_t>& shares, const std::vector<std::uint64_t>& targets,
          std::uint64_t& left) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < shares.size(); ++i)
    if (targets[i] > shares[i]) order.push_back(i);
  const auto need = [&](std::size_t i) { return targets[i] - shares[i]; };
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(need(i), i); });
  std::size_t others = order.size();
  for (const std::size_t i : order) {
    const std::uint64_t given = std::min(need(i), left / others--);
    shares[i] += given;
    left -= given;
  }
}

}  // namespace

std::vector<std::uint64_t> shares(std::span<const LeaseRecord> records, std::uint64_t total) {
  const std::size_t count = records.size();
  std::vector<std::uint64_t> mine(count), result(count);
  std::uint64_t left = less(total, distinct_bytes(records));
  for (std::size_t i = 0; i < count; ++i) mine[i] = records[i].model_bytes();
  const auto raise = [&](auto&& target_of) {
    std::vector<std::uint64_t> targets(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t most = less(std::min(records[i].most, total), mine[i]);
      targets[i] = std::min(target_of(i), most);
    }
    fill(result, targets, left);
  };
  const auto wanted_by = [&](LeasePriority priority) {
    return [&, priority](std::size_t i) { return records[i].priority == priority ? records[i].wanted : 0; };
  };
  raise([&](std::size_t i) { return records[i].held; });
  raise([&](std::size_t i) { return less(records[i].least, mine[i]); });
  raise(wanted_by(LeasePriority::interactive));
  raise(wanted_by(LeasePriority::background));
  raise([](std::size_t) { return UINT64_MAX; });
  for (std::size_t i = 0; i < count; ++i)
    result[i] = std::min({sum_of(result[i], mine[i]), records[i].most, total});
  return result;
}

}  // namespace medlar::host
