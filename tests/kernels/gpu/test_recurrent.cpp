// short_conv, scan and slice against the references, over sequences that begin and others that go on.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuRecurrent : public OnEmulator {
 protected:
  // Three sequences: one begins, two pass the end of a page, whose state is kept.
  static TestStep sequences() {
    TestStep s;
    const auto add = [&](i32 sequence, i32 first, i32 count) {
      for (i32 i = 0; i < count; ++i) s.sequences.push_back(sequence), s.positions.push_back(first + i);
    };
    add(0, 0, 5), add(1, 62, 3), add(2, 60, 9);
    s.stride = 2;
    s.pages = {3, 4, 0, 2, 5, 1};
    return s;
  }
  std::vector<float> states(std::size_t values) { return random_floats(6 * values, random); }

  template <class Args>
  void expect_like_reference(KernelOp op, Args args, const TestStep& step, std::vector<float> before,
                             std::size_t values, const Guarded<float>& y, const Guarded<float>& after) {
    std::vector<float> want(y.size());
    args.state = {reinterpret_cast<std::byte*>(before.data()),
                  static_cast<std::int64_t>(values * sizeof(float)), 0};
    args.y = want.data();
    ref_entry(op).step(&args, step.host(), {});
    expect_close(y.span(), want, 1e-4, 1e-4, "results");
    expect_close(after.span(), before, 1e-4, 1e-4, "states");
  }
};

TEST_P(GpuRecurrent, ShortConv) {
  for (const std::int64_t width : {2, 4, 8})
    for (const std::int64_t channels : {3, 130}) {
      const TestStep step = sequences();
      const std::size_t tokens = step.tokens(), values = static_cast<std::size_t>((width - 1) * channels);
      const std::vector<float> before = states(values);
      const Guarded<float> x(random_floats(tokens * static_cast<std::size_t>(channels), random)),
          weight(random_floats(static_cast<std::size_t>(channels * width), random)),
          bias(random_floats(static_cast<std::size_t>(channels), random));
      Guarded<float> y(x.size(), NAN), after(before);
      const auto counts = step.counts();
      const auto runs = step.starts();
      launch("short_conv", {ceil_div(channels, 128), 4},
             gpu::ShortConvParams{.channels = to_u32(channels),
                                  .width = to_u32(width),
                                  .has_bias = 1,
                                  .activation = gpu::kActivationSilu,
                                  .group = 0,
                                  .padding = 0,
                                  .page_bytes = values * sizeof(float)},
             {&counts, step.positions.data(), step.sequences.data(), runs.data(), step.pages.data(), x.data(),
              weight.data(), bias.data(), y.data(), after.data()});
      expect_like_reference(KernelOp::short_conv,
                            ShortConvArgs{.x = x.data(),
                                          .weight = weight.data(),
                                          .bias = bias.data(),
                                          .channels = channels,
                                          .width = width,
                                          .activation = Activation::silu},
                            step, before, values, y, after);
    }
}

TEST_P(GpuRecurrent, Scan) {
  const std::int64_t heads = 4, key_heads = 2;
  for (const std::int64_t key_dim : {7, 130})
    for (const std::int64_t value_dim : {5, 40})
      for (const bool delta : {false, true}) {
        const TestStep step = sequences();
        const std::size_t tokens = step.tokens(),
                          values = static_cast<std::size_t>(heads * key_dim * value_dim);
        const std::int64_t keys = key_heads * key_dim, width = 2 * keys + heads * value_dim + 1;
        const auto per_head = tokens * static_cast<std::size_t>(heads);
        const std::vector<float> before = states(values);
        const Guarded<float> x(random_floats(tokens * static_cast<std::size_t>(width), random)),
            a(random_floats(per_head, random)), bias(random_floats(heads, random)),
            last(random_floats(delta ? per_head : heads, random));
        std::vector<float> rates = random_floats(heads, random);
        for (float& r : rates) r = -0.05F - std::abs(r);
        const Guarded<float> rate(rates);
        Guarded<float> y(per_head * static_cast<std::size_t>(value_dim), NAN), after(before);
        const auto counts = step.counts();
        const auto runs = step.starts();
        launch("scan", {ceil_div(value_dim, 32), to_u32(heads), 4},
               gpu::ScanParams{.width = to_u32(width),
                               .q_at = 1,
                               .k_at = to_u32(1 + keys),
                               .v_at = to_u32(1 + 2 * keys),
                               .heads = to_u32(heads),
                               .key_heads = to_u32(key_heads),
                               .key_dim = to_u32(key_dim),
                               .value_dim = to_u32(value_dim),
                               .interleaved = delta,
                               .delta = delta,
                               .eps = 1e-6F,
                               .scale = 0.3F,
                               .group = 0,
                               .padding = 0,
                               .page_bytes = values * sizeof(float)},
               {&counts, step.positions.data(), step.sequences.data(), runs.data(), step.pages.data(),
                x.data(), a.data(), rate.data(), bias.data(), last.data(), y.data(), after.data()});
        expect_like_reference(KernelOp::scan,
                              ScanArgs{.x = x.data(),
                                       .width = width,
                                       .q_at = 1,
                                       .k_at = 1 + keys,
                                       .v_at = 1 + 2 * keys,
                                       .heads = heads,
                                       .key_heads = key_heads,
                                       .key_dim = key_dim,
                                       .value_dim = value_dim,
                                       .interleaved = delta,
                                       .eps = 1e-6F,
                                       .scale = 0.3F,
                                       .a = a.data(),
                                       .rate = rate.data(),
                                       .bias = bias.data(),
                                       .b = delta ? last.data() : nullptr,
                                       .skip = delta ? nullptr : last.data()},
                              step, before, values, y, after);
      }
}

TEST_P(GpuRecurrent, Slice) {
  const TestStep step = tokens_only(3);
  const Guarded<float> x(random_floats(3 * 70 * 11, random));
  Guarded<float> y(3 * 70 * 4, NAN);
  const auto counts = step.counts();
  launch("slice", {ceil_div(70 * 4, 256), 4}, gpu::SliceParams{gpu::kRowsTokens, 70, 11, 6, 4},
         {&counts, x.data(), y.data()});
  std::vector<float> want(y.size());
  const SliceArgs args{x.data(), RowCount::tokens, 70, 11, 6, 4, want.data()};
  ref_entry(KernelOp::slice).step(&args, step.host(), {});
  expect_close(y.span(), want, 0, 0, "slice");
}

MEDLAR_EVERY_ORDER(GpuRecurrent);

}  // namespace
}  // namespace medlar::testing
