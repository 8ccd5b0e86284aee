// Large units of work that go to whichever thread is free: cores of one machine can differ by a factor of two
// for seconds, as where another guest of the host uses the same core's matrix unit.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

// Every slice of a call asks for every unit, in the same order. Which one computes it must not matter.
class Turns {
 public:
  MEDLAR_INLINE explicit Turns(const Slice& slice) : slice_(slice), mine_(slice.index - slice.count) {}

  // Whether the next unit is this slice's; what it took before is done.
  MEDLAR_INLINE bool next() {
    if (unit_ > mine_) mine_ = take();
    return unit_++ == mine_;
  }

 private:
  MEDLAR_INLINE int64_t take() const {
    return slice_.taken ? __atomic_fetch_add(slice_.taken, 1, __ATOMIC_RELAXED) : mine_ + slice_.count;
  }

  const Slice& slice_;
  int64_t mine_;  // the unit that it has or waits for
  int64_t unit_ = 0;
};

}  // namespace medlar::kernels::MEDLAR_ISA
