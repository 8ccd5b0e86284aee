// fit_speed: fits the speed model's constants (host/speed.h) to the rows of apple_speed.csv marked "fit", and
// tells the error on all rows.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include <fmt/format.h>

#include "tests/host/public_rows.h"

namespace {

using medlar::host::SpeedConstants;
using medlar::testing::PublicRow;

// The constants as a list, in the order they are printed.
std::vector<double*> members(SpeedConstants& c) {
  std::vector<double*> list = {&c.read_share, &c.layer_seconds, &c.plain_gain};
  for (double& x : c.core_products) list.push_back(&x);
  for (double& x : c.core_unpack) list.push_back(&x);
  return list;
}

// Sum of fourth powers of the logarithms of predicted over measured: what matters is how far it can be off.
double loss(const std::vector<PublicRow>& rows, medlar::testing::RowPlans& plans, const SpeedConstants& c) {
  double sum = 0;
  for (const PublicRow& row : rows) {
    if (!row.ran() || row.use != "fit") continue;
    const medlar::host::Prediction p = plans.predict(row, c);
    sum += std::pow(std::log(p.prompt_tps / row.prompt_tps), 4) +
           std::pow(std::log(p.decode_tps / row.decode_tps), 4);
  }
  return sum;
}

// Steps of each constant by a factor, shorter when none helps.
SpeedConstants fit(const std::vector<PublicRow>& rows, medlar::testing::RowPlans& plans) {
  SpeedConstants best;
  double least = loss(rows, plans, best);
  for (double step = 1.2; step > 1.0005;) {
    bool better = false;
    for (std::size_t i = 0; i < members(best).size(); ++i) {
      for (const double factor : {step, 1 / step}) {
        SpeedConstants next = best;
        *members(next)[i] *= factor;
        if (next.read_share > 1) continue;
        const double l = loss(rows, plans, next);
        if (l < least) best = next, least = l, better = true;
      }
    }
    if (!better) step = std::sqrt(step);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const auto rows = medlar::testing::read_public_rows(argc > 1 ? argv[1] : "tests/host/apple_speed.csv");
  medlar::testing::RowPlans plans;
  SpeedConstants c = fit(rows, plans);
  for (const double* x : members(c)) std::puts(fmt::format("{:.4g}", *x).c_str());
  std::vector<double> errors;
  for (const PublicRow& row : rows) {
    if (!row.ran()) continue;
    const medlar::host::Prediction p = plans.predict(row, c);
    const double reading = p.prompt_tps / row.prompt_tps - 1, writing = p.decode_tps / row.decode_tps - 1;
    if (row.use == "check") errors.insert(errors.end(), {std::abs(reading), std::abs(writing)});
    std::puts(fmt::format("{:24} {:13} {:7} {:6} {:+6.1f} % {:+6.1f} %", row.machine, row.model, row.type,
                          row.use, 100 * reading, 100 * writing)
                  .c_str());
  }
  std::ranges::sort(errors);
  std::puts(fmt::format("rows marked check: median {:.1f} %, worst {:.1f} %", 100 * errors[errors.size() / 2],
                        100 * errors.back())
                .c_str());
}
