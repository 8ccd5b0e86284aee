// Operations with a state, which goes from token to token: short convolutions, shared out by channels, and
// gated linear recurrences (Dao & Gu 2024; Yang et al. 2025), by columns of the heads' states: those of 32
// columns stay in the first cache while a sequence's tokens go by.
#include "kernels/cpu/math.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 16;                         // channels: a cache line
constexpr int64_t kConvBlock = 256;                      // channels whose weights and last inputs are at hand
constexpr int kColumns = kLanes == 1 ? 8 : 32 / kLanes;  // vectors of a unit of a scan

MEDLAR_INLINE float* state_after(const StatePages& s, const Step& step, int64_t sequence, int64_t position) {
  const PageTable& table = step.pages[s.group];
  const int32_t page = table.pages[sequence * table.stride + position / kPageTokens];
  return page < 0 ? nullptr : reinterpret_cast<float*>(s.base + page * s.page_bytes);
}

// The tokens of one sequence in a step.
struct Run {
  int64_t begin, end, first;  // the position of token `begin`
  const float* from;          // the state before them; null: there is none
  float* to;                  // and behind them

  MEDLAR_INLINE static bool next(const StatePages& s, const Step& step, Run& run) {
    const int64_t begin = run.end;
    if (begin >= step.tokens) return false;
    int64_t end = begin + 1;
    while (end < step.tokens && step.sequences[end] == step.sequences[begin]) ++end;
    const int64_t sequence = step.sequences[begin], first = step.positions[begin];
    run = {begin, end, first, first == 0 ? nullptr : state_after(s, step, sequence, first - 1),
           state_after(s, step, sequence, first + (end - begin) - 1)};
    return true;
  }
  // Where the state after token t is kept on the way, or null.
  MEDLAR_INLINE float* kept(const StatePages& s, const Step& step, int64_t t) const {
    const int64_t position = first + (t - begin);
    if (t + 1 == end || (position + 1) % kPageTokens != 0) return nullptr;
    return state_after(s, step, step.sequences[begin], position);
  }
};

MEDLAR_INLINE F activated(Activation activation, F x) {
  return activation == Activation::silu ? silu(x) : activation == Activation::gelu ? gelu(x) : x;
}

// kConvBlock channels at a time, so that rows are read one after the other.
template <int kWidth>
void convolve(const ShortConvArgs& a, const Step& step, Range channels) {
  const size_t bytes = static_cast<size_t>(channels.size()) * sizeof(float);
  float weights[kWidth][kConvBlock], before[kWidth - 1][kConvBlock];
  for (int64_t c = 0; c < channels.size(); ++c)
    for (int j = 0; j < kWidth; ++j) weights[j][c] = a.weight[(channels.begin + c) * kWidth + j];
  Run run = {};
  while (Run::next(a.state, step, run)) {
    // A copy: the state may be replaced where a page ends, while tokens still look back to it.
    for (int j = 0; j < kWidth - 1; ++j) {
      if (run.from)
        memcpy(before[j], run.from + j * a.channels + channels.begin, bytes);
      else
        memset(before[j], 0, bytes);
    }
    for (int64_t t = run.begin; t < run.end; ++t) {
      const float* rows[kWidth];
      for (int j = 0; j < kWidth; ++j) {
        const int64_t at = t - (kWidth - 1) + j;
        rows[j] =
            at >= run.begin ? a.x + at * a.channels + channels.begin : before[kWidth - 1 - (run.begin - at)];
      }
      const float* bias = a.bias ? a.bias + channels.begin : nullptr;
      float* y = a.y + t * a.channels + channels.begin;
      each({0, channels.size()}, [&](int64_t c, auto lanes) __attribute__((always_inline)) {
        F sum = bias ? load(bias + c, lanes) : splat(0.0f);
        MEDLAR_UNROLL
        for (int j = 0; j < kWidth; ++j)
          sum = fma(load(weights[j] + c, lanes), load(rows[j] + c, lanes), sum);
        store(y + c, activated(a.activation, sum), lanes);
      });
      float* to = t + 1 == run.end ? run.to : run.kept(a.state, step, t);
      for (int j = 0; to && j < kWidth - 1; ++j)
        memcpy(to + j * a.channels + channels.begin, rows[j + 1], bytes);
    }
  }
}

template <int kWidth>
void convolve_blocks(const ShortConvArgs& a, const Step& step, Range channels) {
  for (int64_t c = channels.begin; c < channels.end; c += kConvBlock)
    convolve<kWidth>(a, step, {c, least(c + kConvBlock, channels.end)});
}

// What a token says to a head, but for its vectors.
struct Said {
  const float *q, *k, *v;
  float fade, strength, q_by, k_by;
};

MEDLAR_INLINE float inverse_length(const float* x, int64_t n, float eps) {
  F squares = splat(0.0f);
  each({0, n}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    const F v = load(x + i, lanes);
    squares = fma(v, v, squares);
  });
  return 1.0f / sqrtf(sum(squares) + eps);
}

MEDLAR_INLINE Said said(const ScanArgs& a, int64_t t, int64_t h) {
  const int64_t kh = a.interleaved ? h % a.key_heads : h / (a.heads / a.key_heads);
  const float* row = a.x + t * a.width;
  Said s = {row + a.q_at + kh * a.key_dim,
            row + a.k_at + kh * a.key_dim,
            row + a.v_at + h * a.value_dim,
            0,
            0,
            a.scale,
            1};
  const float x = a.a[t * a.heads + h] + a.bias[h];
  const float d = (x > 0 ? x : 0) + log1pf(expf(x > 0 ? -x : x));
  s.fade = expf(a.rate[h] * d);
  s.strength = d;
  if (!a.b) return s;
  s.strength = 1.0f / (1.0f + expf(-a.b[t * a.heads + h]));
  s.q_by = a.scale * inverse_length(s.q, a.key_dim, a.eps);
  s.k_by = inverse_length(s.k, a.key_dim, a.eps);
  return s;
}

// kVectors vectors of columns of a head's state.
template <int kVectors, class Lanes>
struct Columns {
  const ScanArgs& a;
  int64_t h, column;
  Lanes lanes;

  MEDLAR_INLINE float* of(float* state) const { return state + h * a.key_dim * a.value_dim + column; }

  MEDLAR_INLINE void copy(const float* from, float* to) const {
    if (from == to) return;
    for (int64_t i = 0; i < a.key_dim; ++i) MEDLAR_UNROLL
    for (int c = 0; c < kVectors; ++c)
      store(to + i * a.value_dim + c * kLanes,
            from ? load(from + i * a.value_dim + c * kLanes, lanes) : splat(0.0f), lanes);
  }

  MEDLAR_INLINE void token(const Said& s, float* state, float* y, float skip) const {
    const F fade = splat(s.fade);
    F u[kVectors], out[kVectors];
    MEDLAR_UNROLL
    for (int c = 0; c < kVectors; ++c) u[c] = out[c] = splat(0.0f);
    if (a.b) {
      for (int64_t i = 0; i < a.key_dim; ++i) {
        const F k = splat(s.k[i]);
        MEDLAR_UNROLL
        for (int c = 0; c < kVectors; ++c)
          u[c] = fma(k, load(state + i * a.value_dim + c * kLanes, lanes), u[c]);
      }
    }
    // What is written is k u: the key's length is in u.
    MEDLAR_UNROLL
    for (int c = 0; c < kVectors; ++c) {
      const F v = load(s.v + column + c * kLanes, lanes);
      u[c] = splat(s.strength * s.k_by) * (a.b ? fnma(splat(s.fade * s.k_by), u[c], v) : v);
    }
    for (int64_t i = 0; i < a.key_dim; ++i) {
      const F k = splat(s.k[i]), q = splat(s.q[i]);
      float* row = state + i * a.value_dim;
      MEDLAR_UNROLL
      for (int c = 0; c < kVectors; ++c) {
        const F now = fma(k, u[c], fade * load(row + c * kLanes, lanes));
        store(row + c * kLanes, now, lanes);
        out[c] = fma(q, now, out[c]);
      }
    }
    MEDLAR_UNROLL
    for (int c = 0; c < kVectors; ++c)
      store(y + c * kLanes, fma(splat(skip), load(s.v + column + c * kLanes, lanes), splat(s.q_by) * out[c]),
            lanes);
  }

  MEDLAR_INLINE void run(const Step& step) const {
    const float skip = a.skip ? a.skip[h] : 0.0f;
    Run run = {};
    while (Run::next(a.state, step, run)) {
      float* state = of(run.to);
      copy(run.from ? of(const_cast<float*>(run.from)) : nullptr, state);
      for (int64_t t = run.begin; t < run.end; ++t) {
        token(said(a, t, h), state, a.y + (t * a.heads + h) * a.value_dim + column, skip);
        if (float* kept = run.kept(a.state, step, t)) copy(state, of(kept));
      }
    }
  }
};

}  // namespace

void short_conv(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ShortConvArgs*>(args);
  const Range channels = share(a.channels, kGranule, slice);
  switch (a.width) {
    case 2:
      return convolve_blocks<2>(a, step, channels);
    case 3:
      return convolve_blocks<3>(a, step, channels);
    case 4:
      return convolve_blocks<4>(a, step, channels);
    case 5:
      return convolve_blocks<5>(a, step, channels);
    case 6:
      return convolve_blocks<6>(a, step, channels);
    case 7:
      return convolve_blocks<7>(a, step, channels);
    default:
      return convolve_blocks<kMaxConvWidth>(a, step, channels);
  }
}

// Units: of each head its columns by kColumns vectors, and what is left by single ones.
void scan(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ScanArgs*>(args);
  constexpr int64_t kWide = kColumns * kLanes;
  const int64_t wide = a.value_dim / kWide, left = a.value_dim - wide * kWide;
  const int64_t of_head = wide + (left + kLanes - 1) / kLanes;
  const Range units = share(a.heads * of_head, 1, slice);
  for (int64_t unit = units.begin; unit < units.end; ++unit) {
    const int64_t h = unit / of_head, i = unit % of_head;
    if (i < wide) {
      Columns<kColumns, Full>{a, h, i * kWide, Full{}}.run(step);
      continue;
    }
    const int64_t column = wide * kWide + (i - wide) * kLanes, count = a.value_dim - column;
    if (count >= kLanes)
      Columns<1, Full>{a, h, column, Full{}}.run(step);
    else
      Columns<1, Some>{a, h, column, Some{static_cast<int>(count)}}.run(step);
  }
}

void slice(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const SliceArgs*>(args);
  const Range vectors = share(resolve(a.rows, step) * a.per_row, 1, slice);
  for (int64_t i = vectors.begin; i < vectors.end; ++i)
    memcpy(a.y + i * a.width, a.x + i * a.dim + a.begin, static_cast<size_t>(a.width) * sizeof(float));
}

}  // namespace medlar::kernels::MEDLAR_ISA
