// Random rows of a weight format at the speed of a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "formats/dtype.h"

namespace medlar::tune {

// Encoded values of one format and scale; rows are windows into them that begin at a random block.
class WeightPool {
 public:
  // Values are normal around `mean`. Rows will have `columns` values, whole blocks.
  struct Values {
    float mean = 0, deviation = 1;
  };
  WeightPool(DType type, std::int64_t columns, Values values, std::mt19937_64& random);

  // The bytes of a row, valid as long as the pool.
  std::span<const std::byte> row(std::mt19937_64& random) const;

 private:
  std::size_t block_bytes_, row_bytes_;
  std::size_t starts_;  // blocks a row may begin at
  std::vector<std::byte> bytes_;
};

}  // namespace medlar::tune
