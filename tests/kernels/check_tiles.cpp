// What the matrix unit is given: weight rows and activations as bf16 tiles.
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

constexpr std::int64_t kTileBytes = 1024;

// Where value i of a line's 32 is, in 16-bit words: 0, 16, 1, 17, ...
std::int64_t word_of(std::int64_t i) { return i < 16 ? 2 * i : 2 * (i - 16) + 1; }

int check_stretch(const KernelEntry& entry, std::int64_t values, Rng& rng) {
  const std::int64_t bytes = row_bytes(entry.type, values);
  const Guarded row(bytes);
  std::ranges::copy(random_weights(entry.type, 1, values, rng), row.data());
  // The last line's tile ends with it.
  const Guarded lines((values / 32 - 1) * kTileBytes + 64, 64);
  std::ranges::fill(lines.bytes(), std::byte{0x77});
  entry.unpack({.from = row.data(), .values = values, .to = lines.data(), .ahead = 0});
  EXPECT_TRUE(lines.intact());
  std::vector<float> want(static_cast<std::size_t>(values)), got(want.size());
  decode_row(entry.type, row.data(), want.data(), values);
  for (std::int64_t i = 0; i < values; ++i)
    got[static_cast<std::size_t>(i)] = bf16_at(lines.data() + i / 32 * kTileBytes + 2 * word_of(i % 32));
  for (std::int64_t at = 64; at + kTileBytes <= std::ssize(lines.bytes()); at += kTileBytes)
    EXPECT_EQ(lines.data()[at], std::byte{0x77}) << "wrote past a line";
  return expect_near(
      got, want,
      [&](std::size_t i) {
        std::vector<float> one(want.size()), w = want;
        one[i] = 1;
        return tile_bound(entry.type, row.data(), w, one);
      },
      std::string(entry.name) + ", " + std::to_string(values) + " values");
}

}  // namespace

int check_unpack_tiles(const KernelEntry& entry) {
  Rng rng(21);
  int compared = 0;
  for (const std::int64_t values : {32, 64, 96, 160, 256, 576, 768, 2048})
    if (values % format_info(entry.type).block_length == 0) compared += check_stretch(entry, values, rng);
  return compared;
}

int check_prepare_tiles(const KernelEntry& entry) {
  Rng rng(22);
  int compared = 0;
  for (const std::int64_t width : {32, 96, 256, 576, 2048}) {
    for (const std::int64_t tokens : {12, 16, 17, 40}) {
      const bool norm = tokens % 2 == 0;
      const Guarded x(rng.heavy_tailed(tokens * width)), weight(rng.normals(width));
      const SimpleStep s(tokens);
      PrepareArgs args{.x = x.floats(),
                       .norm = norm,
                       .norm_weight = weight.floats(),
                       .eps = 1e-6f,
                       .rows = RowCount::tokens,
                       .width = width,
                       .kind = ActKind::f32,
                       .batch = Batch::none,
                       .packed = false,
                       .y = nullptr};
      const Guarded want(static_cast<std::int64_t>(prepared_bytes(ActKind::f32, Batch::none, width, tokens)),
                         64);
      args.y = want.data();
      run(ref_entry(KernelOp::prepare), &args, s.step, 1);
      args.kind = ActKind::q8;
      args.batch = Batch::tiles;
      for (const int threads : {1, 3}) {
        const Guarded y(static_cast<std::int64_t>(prepared_bytes(ActKind::q8, Batch::tiles, width, tokens)),
                        64);
        args.y = y.data();
        run(entry, &args, s.step, threads);
        EXPECT_TRUE(y.intact());
        const auto row_bytes = static_cast<std::int64_t>(act_bytes(ActKind::f32, width));
        std::vector<float> got, wanted;
        for (std::int64_t m = 0; m < tokens; ++m) {
          for (std::int64_t k = 0; k < width; ++k) {
            got.push_back(tiled_value(y.data(), width, m, k));
            wanted.push_back(reinterpret_cast<const float*>(want.data() + m * row_bytes)[k]);
          }
        }
        compared += expect_near(
            got, wanted, [&](std::size_t i) { return 0x1.01p-8 * std::abs(wanted[i]); }, "prepare tiles");
      }
    }
  }
  return compared;
}

}  // namespace medlar::kernels::testing
