// For each group a row of scales is tried, each with the nearest points; then the scales are rounded as the
// block stores them, and the points found again. The common factor is the best one for those, once more.
#include "formats/grid_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "formats/grid_index.h"
#include "formats/iq1_grid.h"
#include "formats/iq2_grids.h"
#include "formats/iq3_grids.h"
#include "formats/signs.h"

namespace medlar::formats {
namespace {

using Values = std::span<const f32>;

constexpr GridIndex<8, 3, 2, 2048> kIq1{kIq1Grid};
constexpr GridIndex<8, 3, 2, 256> kIq2Xxs{kIq2XxsGrid};
constexpr GridIndex<8, 3, 2, 512> kIq2Xs{kIq2XsGrid};
constexpr GridIndex<8, 3, 2, 1024> kIq2S{kIq2SGrid};
constexpr GridIndex<4, 8, 3, 256> kIq3Xxs{kIq3XxsGrid};
constexpr GridIndex<4, 8, 3, 512> kIq3S{kIq3SGrid};

double square(double v) { return v * v; }
double inverse_of(double v) { return v == 0 ? 0 : 1 / v; }

// What points mean. A coder gives the cells that come nearest to values at a scale, as many as share a
// choice, and the numbers that are multiplied with the scale:
//   kCells                             how many that is
//   least(), greatest()                of the magnitudes
//   nearest(x, scale, cells, numbers)

// Magnitudes of a grid with signs. kEven: an even number of the eight is negative.
template <const auto& kIndex, auto kLevel, u32 kBits, const auto& kGrid, bool kEven>
struct SignedCoder {
  static constexpr u32 kCells = 1;
  static double least() { return kLevel(0); }
  static double greatest() { return kLevel(Index::kLevels - 1); }

  static void nearest(Values x, double scale, GridCell* cell, double* numbers) {
    *cell = {.points = {}, .signs = signs_of(x), .down = false};
    for (u32 p = 0; p < 8 / kDims; ++p) {
      Costs costs;
      for (u32 i = 0; i < kDims; ++i) {
        const u32 at = p * kDims + i;
        const double v = (cell->signs >> at & 1) != 0 ? -x[at] : x[at];
        for (u32 level = 0; level < Index::kLevels; ++level)
          costs[i][level] = square(scale * kLevel(level) - v);
      }
      cell->points[p] = kIndex.nearest(costs).point;
      for (u32 i = 0; i < kDims; ++i) {
        const u32 at = p * kDims + i;
        const double number = kLevel(kGrid[cell->points[p]] >> i * kBits & ((1U << kBits) - 1));
        numbers[at] = (cell->signs >> at & 1) != 0 ? -number : number;
      }
    }
  }

 private:
  using Index = std::remove_cvref_t<decltype(kIndex)>;
  using Costs = typename Index::Costs;
  static constexpr u32 kDims = Index::kDims;

  // Where their number must be even, that of the least magnitude is given up.
  static u8 signs_of(Values x) {
    u32 signs = 0, least = 0;
    for (u32 i = 0; i < 8; ++i) {
      signs |= (x[i] < 0 ? 1U : 0U) << i;
      if (std::abs(x[i]) < std::abs(x[least])) least = i;
    }
    if (kEven && even_signs(signs & 127) != signs) signs ^= 1U << least;
    return static_cast<u8>(signs);
  }
};

constexpr auto kIq2Level = [](u32 code) -> double { return iq2_level(code); };
constexpr auto kIq3XxsLevel = [](u32 code) -> double { return iq3_xxs_level(code); };
constexpr auto kIq3SLevel = [](u32 code) -> double { return iq3_s_level(code); };

using Iq2XxsCoder = SignedCoder<kIq2Xxs, kIq2Level, 2, kIq2XxsGrid, true>;
using Iq2XsCoder = SignedCoder<kIq2Xs, kIq2Level, 2, kIq2XsGrid, true>;
using Iq2SCoder = SignedCoder<kIq2S, kIq2Level, 2, kIq2SGrid, false>;
using Iq3XxsCoder = SignedCoder<kIq3Xxs, kIq3XxsLevel, 3, kIq3XxsGrid, true>;
using Iq3SCoder = SignedCoder<kIq3S, kIq3SLevel, 3, kIq3SGrid, false>;

// -1, 0 and 1, moved by an eighth: kCells of them in the same direction.
template <u32 kCells_>
struct ShiftedCoder {
  static constexpr u32 kCells = kCells_;
  static double least() { return 0.875; }
  static double greatest() { return 1.125; }

  static void nearest(Values x, double scale, GridCell* cells, double* numbers) {
    double best = std::numeric_limits<double>::infinity();
    for (const bool down : {false, true}) {
      std::array<GridCell, kCells> tried;
      double error = 0;
      for (u32 c = 0; c < kCells; ++c) error += nearest_cell(x.subspan(8 * c, 8), scale, down, tried[c]);
      if (error < best) best = error, std::ranges::copy(tried, cells);
    }
    for (u32 i = 0; i < 8 * kCells; ++i)
      numbers[i] = iq1_level(kIq1Grid[cells[i / 8].points[0]], i % 8) + shift(cells[i / 8].down);
  }

 private:
  static double shift(bool down) { return down ? -0.125 : 0.125; }

  static double nearest_cell(Values x, double scale, bool down, GridCell& cell) {
    decltype(kIq1)::Costs costs;
    for (u32 i = 0; i < 8; ++i)
      for (u32 code = 0; code < 3; ++code) costs[i][code] = square(scale * (code - 1.0 + shift(down)) - x[i]);
    const auto found = kIq1.nearest(costs);
    cell = {.points = {found.point, 0}, .signs = 0, .down = down};
    return found.cost;
  }
};

// How a block stores scales: scale = d unit (2 code + 1), code up to `top`.
struct ScaleCodes {
  u32 group;  // elements
  double unit;
  i32 top;
};

// A group at some scale.
struct GroupFit {
  double scale = 0;
  double gain = -1;  // of the best scale for these cells: what the error is below that of zeros
};

template <class Coder>
class GridFit {
 public:
  GridFit(const f32* x, const ScaleCodes& codes) : x_(x, 256), codes_(codes) {}

  GridSuperblock fit() {
    constexpr u16 kNan = 0x7e00;
    if (!std::ranges::all_of(x_, [](f32 v) { return std::isfinite(v); })) return result_.d = kNan, result_;
    std::array<double, 16> scales{};
    const u32 groups = 256 / codes_.group;
    for (u32 g = 0; g < groups; ++g) scales[g] = best_scale(g).scale;
    const double top = std::ranges::max(scales);
    if (!store_factor(top / (codes_.unit * (2 * codes_.top + 1)))) return result_;
    for (u32 g = 0; g < groups; ++g) store_group(g, scales[g]);
    refine_factor();
    return result_;
  }

 private:
  Values values(u32 g) const { return x_.subspan(g * codes_.group, codes_.group); }

  // The group's cells at that scale, and the numbers that it multiplies.
  void code(u32 g, double scale, std::span<GridCell> cells, std::span<double> numbers) const {
    for (u32 c = 0; c < codes_.group / 8; c += Coder::kCells)
      Coder::nearest(values(g).subspan(8 * c, 8 * Coder::kCells), scale, &cells[c], &numbers[8 * c]);
  }

  GroupFit best_scale(u32 g) const {
    double peak = 0;
    for (const f32 v : values(g)) peak = std::max(peak, std::abs(static_cast<double>(v)));
    if (peak == 0) return {};
    GroupFit best;
    const auto consider = [&](double scale) {
      std::array<GridCell, 4> cells;
      std::array<double, 32> numbers;
      code(g, scale, cells, numbers);
      double xn = 0, nn = 0;
      for (u32 i = 0; i < codes_.group; ++i) xn += values(g)[i] * numbers[i], nn += square(numbers[i]);
      const double fitting = xn * inverse_of(nn);
      const bool better = fitting > 0 && fitting * xn > best.gain;
      if (better) best = {fitting, fitting * xn};
      return better;
    };
    constexpr int kSteps = 7, kRefinements = 3;
    // From where the greatest magnitude would be cut to two thirds, to where it needs but half of the range.
    for (int step = 0; step < kSteps; ++step)
      consider(peak / (Coder::greatest() * 0.66 * std::pow(2.8, step / (kSteps - 1.0))));
    consider(peak / Coder::least());
    for (int i = 0; i < kRefinements; ++i)
      if (!consider(best.scale)) break;
    return best;
  }

  double factor() const { return static_cast<double>(f16_bits_to_f32(result_.d)); }

  // Whether it is above 0: the blocks' scales have none.
  bool store_factor(double d) {
    result_.d = f32_to_f16_bits(static_cast<f32>(std::min(d, 65504.0)));
    return result_.d != 0;
  }

  double scale_of(i32 code) const { return factor() * codes_.unit * (2 * code + 1); }

  std::span<GridCell> cells(u32 g) {
    return std::span(result_.cells).subspan(g * codes_.group / 8, codes_.group / 8);
  }

  // With the stored scale of least error next to the one that is wanted.
  void store_group(u32 g, double scale) {
    const double wanted = (scale / (factor() * codes_.unit) - 1) / 2;
    const auto middle =
        static_cast<i32>(std::lround(std::clamp(wanted, 0.0, static_cast<double>(codes_.top))));
    double best = std::numeric_limits<double>::infinity();
    for (i32 c = std::max(middle - 1, 0); c <= std::min(middle + 1, codes_.top); ++c) {
      std::array<GridCell, 4> tried;
      std::array<double, 32> numbers;
      code(g, scale_of(c), tried, numbers);
      double error = 0;
      for (u32 i = 0; i < codes_.group; ++i) error += square(scale_of(c) * numbers[i] - values(g)[i]);
      if (error >= best) continue;
      best = error, result_.scales[g] = static_cast<u8>(c);
      std::ranges::copy(std::span(tried).first(codes_.group / 8), cells(g).begin());
      std::ranges::copy(std::span(numbers).first(codes_.group), numbers_.begin() + g * codes_.group);
    }
  }

  // The best factor for the points and the scales' codes as they are.
  void refine_factor() {
    double xn = 0, nn = 0;
    for (u32 i = 0; i < 256; ++i) {
      const double number = codes_.unit * (2 * result_.scales[i / codes_.group] + 1) * numbers_[i];
      xn += number * x_[i], nn += square(number);
    }
    if (xn > 0) store_factor(xn * inverse_of(nn));
  }

  Values x_;
  ScaleCodes codes_;
  GridSuperblock result_{};
  std::array<double, 256> numbers_{};
};

}  // namespace

GridSuperblock fit_iq1_s(const f32* x) {
  return GridFit<ShiftedCoder<4>>(x, {.group = 32, .unit = 1, .top = 7}).fit();
}
GridSuperblock fit_iq1_m(const f32* x) {
  return GridFit<ShiftedCoder<1>>(x, {.group = 16, .unit = 1, .top = 7}).fit();
}
GridSuperblock fit_iq2_xxs(const f32* x) {
  return GridFit<Iq2XxsCoder>(x, {.group = 32, .unit = 0.125, .top = 15}).fit();
}
GridSuperblock fit_iq2_xs(const f32* x) {
  return GridFit<Iq2XsCoder>(x, {.group = 16, .unit = 0.125, .top = 15}).fit();
}
GridSuperblock fit_iq2_s(const f32* x) {
  return GridFit<Iq2SCoder>(x, {.group = 16, .unit = 0.125, .top = 15}).fit();
}
GridSuperblock fit_iq3_xxs(const f32* x) {
  return GridFit<Iq3XxsCoder>(x, {.group = 32, .unit = 0.25, .top = 15}).fit();
}
GridSuperblock fit_iq3_s(const f32* x) {
  return GridFit<Iq3SCoder>(x, {.group = 32, .unit = 1, .top = 15}).fit();
}

}  // namespace medlar::formats
