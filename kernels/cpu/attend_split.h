// How attention's work is shared: a unit is a block of consecutive tokens of one sequence times the query
// heads that share a KV head, against the pages that they see. Units follow one another, and each thread
// takes an equal stretch of all pages by their cost. So a unit may be split between threads, over keys: each
// leaves a partial result, which attention_merge puts together (Dao et al., Flash-Decoding, 2023).
#pragma once

#include "kernels/cpu/seen_keys.h"
#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr int64_t kMaxBlockTokens = 16;
inline constexpr int64_t kPageCost = 8;  // of unpacking a page, in query rows multiplied with it

// Tokens [begin, end) of the batch, at consecutive positions of one sequence, by query heads [head, head +
// heads) of one KV head. Sees pages [first_page, first_page + pages).
struct Unit {
  int64_t begin, end;
  int64_t kv_head, head, heads;
  int64_t first_page, pages;
  int64_t run_last;  // position of the sequence's last token in the step

  int64_t rows() const { return (end - begin) * heads; }
  int64_t page_cost() const { return kPageCost + rows(); }
};

// Calls fn(unit) for every unit, one KV head after the other.
template <class Fn>
void each_unit(const AttentionArgs& a, const Step& step, Fn fn) {
  const int64_t group = a.heads / a.k.heads;
  const int64_t parts = (group + kAttentionRows - 1) / kAttentionRows;
  // Values' numbers are rounded by the largest scale that the block sees of a page (codes.h).
  const int64_t most = a.uniform ? 1 : greatest(1, least(kMaxBlockTokens, kAttentionRows * parts / group));
  for (int64_t kv_head = 0; kv_head < a.k.heads; ++kv_head) {
    Unit unit{.begin = 0,
              .end = 0,
              .kv_head = kv_head,
              .head = 0,
              .heads = 0,
              .first_page = 0,
              .pages = 0,
              .run_last = 0};
    for (; unit.begin < step.tokens; unit.begin = unit.end) {
      unit.end = unit.begin + 1;
      while (unit.end < step.tokens && unit.end - unit.begin < most &&
             step.sequences[unit.end] == step.sequences[unit.begin] &&
             step.positions[unit.end] == step.positions[unit.end - 1] + 1) {
        ++unit.end;
      }
      unit.first_page = first_key(a, step.positions[unit.begin]) / kPageTokens;
      if (!a.causal) unit.run_last = last_of_run(step, unit.begin);
      unit.pages =
          last_key(a, step.positions[unit.end - 1], unit.run_last) / kPageTokens + 1 - unit.first_page;
      for (int64_t part = 0; part < parts; ++part) {
        unit.head = kv_head * group + group * part / parts;
        unit.heads = kv_head * group + group * (part + 1) / parts - unit.head;
        fn(unit);
      }
    }
  }
}

// Which pages of each unit are whose: page p of a unit that begins at cost `start` lies at start + p * its
// cost, and thread i has [total * i / threads, total * (i + 1) / threads).
struct Sharing {
  int64_t total;
  int64_t threads;
  bool splits;  // else a unit is its first page's owner's

  Sharing(const AttentionArgs& a, const Step& step, int64_t team)
      : total(0), threads(team), splits(a.partials != nullptr) {
    each_unit(a, step, [&](const Unit& unit) { total += unit.pages * unit.page_cost(); });
  }
  int64_t owner(int64_t place) const { return ((place + 1) * threads - 1) / total; }
  Range pages(const Unit& unit, int64_t start, int64_t thread) const {
    if (!splits) return {0, owner(start) == thread ? unit.pages : 0};
    const auto before = [&](int64_t place) {
      const int64_t pages = (place - start + unit.page_cost() - 1) / unit.page_cost();
      return place <= start ? 0 : least(pages, unit.pages);
    };
    return {before(total * thread / threads), before(total * (thread + 1) / threads)};
  }
};

// What a thread leaves of a unit that it has only some pages of.
struct Partial {
  float* top;    // (rows): largest logit
  float* total;  // (rows): sum of exp(logit - top)
  float* out;    // (rows, value stride): sum of exp(logit - top) * value
};

// A thread leaves at most two: of a unit that another began, and of one that it began and another goes on
// with.
MEDLAR_INLINE Partial partial_of(const AttentionArgs& a, int64_t thread, bool began) {
  float* base = a.partials + (2 * thread + (began ? 1 : 0)) * attention_partial_floats(a.v.dim);
  return {base, base + kAttentionRows, base + 2 * kAttentionRows};
}

}  // namespace medlar::kernels::MEDLAR_ISA
