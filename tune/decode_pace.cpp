#include "tune/decode_pace.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>

#include "formats/all.h"
#include "tune/statistics.h"

namespace medlar::tune {
namespace {

using namespace kernels;  // NOLINT: this file calls them

constexpr std::int64_t kBytes = std::int64_t{192} << 20;  // more than last-level caches hold
constexpr DType kType = DType::q8_0;
constexpr std::int64_t kRow = 2048;  // values; short rows take no longer for each byte

// The heads of a small Llama.
constexpr std::int64_t kHeads = 32, kKvHeads = 8, kDim = 64;
constexpr std::int64_t kContextBytes = kBytes / 4;

double seconds_of(const std::function<void()>& pass) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  pass();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

PageMemory prepared_row(ActKind kind) {
  PageMemory to(act_bytes(kind, kRow));
  std::vector<float> x(kRow);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8;
  const PrepareArgs args{.x = x.data(),
                         .norm = false,
                         .norm_weight = nullptr,
                         .eps = 0,
                         .rows = RowCount::one,
                         .width = kRow,
                         .kind = kind,
                         .batch = Batch::none,
                         .packed = false,
                         .y = to.span().data()};
  Step step;
  step.tokens = 1;
  CpuTable(CpuLevel::scalar, {}).find(KernelOp::prepare).step(&args, step, {});
  return to;
}

}  // namespace

DecodePace::DecodePace(Team& team, const CpuTable& table)
    : team_(team),
      dot_(table.rows_dot(kType)),
      attention_(table.find(KernelOp::attention, kType)),
      memory_(kBytes) {
  std::ranges::fill(memory_.span(), std::byte{1});  // pages that were never written are all one page
}

double DecodePace::product_rate() {
  const std::int64_t bytes = row_bytes(kType, kRow), rows = kBytes / bytes / team_.size();
  const PageMemory x = prepared_row(dot_.act);
  std::vector<float> y(static_cast<std::size_t>(rows * team_.size()));
  const double seconds = seconds_of([&] {
    team_.run([&](int member) {
      dot_.rows_dot({.weight = memory_.span().data() + member * rows * bytes,
                     .row_bytes = bytes,
                     .n = rows,
                     .k = kRow,
                     .x = x.span().data(),
                     .rows = 1,
                     .y = y.data() + member * rows,
                     .ldy = rows,
                     .scratch = {}});
    });
  });
  return static_cast<double>(rows * team_.size() * bytes) / seconds;
}

double DecodePace::attention_rate() {
  const std::int64_t row = row_bytes(kType, kDim), page = row * kKvHeads * kPageTokens;
  const std::int64_t pages = kContextBytes / 2 / page;
  const KvPages keys{.base = memory_.span().data(),
                     .type = kType,
                     .heads = kKvHeads,
                     .dim = kDim,
                     .row_bytes = row,
                     .page_bytes = page};
  KvPages values = keys;
  values.base += kContextBytes / 2;
  const std::vector<float> q(kHeads * kDim, 0.2F);
  std::vector<float> y(q.size());
  std::vector<float> partials(static_cast<std::size_t>(team_.size() * 2 * attention_partial_floats(kDim)));
  std::vector<std::int32_t> table(static_cast<std::size_t>(pages));
  std::iota(table.begin(), table.end(), 0);
  const auto position = static_cast<std::int32_t>(pages * kPageTokens - 1);
  const std::int32_t sequence = 0;
  Step step{.tokens = 1, .positions = &position, .sequences = &sequence};
  step.pages[0] = {table.data(), static_cast<std::int32_t>(pages)};
  const AttentionArgs args{.q = q.data(),
                           .heads = kHeads,
                           .k = keys,
                           .v = values,
                           .group = 0,
                           .scale = 0.125F,
                           .softcap = 0,
                           .window = 0,
                           .sinks = nullptr,
                           .tiles = false,
                           .y = y.data(),
                           .partials = partials.data()};
  const std::size_t room = attention_.scratch ? (attention_.scratch(&args, 1) + 63) / 64 * 64 : 0;
  const PageMemory scratch(room * static_cast<std::size_t>(team_.size()) + 64);
  const double seconds = seconds_of([&] {
    team_.run([&](int member) {
      attention_.step(&args, step,
                      {.index = member,
                       .count = team_.size(),
                       .scratch = scratch.span().subspan(static_cast<std::size_t>(member) * room, room)});
    });
  });
  return 2 * static_cast<double>(pages * page) / seconds;
}

void DecodePace::turn() {
  read_.push_back(product_rate());
  attend_.push_back(attention_rate());
}

DecodeRates DecodePace::rates() const {
  return {.read = summarize(read_).median, .attend = summarize(attend_).median};
}

}  // namespace medlar::tune
