#include "huggingface/packed.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "checkpoint/byte_reader.h"
#include "formats/all.h"

namespace medlar::huggingface {
namespace {

constexpr std::array<float, 16> kE2M1 = {0,     0.5F,  1,  1.5F,  2,  3,  4,  6,
                                         -0.0F, -0.5F, -1, -1.5F, -2, -3, -4, -6};
constexpr std::int64_t kBlock = 32;  // of Q4_1, Q5_1 and MXFP4

// The bytes of a row of the last dimension.
const std::byte* row_of(const safetensors::Tensor& t, std::int64_t row, std::size_t element) {
  return t.bytes.data() + static_cast<std::size_t>(row * t.shape.back()) * element;
}

std::uint32_t code_at(const std::byte* row, std::int64_t index, std::int64_t bits) {
  const std::int64_t bit = index * bits;
  const auto* bytes = reinterpret_cast<const unsigned char*>(row) + bit / 8;
  const std::int64_t shift = bit % 8;
  std::uint32_t value = bytes[0];
  if (shift + bits > 8) value |= std::uint32_t{bytes[1]} << 8;
  return value >> shift & ((1U << bits) - 1);
}

float number_at(const safetensors::Tensor& t, std::int64_t row, std::int64_t index) {
  float value = 0;
  const DType type = *safetensors::weight_format(t.type);
  const auto size = static_cast<std::size_t>(row_bytes(type, 1));
  decode_row(type, row_of(t, row, size) + static_cast<std::size_t>(index) * size, &value, 1);
  return value;
}

float e8m0(std::uint8_t bits) { return std::ldexp(1.0F, bits - 127); }
float e4m3(std::uint8_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  const float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (bits & 128) != 0 ? -value : value;
}

std::uint16_t f16_bits(float x) {
  std::uint16_t bits = 0;
  encode_row(DType::f16, &x, &bits, 1);
  return bits;
}

std::string module_of(const safetensors::Tensor& weight) {
  constexpr std::string_view kWeight = ".weight";
  if (!weight.name.ends_with(kWeight)) return {};
  return weight.name.substr(0, weight.name.size() - kWeight.size());
}

}  // namespace

DType Packed::type() const {
  if (kind == Kind::mxfp4) return DType::mxfp4;
  if (kind == Kind::nvfp4 || bits > 5) return DType::f16;
  return bits == 5 ? DType::q5_1 : DType::q4_1;
}

void Packed::decode(std::int64_t row, float* out) const {
  const std::byte* words = row_of(*codes, row, sizeof(std::uint32_t));
  for (std::int64_t g = 0; g < columns / group; ++g) {
    float scale = 0, bias = 0;
    if (kind == Kind::affine) {
      scale = number_at(*scales, row, g), bias = number_at(*biases, row, g);
    } else {
      const auto bits8 = std::to_integer<std::uint8_t>(row_of(*scales, row, 1)[g]);
      scale = kind == Kind::mxfp4 ? e8m0(bits8) : e4m3(bits8);
    }
    for (std::int64_t i = g * group; i < (g + 1) * group; ++i) {
      const std::uint32_t code = code_at(words, i, bits);
      out[i] = kind == Kind::affine ? scale * static_cast<float>(code) + bias : scale * kE2M1[code];
    }
  }
}

void Packed::encode(std::int64_t row, std::byte* out) const {
  const std::byte* words = row_of(*codes, row, sizeof(std::uint32_t));
  std::array<std::uint8_t, kBlock> block{};
  const auto put = [&](const void* from, std::size_t bytes) {
    std::memcpy(out, from, bytes);
    out += bytes;
  };
  for (std::int64_t first = 0; first < columns; first += kBlock) {
    for (std::int64_t i = 0; i < kBlock; ++i)
      block[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(code_at(words, first + i, bits));
    if (kind == Kind::affine) {
      const std::array<std::uint16_t, 2> d_m = {f16_bits(number_at(*scales, row, first / group)),
                                                f16_bits(number_at(*biases, row, first / group))};
      put(d_m.data(), sizeof d_m);
    } else {
      put(row_of(*scales, row, 1) + first / group, 1);
    }
    if (type() == DType::q5_1) {
      std::uint32_t high = 0;
      for (std::size_t i = 0; i < kBlock; ++i) high |= std::uint32_t{block[i] >> 4 & 1U} << i;
      put(&high, sizeof high);
    }
    std::array<std::uint8_t, kBlock / 2> nibbles{};
    for (std::size_t k = 0; k < nibbles.size(); ++k)
      nibbles[k] = static_cast<std::uint8_t>((block[k] & 15U) | (block[k + kBlock / 2] & 15U) << 4);
    put(nibbles.data(), nibbles.size());
  }
}

std::optional<Packed> find_packed(const safetensors::Files& files, const safetensors::Tensor& weight,
                                  const Config& config) {
  using safetensors::Type;
  const std::string module = module_of(weight);
  Packed p{
      .codes = &weight, .scales = files.find(module + ".scales"), .biases = files.find(module + ".biases")};
  if (module.empty() || !p.scales) return std::nullopt;
  const Config all = config.within("quantization");
  const boost::json::value* own = all.find(module);
  const Config how = own && own->is_object() ? all.within(module) : all;
  const std::string mode = how.text("mode").value_or(all.text("mode").value_or("affine"));
  const auto reject = [&](std::string_view why) {
    fail(ErrorKind::bad_file, "{}: tensor {}: {}", config.source(), weight.name, why);
  };
  p.group = how.integer({"group_size"}).value_or(0);
  p.kind = mode == "mxfp4"   ? Packed::Kind::mxfp4
           : mode == "nvfp4" ? Packed::Kind::nvfp4
                             : Packed::Kind::affine;
  if (mode != "affine" && p.kind == Packed::Kind::affine)
    fail(ErrorKind::unsupported, "{}: tensor {} is quantized in the mode \"{}\", which cannot be read yet",
         config.source(), weight.name, printable(mode, 32));
  const std::int64_t wanted = p.kind == Packed::Kind::nvfp4 ? 16 : kBlock;
  if (p.group < wanted || p.group > 1024 || p.group % wanted != 0 ||
      (p.kind != Packed::Kind::affine && p.group != wanted))
    reject("its group_size is none of that mode");
  const auto& rows = weight.shape;
  if (weight.type != Type::u32 || rows.size() < 2 || p.scales->shape.size() != rows.size() ||
      !std::equal(rows.begin(), rows.end() - 1, p.scales->shape.begin()) || p.scales->bytes.empty())
    reject("its scales have other rows, or its codes are no words");
  if (p.scales->shape.back() > (1 << 24) || rows.back() > (1 << 24)) reject("its rows are too long");
  p.columns = p.scales->shape.back() * p.group;
  if (rows.back() * 32 % p.columns != 0) reject("its codes are not those of its groups");
  p.bits = rows.back() * 32 / p.columns;
  if (p.kind != Packed::Kind::affine) {
    if (p.bits != 4 || p.scales->type != Type::u8 || p.biases)
      reject("its codes and scales are none of that mode");
    return p;
  }
  const bool floats = safetensors::weight_format(p.scales->type).has_value();
  if (p.bits < 2 || p.bits > 8 || p.bits == 7 || !floats || !p.biases || p.biases->type != p.scales->type ||
      p.biases->shape != p.scales->shape)
    reject("its codes, scales and biases do not fit together");
  return p;
}

bool belongs_to_packed(const safetensors::Files& files, const safetensors::Tensor& tensor) {
  for (const std::string_view kind : {".scales", ".biases"})
    if (tensor.name.ends_with(kind)) {
      const std::string module = tensor.name.substr(0, tensor.name.size() - kind.size());
      return files.find(module + ".weight") != nullptr && files.find(module + ".scales") != nullptr;
    }
  return false;
}

}  // namespace medlar::huggingface
