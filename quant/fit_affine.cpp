// The search for blocks with scales and minimums: x ~ scale * code - min.
#include <limits>

#include "quant/block_scale.h"
#include "quant/fit.h"
#include "quant/lanes.h"

namespace medlar::quant {
namespace {

constexpr u32 kSuperblock = formats::kSuperblock;
constexpr u32 kMaxGroups = 16;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Line {
  double scale = 0, min = 0;
  double error = kInfinity;  // weighted sum of squares
};

// Sums over a group and its codes q: of w q, w q^2, w q x.
struct CodeSums {
  double q = 0, qq = 0, qx = 0;
};

template <u32 N>
struct Group {
  const f32* x;
  const f32* weight;
  double w = 0, wx = 0, wxx = 0;
  f32 low = 0, high = 0;

  Group() = default;
  Group(const f32* values, const f32* weights) : x(values), weight(weights), low(values[0]), high(values[0]) {
    f32x4 sum_w{}, sum_x{}, sum_xx{}, lows = load(x), highs = lows;
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 v = load(x + i), k = load(weight + i);
      sum_w += k, sum_x += k * v, sum_xx += k * v * v;
      lows = least(lows, v), highs = most(highs, v);
    }
    w = sum(sum_w), wx = sum(sum_x), wxx = sum(sum_xx);
    for (u32 lane = 0; lane < kLanes; ++lane)
      low = std::min(low, lows[lane]), high = std::max(high, highs[lane]);
  }

  // Of the codes that a scale (not 0) and a minimum give.
  CodeSums sums(double scale, double min, f32 top) const {
    const f32x4 to_code = all(static_cast<f32>(1 / scale)), offset = all(static_cast<f32>(min));
    f32x4 q_sum{}, qq_sum{}, qx_sum{};
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 v = load(x + i);
      const f32x4 q = nearest(clamp((v + offset) * to_code, f32x4{}, all(top)));
      const f32x4 wq = load(weight + i) * q;
      q_sum += wq, qq_sum += wq * q, qx_sum += wq * v;
    }
    return {sum(q_sum), sum(qq_sum), sum(qx_sum)};
  }

  // The best scale and minimum for codes; a minimum below 0 only where it may be.
  Line solve(const CodeSums& s, bool any_min) const {
    const double determinant = w * s.qq - s.q * s.q;
    Line l;
    if (determinant > 1e-12 * w * s.qq) {
      l.scale = (w * s.qx - s.q * wx) / determinant;
      l.min = (s.q * s.qx - s.qq * wx) / determinant;
    }
    if (l.scale == 0 || (l.min < 0 && !any_min)) l = {.scale = s.qx * inverse_of(s.qq), .min = 0};
    if (l.scale <= 0) {
      l = {.scale = 0, .min = -wx * inverse_of(w)};
      if (!any_min) l.min = std::max(0.0, l.min);
      l.error = wxx + l.min * (2 * wx + l.min * w);
      return l;
    }
    l.error = wxx - l.scale * s.qx + l.min * wx;  // by the normal equations
    return l;
  }

  Line fit(u32 top, bool any_min, const Effort& effort) const {
    const double from = any_min ? low : std::min(low, 0.0F);
    const double range = high - from;
    if (range <= 0) return {.scale = 0, .min = -from, .error = 0};
    Line best;
    const auto consider = [&](double scale, double min) {
      const Line l = solve(sums(scale, min, static_cast<f32>(top)), any_min);
      const bool better = l.error < best.error * (1 - 1e-6);
      if (better) best = l;
      return better;
    };
    for (int shift = 0; shift <= effort.shifts; ++shift) {
      const double start = from * (1 - 0.08 * shift);
      for (int step = -effort.grid; step <= effort.grid; ++step)
        consider((high - start) / (top + step * 1.0 / effort.grid), -start);
    }
    for (int i = 0; i < effort.refinements && best.scale > 0; ++i)
      if (!consider(best.scale, best.min)) break;
    // Errors by sums are differences of large ones: what was a block of this format before has an error of 0,
    // which they would not tell from a small one.
    const Line plain{.scale = range / top, .min = -from};
    const auto error = [&](const Line& l) {
      return code(static_cast<f32>(l.scale), static_cast<f32>(l.min), static_cast<f32>(top)).error;
    };
    return error(plain) < error(best) ? plain : best;
  }

  struct Coded {
    double error = kInfinity;
    CodeSums sums;
  };
  Coded code(f32 scale, f32 min, f32 top) const {
    const f32x4 to_code = all(scale == 0 ? 0 : 1 / scale), s = all(scale), m = all(min);
    f32x4 q_sum{}, qq_sum{}, qx_sum{}, error{};
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 v = load(x + i), k = load(weight + i);
      const f32x4 q = nearest(clamp((v + m) * to_code, f32x4{}, all(top)));
      const f32x4 wq = k * q, e = s * q - m - v;
      q_sum += wq, qq_sum += wq * q, qx_sum += wq * v, error += k * e * e;
    }
    return {sum(error), {sum(q_sum), sum(qq_sum), sum(qx_sum)}};
  }

  void codes(f32 scale, f32 min, f32 top, u8* to) const {
    const f32x4 to_code = all(scale == 0 ? 0 : 1 / scale), m = all(min);
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 q = nearest(clamp((load(x + i) + m) * to_code, f32x4{}, all(top)));
      for (u32 lane = 0; lane < kLanes; ++lane) to[i + lane] = static_cast<u8>(q[lane]);
    }
  }
};

// Two factors, and each group's integers and codes with them.
template <u32 N>
struct Choice {
  struct Level {
    i32 scale = 0, min = 0;
    typename Group<N>::Coded coded;
  };
  Factor d, dmin;
  std::array<Level, kMaxGroups> levels;
  double error = kInfinity;
};

template <u32 N>
class Search {
 public:
  static constexpr u32 kGroups = kSuperblock / N;

  Search(Weighted block, const formats::AffineShape& shape, const Effort& effort)
      : values_(block), shape_(shape), effort_(effort), top_(static_cast<f32>(shape.top_code)) {
    for (u32 g = 0; g < kGroups; ++g) {
      groups_[g] = Group<N>(values_.x.data() + g * N, values_.weight.data() + g * N);
      lines_[g] = groups_[g].fit(shape.top_code, false, effort);
    }
  }

  formats::AffineSuperblock run() const {
    double scale = 0, min = 0;
    for (u32 g = 0; g < kGroups; ++g)
      scale = std::max(scale, lines_[g].scale), min = std::max(min, lines_[g].min);
    scale /= shape_.top_scale, min /= shape_.top_scale;
    Choice<N> best = choose(values_.outer_factor(scale), values_.outer_factor(min), lines_);
    for (int i = 1; i <= effort_.factors; ++i) {
      // The largest of few scales need not be within reach.
      const double part = 1 - 0.06 * i;
      keep(best, choose(values_.nearest_factor(scale * part), values_.nearest_factor(min), lines_));
      keep(best, choose(values_.nearest_factor(scale), values_.nearest_factor(min * part), lines_));
      keep(best, choose(values_.nearest_factor(scale * part), values_.nearest_factor(min * part), lines_));
    }
    for (int round = 0; round < effort_.rounds; ++round)
      if (!keep(best, improve(best))) break;
    return pack(best);
  }

 private:
  using Lines = std::array<Line, kMaxGroups>;

  static bool keep(Choice<N>& best, const Choice<N>& other) {
    if (!(other.error < best.error * (1 - 1e-6))) return false;
    best = other;
    return true;
  }

  Choice<N> choose(Factor d, Factor dmin, const Lines& lines) const {
    Choice<N> c{.d = d, .dmin = dmin, .levels = {}, .error = 0};
    for (u32 g = 0; g < kGroups; ++g) {
      c.levels[g] = level(groups_[g], d.value, dmin.value, lines[g]);
      c.error += c.levels[g].coded.error;
    }
    return c;
  }

  // The integers near a line's that fit best, each scale with the minimum that suits its codes.
  typename Choice<N>::Level level(const Group<N>& group, f32 d, f32 dmin, const Line& line) const {
    const auto top = static_cast<i32>(shape_.top_scale);
    typename Choice<N>::Level best;
    const auto consider = [&](i32 scale, i32 min) {
      const auto coded = group.code(d * static_cast<f32>(scale), dmin * static_cast<f32>(min), top_);
      if (coded.error < best.coded.error) best = {scale, min, coded};
      return coded.sums;
    };
    const i32 scale = nearest_integer(line.scale * inverse_of(d), 0, top);
    const i32 min = nearest_integer(line.min * inverse_of(dmin), 0, top);
    for (i32 s = std::max(0, scale - effort_.reach); s <= std::min(top, scale + effort_.reach); ++s) {
      const CodeSums sums = consider(s, min);
      const double real = static_cast<double>(d) * s;
      const double suited = (real * sums.q - group.wx) * inverse_of(group.w);
      const i32 other = nearest_integer(suited * inverse_of(dmin), 0, top);
      if (other != min) consider(s, other);
      for (i32 m = std::max(0, other - effort_.reach); m <= std::min(top, other + effort_.reach); ++m)
        if (m != other && m != min) consider(s, m);
    }
    return best;
  }

  // The best factors for the choice's codes and integers (two normal equations), and what is best with them.
  Choice<N> improve(const Choice<N>& c) const {
    double ss = 0, sm = 0, mm = 0, sx = 0, mx = 0;
    Lines lines;
    for (u32 g = 0; g < kGroups; ++g) {
      const auto& l = c.levels[g];
      const CodeSums& s = l.coded.sums;
      const double scale = l.scale, min = l.min;
      ss += scale * scale * s.qq, sm += scale * min * s.q, mm += min * min * groups_[g].w;
      sx += scale * s.qx, mx += min * groups_[g].wx;
      lines[g] = groups_[g].solve(s, false);
    }
    const double determinant = ss * mm - sm * sm;
    double d = sx * inverse_of(ss), dmin = 0;
    if (determinant > 1e-12 * ss * mm) {
      d = (sx * mm - sm * mx) / determinant;
      dmin = (sm * sx - ss * mx) / determinant;
    }
    if (!(d > 0)) return {};
    return choose(values_.nearest_factor(d), values_.nearest_factor(std::max(0.0, dmin)), lines);
  }

  formats::AffineSuperblock pack(const Choice<N>& c) const {
    formats::AffineSuperblock s{};
    s.d = c.d.bits, s.dmin = c.dmin.bits;
    for (u32 g = 0; g < kGroups; ++g) {
      const auto& l = c.levels[g];
      s.scales[g] = static_cast<u8>(l.scale), s.mins[g] = static_cast<u8>(l.min);
      groups_[g].codes(c.d.value * static_cast<f32>(l.scale), c.dmin.value * static_cast<f32>(l.min), top_,
                       s.codes + g * N);
    }
    return s;
  }

  Normalised<kSuperblock> values_;
  const formats::AffineShape& shape_;
  const Effort& effort_;
  f32 top_;
  std::array<Group<N>, kGroups> groups_;
  Lines lines_;
};

}  // namespace

formats::AffineSuperblock fit_affine(Weighted block, const formats::AffineShape& shape,
                                     const Effort& effort) {
  return shape.group == 16 ? Search<16>(block, shape, effort).run() : Search<32>(block, shape, effort).run();
}

AffineBlock fit_affine_block(Weighted block, u32 top_code, const Effort& effort) {
  const Normalised<32> values(block);
  const Group<32> group(values.x.data(), values.weight.data());
  const auto top = static_cast<f32>(top_code);
  Factor d, min;
  auto best = Group<32>::Coded{};
  const auto consider = [&](const Line& line) {
    const Factor scale = values.nearest_factor(line.scale), offset = values.nearest_factor(line.min);
    const auto coded = group.code(scale.value, offset.value, top);
    if (coded.error < best.error) d = scale, min = offset, best = coded;
    return coded.sums;
  };
  const CodeSums sums = consider(group.fit(top_code, true, effort));
  consider(group.solve(sums, true));
  AffineBlock b{.d = d.bits, .m = static_cast<u16>(min.bits ^ 0x8000U), .codes = {}};
  group.codes(d.value, min.value, top, b.codes);
  return b;
}

}  // namespace medlar::quant
