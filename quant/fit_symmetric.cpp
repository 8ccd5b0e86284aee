// The search for blocks with scales alone: x ~ scale * value of the code.
#include "quant/block_scale.h"
#include "quant/fit.h"
#include "quant/lanes.h"

namespace medlar::quant {
namespace {

using formats::Codebook;

constexpr u32 kSuperblock = formats::kSuperblock;
constexpr u32 kMaxGroups = 16;

// Snaps to the nearest of the whole numbers first..last.
struct Whole {
  f32 first, last;
  f32x4 operator()(f32x4 v) const { return nearest(clamp(v, all(first), all(last))); }
  u8 code(f32 value) const { return static_cast<u8>(value - first); }
  f32 front() const { return first; }
  f32 back() const { return last; }
  std::span<const f32> near_ends() const { return {}; }
};

// Snaps to the nearest of 16 values by the edges between them.
struct Listed {
  explicit Listed(const Codebook& codebook) : book(codebook) {
    for (std::size_t i = 0; i < 16; ++i) value[i] = static_cast<f32>(book[i]);
    for (std::size_t i = 0; i < 15; ++i)
      edge[i] = (value[i] + value[i + 1]) / 2, gap[i] = value[i + 1] - value[i];
    for (std::size_t i = 0; i < 3; ++i) inner[i] = value[1 + i], inner[3 + i] = value[14 - i];
  }
  f32x4 operator()(f32x4 v) const {
    f32x4 snapped = all(value[0]);
    for (std::size_t i = 0; i < 15; ++i) snapped += v > all(edge[i]) ? all(gap[i]) : f32x4{};
    return snapped;
  }
  u8 code(f32 v) const { return book.nearest(static_cast<double>(v)); }
  f32 front() const { return value[0]; }
  f32 back() const { return value[15]; }
  // Values that a group's peak may well have: steps between them are wide.
  std::span<const f32> near_ends() const { return inner; }

  const Codebook& book;
  f32 value[16], edge[15], gap[15], inner[6];
};

// Sums over a group and its values v: of w v^2, w v x.
struct Sums {
  double vv = 0, vx = 0;
  double scale() const { return vx * inverse_of(vv); }
  double gain() const { return vx * scale(); }  // what the error is below that of zeros, with that scale
};

template <u32 N, class Snap>
struct Group {
  const f32* x;
  const f32* weight;
  f32 peak = 0;  // with its sign

  Group() = default;
  Group(const f32* values, const f32* weights) : x(values), weight(weights) {
    for (u32 i = 0; i < N; ++i)
      if (std::abs(x[i]) > std::abs(peak)) peak = x[i];
  }

  Sums sums(double scale, const Snap& snap) const {
    const f32x4 to_code = all(static_cast<f32>(inverse_of(scale)));
    f32x4 vv{}, vx{};
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 value = load(x + i), v = snap(value * to_code), wv = load(weight + i) * v;
      vv += wv * v, vx += wv * value;
    }
    return {sum(vv), sum(vx)};
  }
  struct Coded {
    double error = std::numeric_limits<double>::infinity();  // with that very scale
    Sums sums;
  };
  Coded code(double scale, const Snap& snap) const {
    const f32x4 to_code = all(static_cast<f32>(inverse_of(scale))), s = all(static_cast<f32>(scale));
    f32x4 vv{}, vx{}, error{};
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 value = load(x + i), v = snap(value * to_code), k = load(weight + i), e = s * v - value;
      vv += k * v * v, vx += k * v * value, error += k * e * e;
    }
    return {sum(error), {sum(vv), sum(vx)}};
  }

  double fit(const Snap& snap, const Effort& effort) const {
    if (peak == 0) return 0;
    double best = 0, best_gain = -1;
    const auto consider = [&](double scale) {
      const Sums s = sums(scale, snap);
      const bool better = s.gain() > best_gain * (1 + 1e-7);
      if (better) best = s.scale(), best_gain = s.gain();
      return better;
    };
    // The peak at an end of the values, or some way beyond or before it.
    const double span = std::max(1.0, 0.07 * static_cast<double>(snap.back()));
    for (int step = -effort.grid; step <= effort.grid; ++step) {
      const double beyond = span * step / effort.grid;
      consider(peak / (snap.front() - beyond));
      consider(peak / (snap.back() + beyond));
    }
    for (const f32 value : snap.near_ends()) consider(peak / static_cast<double>(value));
    for (int i = 0; i < effort.refinements; ++i)
      if (!consider(best)) break;
    // Gains are differences of large sums: what was a block of this format before has an error of 0, which
    // they would not tell from a small one.
    const double ends[] = {best, peak / static_cast<double>(snap.front()),
                           peak / static_cast<double>(snap.back())};
    return *std::ranges::min_element(ends, {}, [&](double scale) { return code(scale, snap).error; });
  }

  void codes(double scale, const Snap& snap, u8* to) const {
    const f32x4 to_code = all(static_cast<f32>(inverse_of(scale)));
    for (u32 i = 0; i < N; i += kLanes) {
      const f32x4 v = snap(load(x + i) * to_code);
      for (u32 lane = 0; lane < kLanes; ++lane) to[i + lane] = snap.code(v[lane]);
    }
  }
};

// A factor, and each group's integer with it.
struct Choice {
  struct Level {
    i32 scale = 0;
    Sums sums;
  };
  Factor d;
  std::array<Level, kMaxGroups> levels;
  double error = std::numeric_limits<double>::infinity();
};

template <u32 N, class Snap>
class Search {
 public:
  static constexpr u32 kGroups = kSuperblock / N;

  Search(Weighted block, const formats::SymmetricShape& shape, const Snap& snap, const Effort& effort)
      : values_(block), shape_(shape), snap_(snap), effort_(effort) {
    for (u32 g = 0; g < kGroups; ++g) {
      groups_[g] = Group<N, Snap>(values_.x.data() + g * N, values_.weight.data() + g * N);
      scales_[g] = groups_[g].fit(snap, effort);
    }
  }

  formats::SymmetricSuperblock run() const {
    double peak = 0;
    for (u32 g = 0; g < kGroups; ++g)
      if (std::abs(scales_[g]) > std::abs(peak)) peak = scales_[g];
    Choice best = choose(values_.outer_factor(peak / shape_.min_scale), scales_);
    for (int i = 1; i <= effort_.factors; ++i) {
      const double part = 1 - 0.03 * i;
      keep(best, choose(values_.nearest_factor(part * peak / shape_.min_scale), scales_));
      keep(best, choose(values_.nearest_factor(peak / shape_.max_scale / part), scales_));
    }
    for (int round = 0; round < effort_.rounds; ++round)
      if (!keep(best, improve(best))) break;
    return pack(best);
  }

 private:
  using Scales = std::array<double, kMaxGroups>;

  static bool keep(Choice& best, const Choice& other) {
    if (!(other.error < best.error * (1 - 1e-6))) return false;
    best = other;
    return true;
  }

  Choice choose(Factor d, const Scales& scales) const {
    Choice c{.d = d, .levels = {}, .error = 0};
    for (u32 g = 0; g < kGroups; ++g) {
      const i32 nearest =
          nearest_integer(scales[g] * inverse_of(d.value), shape_.min_scale, shape_.max_scale);
      double least = std::numeric_limits<double>::infinity();
      const i32 from = std::max(shape_.min_scale, nearest - effort_.reach);
      const i32 to = std::min(shape_.max_scale, nearest + effort_.reach);
      for (i32 level = from; level <= to; ++level) {
        const auto coded = groups_[g].code(static_cast<double>(d.value) * level, snap_);
        if (coded.error < least) least = coded.error, c.levels[g] = {level, coded.sums};
      }
      c.error += least;
    }
    return c;
  }

  // The best factor for the choice's codes and integers, and what is best with it.
  Choice improve(const Choice& c) const {
    double vv = 0, vx = 0;
    Scales scales{};
    for (u32 g = 0; g < kGroups; ++g) {
      const double level = c.levels[g].scale;
      vv += level * level * c.levels[g].sums.vv, vx += level * c.levels[g].sums.vx;
      scales[g] = c.levels[g].sums.scale();
    }
    if (vv == 0) return {};
    return choose(values_.nearest_factor(vx / vv), scales);
  }

  formats::SymmetricSuperblock pack(const Choice& c) const {
    formats::SymmetricSuperblock s{};
    s.d = c.d.bits;
    for (u32 g = 0; g < kGroups; ++g) {
      s.scales[g] = static_cast<i8>(c.levels[g].scale);
      groups_[g].codes(static_cast<double>(c.d.value) * c.levels[g].scale, snap_, s.codes + g * N);
    }
    return s;
  }

  Normalised<kSuperblock> values_;
  const formats::SymmetricShape& shape_;
  const Snap& snap_;
  const Effort& effort_;
  std::array<Group<N, Snap>, kGroups> groups_;
  Scales scales_;
};

template <class Snap>
SymmetricBlock fit_block(Weighted block, const Snap& snap, const Effort& effort) {
  const Normalised<32> values(block);
  const Group<32, Snap> group(values.x.data(), values.weight.data());
  Factor d;
  double least = std::numeric_limits<double>::infinity();
  const auto consider = [&](double scale) {
    const Factor f = values.nearest_factor(scale);
    const auto coded = group.code(f.value, snap);
    if (coded.error < least) least = coded.error, d = f;
    return coded.sums.scale();
  };
  const double again = consider(group.fit(snap, effort));
  consider(again);
  SymmetricBlock b{.d = d.bits, .codes = {}};
  group.codes(d.value, snap, b.codes);
  return b;
}

// fn(snap) with what the codebook's values are.
template <class Fn>
auto with_snap(const Codebook& book, Fn fn) {
  const bool whole = book.first_gap() == 1;
  return whole ? fn(Whole{static_cast<f32>(book.front()), static_cast<f32>(book.back())}) : fn(Listed(book));
}

}  // namespace

formats::SymmetricSuperblock fit_symmetric(Weighted block, const formats::SymmetricShape& shape,
                                           const Effort& effort) {
  return with_snap(shape.codebook, [&](const auto& snap) {
    using Snap = std::decay_t<decltype(snap)>;
    return shape.group == 16 ? Search<16, Snap>(block, shape, snap, effort).run()
                             : Search<32, Snap>(block, shape, snap, effort).run();
  });
}

SymmetricBlock fit_symmetric_block(Weighted block, const Codebook& book, const Effort& effort) {
  return with_snap(book, [&](const auto& snap) { return fit_block(block, snap, effort); });
}

}  // namespace medlar::quant
