// Runs GPU kernels on the emulator as a host would, with guard bytes around every buffer, in every order of
// threads and with every fragment layout.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/params.h"
#include "kernels/step.h"

namespace medlar::testing {

// A buffer between guard bytes that nobody may change.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t n, T value = {}) : size_(n), bytes_(n * sizeof(T) + 2 * kGuardBytes, kGuard) {
    std::fill_n(data(), n, value);
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }
  ~Guarded() { EXPECT_TRUE(intact()) << "a kernel wrote outside of its buffer"; }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return reinterpret_cast<T*>(bytes_.data() + kGuardBytes); }
  const T* data() const { return reinterpret_cast<const T*>(bytes_.data() + kGuardBytes); }
  std::size_t size() const { return size_; }
  std::span<const T> span() const { return {data(), size_}; }
  T& operator[](std::size_t i) { return data()[i]; }

 private:
  static constexpr std::size_t kGuardBytes = 64;
  static constexpr std::byte kGuard{0xA5};

  bool intact() const {
    const auto ok = [](std::byte b) { return b == kGuard; };
    return std::all_of(bytes_.begin(), bytes_.begin() + kGuardBytes, ok) &&
           std::all_of(bytes_.end() - kGuardBytes, bytes_.end(), ok);
  }
  std::size_t size_;
  std::vector<std::byte> bytes_;
};

inline std::vector<DType> weight_types() {
  std::vector<DType> types;
  formats::for_each_format([&]<formats::Format F>(F) { types.push_back(F::info.type); });
  return types;
}

// Those with products of rows of bytes, or of dense rows, by kernels/gpu/linear_one.h and linear_few.h.
inline std::vector<DType> few_types() {
  std::vector<DType> types = weight_types();
  std::erase_if(types,
                [](DType t) { return !gpu::find_kernel(fmt::format("linear_one_{}", format_info(t).name)); });
  return types;
}

inline std::vector<DType> kv_types() {
  std::vector<DType> types = weight_types();
  std::erase_if(types, [](DType t) { return !format_info(t).is_kv(); });
  return types;
}

inline std::vector<float> random_floats(std::size_t n, std::mt19937& random, float scale = 1) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> v(n);
  for (float& x : v) x = normal(random);
  return v;
}

// `rows` rows of `width` random values in a format.
inline std::vector<std::byte> random_rows(DType type, std::int64_t rows, std::int64_t width,
                                          std::mt19937& random) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows * row_bytes(type, width)));
  const std::vector<float> values = random_floats(static_cast<std::size_t>(rows * width), random, 0.3F);
  for (std::int64_t r = 0; r < rows; ++r)
    encode_row(type, values.data() + r * width, bytes.data() + r * row_bytes(type, width), width);
  return bytes;
}

inline u32 to_u32(std::int64_t v) { return static_cast<u32>(v); }
inline u32 ceil_div(std::int64_t a, std::int64_t b) { return static_cast<u32>((a + b - 1) / b); }

// The device step buffer's parts, and the same step for the references.
struct TestStep {
  std::vector<i32> token_ids, positions, sequences, rows;
  std::vector<i32> pages;  // (sequences, stride), the same table for every group
  i32 stride = 0;

  gpu::StepCounts counts() const {
    return {static_cast<i32>(tokens()),
            static_cast<i32>(rows.size()),
            {stride, stride, stride, stride},
            static_cast<i32>(starts().size()) - 1};
  }
  // The first token of each run of tokens of one sequence, and the number of tokens.
  std::vector<i32> starts() const {
    std::vector<i32> at;
    for (std::size_t t = 0; t < sequences.size(); ++t)
      if (t == 0 || sequences[t] != sequences[t - 1]) at.push_back(static_cast<i32>(t));
    at.push_back(static_cast<i32>(tokens()));
    return at;
  }
  std::size_t tokens() const { return std::max({token_ids.size(), positions.size(), explicit_tokens}); }
  kernels::Step host() const {
    kernels::Step s{.tokens = static_cast<i32>(tokens()), .logit_rows = static_cast<i32>(rows.size())};
    s.token_ids = token_ids.data(), s.positions = positions.data(), s.sequences = sequences.data(),
    s.rows = rows.data();
    for (auto& table : s.pages) table = {pages.data(), stride};
    return s;
  }
  std::size_t explicit_tokens = 0;  // where neither ids nor positions matter
};

inline TestStep tokens_only(std::size_t n) {
  TestStep s;
  s.explicit_tokens = n;
  return s;
}

// The kernel by name on a fresh machine: args are the parameter block and the buffers, in order.
class Launcher {
 public:
  explicit Launcher(const emulator::MachineOptions& options) : machine_(options) {}

  template <class Params>
  emulator::LaunchCounts operator()(std::string_view name, emulator::Extent grid, const Params& params,
                                    std::initializer_list<const void*> buffers) {
    const emulator::EmulatedKernel* kernel = emulator::find_kernel(name);
    if (!kernel) throw std::runtime_error("no kernel " + std::string(name));
    EXPECT_EQ(kernel->parameter_bytes, sizeof(Params)) << name;
    EXPECT_EQ(kernel->buffers, buffers.size()) << name;
    std::vector<const void*> args = {&params};
    args.insert(args.end(), buffers);
    emulator::Launch launch{name, kernel->run, args.data(), grid, kernel->threads};
    launch.large_bytes = gpu::find_kernel(name)->shared_bytes;
    return machine_.run(launch);
  }

 private:
  emulator::Machine machine_;
};

// Every order with every layout.
inline std::vector<emulator::MachineOptions> all_options() {
  using enum emulator::Order;
  std::vector<emulator::MachineOptions> all;
  for (auto order : {forward, reverse, shuffled})
    for (auto layout : {emulator::FragmentLayout::metal, emulator::FragmentLayout::cuda,
                        emulator::FragmentLayout::scrambled})
      all.push_back({.order = order, .seed = 7, .fragments = layout});
  return all;
}

inline std::string option_name(const ::testing::TestParamInfo<emulator::MachineOptions>& info) {
  constexpr std::string_view kOrders[] = {"forward", "reverse", "shuffled"};
  constexpr std::string_view kLayouts[] = {"metal", "cuda", "scrambled"};
  return std::string(kOrders[static_cast<std::size_t>(info.param.order)]) + "_" +
         std::string(kLayouts[static_cast<std::size_t>(info.param.fragments)]);
}

class OnEmulator : public ::testing::TestWithParam<emulator::MachineOptions> {
 protected:
  Launcher launch{GetParam()};
  std::mt19937 random{3};
};

#define MEDLAR_EVERY_ORDER(Suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(Orders, Suite, ::testing::ValuesIn(::medlar::testing::all_options()), \
                           ::medlar::testing::option_name)

// |got - want| <= bound[i] for every i, NaN nowhere.
inline void expect_within(std::span<const float> got, std::span<const float> want,
                          std::span<const double> bound, const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(std::abs(static_cast<double>(got[i]) - want[i]) <= bound[i])
        << what << ", element " << i << ": " << got[i] << ", not " << want[i] << " +- " << bound[i];
}

inline void expect_close(std::span<const float> got, std::span<const float> want, double relative,
                         double absolute, const std::string& what) {
  std::vector<double> bound;
  for (float w : want) bound.push_back(absolute + relative * std::abs(static_cast<double>(w)));
  expect_within(got, want, bound, what);
}

}  // namespace medlar::testing
