// Rows by index: exact copies of what the reference decodes.
#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

int check_embed(const KernelEntry& entry) {
  Rng rng(1);
  int compared = 0;
  const std::int64_t block = format_info(entry.type).block_length;
  for (const std::int64_t dim : {block, 3 * block, std::int64_t{768}}) {
    for (const std::int64_t tokens : {1, 5}) {
      const std::vector<std::byte> bytes = random_weights(entry.type, 11, dim, rng);
      const Guarded table(static_cast<std::int64_t>(bytes.size()), 1);
      std::ranges::copy(bytes, table.data());
      SimpleStep s(tokens);
      for (std::int32_t& id : s.ids) id = static_cast<std::int32_t>(rng.below(11));
      s.ids.back() = 10;
      std::vector<float> want(static_cast<std::size_t>(tokens * dim));
      s.positions.back() = 20;  // past the table's end
      for (const EmbedBy by : {EmbedBy::token, EmbedBy::position}) {
        EmbedArgs args{.table = table.data(),
                       .type = entry.type,
                       .dim = dim,
                       .scale = 1.5f,
                       .y = want.data(),
                       .by = by,
                       .table_rows = 11};
        run(ref_entry(KernelOp::embed, entry.type), &args, s.step, 1);
        for (const int threads : {1, 2, 7}) {
          const Guarded y(tokens * dim * 4, 4);
          args.y = y.floats();
          run(entry, &args, s.step, threads);
          EXPECT_TRUE(y.intact());
          compared += expect_near(y.values(), want, [](std::size_t) { return 0.0; }, "embed");
        }
      }
    }
  }
  return compared;
}

int check_gather_rows(const KernelEntry& entry) {
  Rng rng(2);
  int compared = 0;
  for (const std::int64_t dim : {1, 16, 37}) {
    const Guarded x(rng.normals(9 * dim));
    SimpleStep s(9);
    s.rows = {8, 0, 3};
    s.step.rows = s.rows.data();
    s.step.logit_rows = 3;
    std::vector<float> want;
    for (const std::int32_t r : s.rows)
      want.insert(want.end(), x.floats() + r * dim, x.floats() + (r + 1) * dim);
    for (const int threads : {1, 2, 5}) {
      const Guarded y(3 * dim * 4, 4);
      const GatherRowsArgs args{.x = x.floats(), .dim = dim, .y = y.floats()};
      run(entry, &args, s.step, threads);
      EXPECT_TRUE(y.intact());
      compared += expect_near(y.values(), want, [](std::size_t) { return 0.0; }, "gather_rows");
    }
  }
  return compared;
}

}  // namespace medlar::kernels::testing
