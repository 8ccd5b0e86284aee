#include "kernels/cpu/grids.h"

#include "formats/iq1_grid.h"
#include "formats/iq2_grids.h"
#include "formats/iq3_grids.h"
#include "formats/nvfp4.h"

namespace medlar::kernels {
namespace {

// value(point, i) for each value of each point.
template <class Word, std::size_t kPoints, class Value>
Table<Word, kPoints> spread(const std::uint16_t (&grid)[kPoints], Value value) {
  Table<Word, kPoints> table{};
  for (std::size_t p = 0; p < kPoints; ++p)
    for (std::uint32_t i = 0; i < sizeof(Word); ++i)
      table.at[p] |= static_cast<Word>(value(std::uint32_t{grid[p]}, i)) << 8 * i;
  return table;
}

constexpr auto kIq1Value = [](std::uint32_t point, std::uint32_t i) {
  return static_cast<std::uint32_t>(formats::iq1_level(point, i) + 1);
};
constexpr auto kIq2Value = [](std::uint32_t point, std::uint32_t i) {
  return formats::iq2_magnitude(point, i) + 43;
};
constexpr auto kIq3XxsValue = [](std::uint32_t point, std::uint32_t i) {
  return formats::iq3_xxs_level(formats::iq3_code(point, i)) + 62;
};
constexpr auto kIq3SValue = [](std::uint32_t point, std::uint32_t i) {
  return formats::iq3_s_level(formats::iq3_code(point, i)) + 15;
};

Table<float, 256> half_e4m3_values() {
  Table<float, 256> table{};
  for (std::uint32_t bits = 0; bits < 256; ++bits) table.at[bits] = formats::half_e4m3(bits);
  return table;
}

}  // namespace

const Table<std::uint64_t, 2048> kIq1Points = spread<std::uint64_t>(formats::kIq1Grid, kIq1Value);
const Table<std::uint64_t, 256> kIq2XxsPoints = spread<std::uint64_t>(formats::kIq2XxsGrid, kIq2Value);
const Table<std::uint64_t, 512> kIq2XsPoints = spread<std::uint64_t>(formats::kIq2XsGrid, kIq2Value);
const Table<std::uint64_t, 1024> kIq2SPoints = spread<std::uint64_t>(formats::kIq2SGrid, kIq2Value);
const Table<std::uint32_t, 256> kIq3XxsPoints = spread<std::uint32_t>(formats::kIq3XxsGrid, kIq3XxsValue);
const Table<std::uint32_t, 512> kIq3SPoints = spread<std::uint32_t>(formats::kIq3SGrid, kIq3SValue);
const Table<float, 256> kHalfE4m3 = half_e4m3_values();

}  // namespace medlar::kernels
