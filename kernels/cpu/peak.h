// The fastest products an instruction set can do, as loops to time: what kernels are judged by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/table.h"

namespace medlar::kernels {

struct PeakLoop {
  void (*run)(std::int64_t rounds) = nullptr;  // null: the instruction set has no such product
  std::int64_t operations = 0;                 // multiplications and additions in a round
};

// Products of a register tile with data in the first cache, and nothing else.
struct PeakLoops {
  PeakLoop
      quantized;  // as kernels for quantized weights use them: of bytes, or bf16 on a matrix unit, or f32
  PeakLoop f32;
};

// Empty where this build has none for `isa`. The processor must be able to run it.
PeakLoops peak_loops(Isa isa);

// One pass over memory with prefetch, as products read weights; returns a sum, so that it is not left out.
std::uint64_t read_all(std::span<const std::byte> bytes);

}  // namespace medlar::kernels
