// A threadgroup's memory: arrays by id, filled with NaN at the start of each group and fenced against
// overruns.
#pragma once

#include <cstddef>
#include <vector>

#include "base/page_memory.h"

namespace medlar::emulator {

class ThreadgroupMemory {
 public:
  static constexpr int kRing = -1;  // the id of memory beside the arrays (TGRING)
  static constexpr std::size_t kRingBytes = 99
                                            << 10;  // that it may have: what every GPU of sm_80 and later has

  // `limit`: of the arrays.
  explicit ThreadgroupMemory(std::size_t limit);

  // Between groups: every array is gone and all bytes are NaN.
  void reset();
  // The array of this id, made on first sight, 16-byte aligned; null when it does not fit the limit.
  void* array(int id, std::size_t bytes);
  // Memory beside the arrays, of the same size until the next reset, at most kLargeBytes (phases.h).
  void* large(std::size_t bytes);
  // Bytes of all arrays.
  std::size_t used() const { return used_; }
  // Position of an array whose fence is broken, in the order they were made; -1: none. Under AddressSanitizer
  // the fences are poisoned instead, and the offending access is reported where it happens.
  int find_overrun() const;

 private:
  struct Array {
    int id;
    std::size_t offset, bytes;
  };
  std::size_t limit_, used_ = 0, end_ = 0;
  PageMemory memory_;
  std::vector<Array> arrays_;
  PageMemory large_;
  std::size_t large_bytes_ = 0;  // 0: nobody asked since the last reset
};

}  // namespace medlar::emulator
