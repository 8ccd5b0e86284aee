// Rotary position embedding (Su et al. 2021), and what else happens to q, k and v between their product and
// attention. Slices share the (token, head) pairs.
#include "kernels/cpu/kv.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

// The rotation at one position: cos and sin of each pair's angle, times the magnitude.
struct Turn {
  RopeStyle style;
  int64_t half;  // pairs
  float* cos;    // (half)
  float* sin;    // (half)
};

void set_position(const Turn& turn, int64_t position, const float* inv_freq, float magnitude) {
  const F p = splat(static_cast<float>(position));
  each({0, turn.half}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    const SinCos angle = sin_cos(p * load(inv_freq + i, lanes));
    store(turn.cos + i, angle.cos * splat(magnitude), lanes);
    store(turn.sin + i, angle.sin * splat(magnitude), lanes);
  });
}

// The first 2 * half values of a head; y may equal x.
void rotate(const Turn& turn, const float* x, float* y) {
  if (turn.style == RopeStyle::adjacent) {
    for (int64_t i = 0; i < turn.half; ++i) {
      const float a = x[2 * i], b = x[2 * i + 1];
      y[2 * i] = a * turn.cos[i] - b * turn.sin[i];
      y[2 * i + 1] = a * turn.sin[i] + b * turn.cos[i];
    }
    return;
  }
  each({0, turn.half}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    const F a = load(x + i, lanes), b = load(x + turn.half + i, lanes);
    const F c = load(turn.cos + i, lanes), s = load(turn.sin + i, lanes);
    store(y + i, fnma(b, s, a * c), lanes);
    store(y + turn.half + i, fma(a, s, b * c), lanes);
  });
}

// Scratch: cos, sin, and a head.
Turn turn_in(const Slice& slice, RopeStyle style, int64_t rope_dim) {
  auto* floats = reinterpret_cast<float*>(slice.scratch.data());
  return {style, rope_dim / 2, floats, floats + rope_dim / 2};
}

}  // namespace

size_t rope_scratch(const void* args, int) {
  return static_cast<size_t>(static_cast<const RopeArgs*>(args)->rope_dim) * sizeof(float);
}

void rope(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RopeArgs*>(args);
  const Turn turn = turn_in(slice, a.style, a.rope_dim);
  const Range mine = share(step.tokens * a.heads, 1, slice);
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    if (i == mine.begin || i % a.heads == 0) {
      set_position(turn, step.positions[i / a.heads], a.inv_freq, a.magnitude);
    }
    const float* x = a.x + i * a.head_dim;
    float* y = a.y + i * a.head_dim;
    rotate(turn, x + a.first, y + a.first);
    if (y != x) {
      const int64_t end = a.first + a.rope_dim;
      memcpy(y, x, static_cast<size_t>(a.first) * sizeof(float));
      memcpy(y + end, x + end, static_cast<size_t>(a.head_dim - end) * sizeof(float));
    }
  }
}

void kv_write(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const KvWriteArgs*>(args);
  const KvPages& to = a.to;
  const Range mine = share(step.tokens * to.heads, 1, slice);
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    const int64_t t = i / to.heads;
    std::byte* row =
        position_row(to, step.pages[a.group], step.sequences[t], step.positions[t], i % to.heads);
    store_kv(to.type, a.x + i * to.dim, row, to.dim);
  }
}

size_t attend_prepare_scratch(const void* args, int) {
  const auto& a = *static_cast<const AttendPrepareArgs*>(args);
  return static_cast<size_t>(a.rope_dim + a.head_dim) * sizeof(float);
}

// The pairs of a token are its heads of q, then of k, then of v.
void attend_prepare(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const AttendPrepareArgs*>(args);
  const PageTable& table = step.pages[a.group];
  const Turn turn = turn_in(slice, a.style, a.rope_dim);
  float* head = turn.sin + turn.half;
  const int64_t kv_heads = a.k_to.heads;
  const int64_t heads = a.heads + 2 * kv_heads;
  const auto ready = [&](const float* x, const float* norm, float* y) {
    if (norm) {
      scale_by({0, a.head_dim}, x, inverse_rms(x, a.head_dim, a.eps), norm, y);
    } else if (y != x) {
      memcpy(y, x, static_cast<size_t>(a.head_dim) * sizeof(float));
    }
    rotate(turn, y, y);
  };

  const Range mine = share(step.tokens * heads, 1, slice);
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    const int64_t t = i / heads;
    const int64_t h = i % heads;
    const int64_t sequence = step.sequences[t];
    const int64_t position = step.positions[t];
    if (turn.half > 0 && (i == mine.begin || h == 0)) set_position(turn, position, a.inv_freq, a.magnitude);
    if (h < a.heads) {
      float* q = a.q + (t * a.heads + h) * a.head_dim;
      ready(q, a.q_norm, q);
    } else if (const int64_t k_head = h - a.heads; k_head < kv_heads) {
      ready(a.k + (t * kv_heads + k_head) * a.head_dim, a.k_norm, head);
      store_kv(a.k_to.type, head, position_row(a.k_to, table, sequence, position, k_head), a.head_dim);
    } else {
      const int64_t v_head = k_head - kv_heads;
      store_kv(a.v_to.type, a.v + (t * kv_heads + v_head) * a.v_to.dim,
               position_row(a.v_to, table, sequence, position, v_head), a.v_to.dim);
    }
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
