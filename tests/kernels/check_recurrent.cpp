// Short convolutions and scans: several sequences in a step, some of which go on from a state, over ends of
// pages whose state is kept and of others.
#include <cmath>

#include <gtest/gtest.h>

#include "kernels/ref/ref.h"
#include "tests/kernels/cache.h"
#include "tests/kernels/checks.h"

namespace medlar::kernels::testing {

namespace {

constexpr std::int32_t kStride = 4;  // pages of a sequence

// States of sequences in pages that lie in no order; of some pages none is kept.
class States {
 public:
  States(std::int64_t values, std::int64_t sequences, Rng& rng)
      : table_(static_cast<std::size_t>(sequences * kStride)),
        memory_(rng.normals(std::ssize(table_) * values)),
        pages_{memory_.data(), values * static_cast<std::int64_t>(sizeof(float)), 0} {
    for (std::size_t i = 0; i < table_.size(); ++i)
      table_[i] = static_cast<std::int32_t>(table_.size() - 1 - i);
  }
  States(const States& other)
      : table_(other.table_),
        memory_({other.memory_.values().begin(), other.memory_.values().end()}),
        pages_{memory_.data(), other.pages_.page_bytes, 0} {}

  void keep_none(std::int64_t sequence, std::int64_t page) {
    table_[static_cast<std::size_t>(sequence * kStride + page)] = -1;
  }
  PageTable table() const { return {table_.data(), kStride}; }
  const StatePages& pages() const { return pages_; }
  const Guarded& memory() const { return memory_; }

 private:
  std::vector<std::int32_t> table_;
  Guarded memory_;
  StatePages pages_;
};

// Four sequences: one begins, one ends at a page's end, one passes two of them, one has a single token.
struct Batch {
  BatchStep step{{70, 3, 131, 1}, {0, 61, 40, 64}};

  States states(std::int64_t values, Rng& rng) {
    States s(values, 4, rng);
    s.keep_none(0, 0);  // of the pages that are passed
    s.keep_none(2, 1);
    step.step.pages[0] = s.table();
    return s;
  }
  std::int64_t tokens() const { return step.step.tokens; }
};

// `run` sets states and result of the arguments. `bound`: of results and states.
template <class Args>
int compare(const KernelEntry& entry, Args args, Batch& batch, const States& before, std::int64_t results,
            double bound) {
  const States want_states(before);
  std::vector<float> want(static_cast<std::size_t>(results));
  args.state = want_states.pages(), args.y = want.data();
  batch.step.step.pages[0] = want_states.table();
  run(ref_entry(entry.op), &args, batch.step.step, 1);
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const States states(before);
    const Guarded y(results * 4, 4);
    args.state = states.pages(), args.y = y.floats();
    batch.step.step.pages[0] = states.table();
    run(entry, &args, batch.step.step, threads);
    EXPECT_TRUE(y.intact() && states.memory().intact());
    const auto near = [&](const auto& values) {
      return [&values, bound](std::size_t i) { return bound * (1 + std::abs(values[i])); };
    };
    compared += expect_near(y.values(), want, near(want), "results");
    const auto kept = want_states.memory().values();
    compared += expect_near(states.memory().values(), kept, near(kept), "states");
  }
  return compared;
}

}  // namespace

// A few products, each rounded, and the activation.
int check_short_conv(const KernelEntry& entry) {
  Rng rng(21);
  int compared = 0;
  for (const std::int64_t width : {2, 3, 4, 5, 6, 7, 8})
    for (const std::int64_t channels : {1, 37, 64}) {
      Batch batch;
      const States states = batch.states((width - 1) * channels, rng);
      const Guarded x(rng.normals(batch.tokens() * channels)), weight(rng.normals(channels * width)),
          bias(rng.normals(channels));
      for (const Activation activation : {Activation::none, Activation::silu}) {
        const ShortConvArgs args{.x = x.floats(),
                                 .weight = weight.floats(),
                                 .bias = activation == Activation::none ? nullptr : bias.floats(),
                                 .channels = channels,
                                 .width = width,
                                 .activation = activation};
        compared += compare(entry, args, batch, states, batch.tokens() * channels, 64 * kUlp);
      }
    }
  return compared;
}

// Roundings of a state fade with it: what remains of them is of the size of those of one sum over its rows.
int check_scan(const KernelEntry& entry) {
  Rng rng(22);
  int compared = 0;
  struct Case {
    std::int64_t heads, key_heads, key_dim, value_dim;
  };
  for (const Case c : {Case{4, 2, 12, 20}, Case{2, 2, 33, 1}, Case{6, 2, 16, 67}, Case{1, 1, 130, 128}})
    for (const bool delta : {false, true})
      for (const bool interleaved : {false, true}) {
        Batch batch;
        const States states = batch.states(c.heads * c.key_dim * c.value_dim, rng);
        const std::int64_t keys = c.key_heads * c.key_dim, width = 2 * keys + c.heads * c.value_dim + 3;
        const std::int64_t per_head = batch.tokens() * c.heads;
        const Guarded x(rng.normals(batch.tokens() * width)), a(rng.normals(per_head)),
            b(rng.normals(per_head)), bias(rng.normals(c.heads)), skip(rng.normals(c.heads));
        std::vector<float> rates = rng.normals(c.heads);
        for (float& r : rates) r = -0.05F - std::abs(r);
        const Guarded rate(rates);
        const ScanArgs args{.x = x.floats(),
                            .width = width,
                            .q_at = 1,
                            .k_at = 2 + keys,
                            .v_at = 3 + 2 * keys,
                            .heads = c.heads,
                            .key_heads = c.key_heads,
                            .key_dim = c.key_dim,
                            .value_dim = c.value_dim,
                            .interleaved = interleaved,
                            .eps = 1e-6F,
                            .scale = 0.3F,
                            .a = a.floats(),
                            .rate = rate.floats(),
                            .bias = bias.floats(),
                            .b = delta ? b.floats() : nullptr,
                            .skip = delta ? nullptr : skip.floats()};
        const double bound = 16 * (8 + static_cast<double>(c.key_dim)) * kUlp;
        compared += compare(entry, args, batch, states, per_head * c.value_dim, bound);
      }
  return compared;
}

int check_slice(const KernelEntry& entry) {
  Rng rng(23);
  const SimpleStep s(5);
  const Guarded x(rng.normals(5 * 3 * 11));
  std::vector<float> want(5 * 3 * 4);
  SliceArgs args{x.floats(), RowCount::tokens, 3, 11, 6, 4, want.data()};
  run(ref_entry(KernelOp::slice), &args, s.step, 1);
  int compared = 0;
  for (const int threads : {1, 3}) {
    const Guarded y(std::ssize(want) * 4, 4);
    args.y = y.floats();
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    compared += expect_near(y.values(), want, [](std::size_t) { return 0.0; }, "slice");
  }
  return compared;
}

}  // namespace medlar::kernels::testing
