// A safetensors header, read event by event, so that a hostile one costs no more than its own size.
#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/name_index.h"
#include "checkpoint/safetensors.h"

namespace medlar::safetensors {
namespace {

namespace json = boost::json;
using boost::system::error_code;

struct TypeInfo {
  Type type;
  std::string_view name;
  std::uint64_t bits;
};

constexpr std::array kTypes{
    TypeInfo{Type::boolean, "BOOL", 8},    TypeInfo{Type::u8, "U8", 8},
    TypeInfo{Type::i8, "I8", 8},           TypeInfo{Type::u16, "U16", 16},
    TypeInfo{Type::i16, "I16", 16},        TypeInfo{Type::u32, "U32", 32},
    TypeInfo{Type::i32, "I32", 32},        TypeInfo{Type::u64, "U64", 64},
    TypeInfo{Type::i64, "I64", 64},        TypeInfo{Type::f4, "F4", 4},
    TypeInfo{Type::f6_e2m3, "F6_E2M3", 6}, TypeInfo{Type::f6_e3m2, "F6_E3M2", 6},
    TypeInfo{Type::f8_e4m3, "F8_E4M3", 8}, TypeInfo{Type::f8_e5m2, "F8_E5M2", 8},
    TypeInfo{Type::f8_e8m0, "F8_E8M0", 8}, TypeInfo{Type::f16, "F16", 16},
    TypeInfo{Type::bf16, "BF16", 16},      TypeInfo{Type::f32, "F32", 32},
    TypeInfo{Type::f64, "F64", 64},        TypeInfo{Type::c64, "C64", 64},
};

const TypeInfo& info(Type type) { return *std::ranges::find(kTypes, type, &TypeInfo::type); }

constexpr std::string_view kMetadata = "__metadata__";  // strings about the file, which no program needs

// What a header says of a tensor.
struct Listed {
  std::string name;
  std::optional<Type> type;
  std::optional<std::vector<std::int64_t>> shape;
  std::vector<std::uint64_t> offsets;  // begin and end, bytes from the end of the header
};

// The events of boost::json's parser, with the only shapes that a header has:
// {"__metadata__": {KEY: STRING}, NAME: {"dtype": STRING, "shape": [N...], "data_offsets": [N, N]}}
struct Handler {
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1),
                               max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);

  std::vector<Listed> tensors;
  std::string fault;  // of the first event that does not belong there

 private:
  enum class Field : std::uint8_t { none, type, shape, offsets };
  int depth_ = 0;  // of objects
  bool in_array_ = false, in_metadata_ = false, has_metadata_ = false;
  Field field_ = Field::none;
  std::string text_;

 public:
  bool on_object_begin(error_code& error) {
    if (depth_ == 0 || (depth_ == 1 && !in_array_)) return ++depth_ > 0;
    return fail("an object where none belongs", error);
  }
  bool on_object_end(std::size_t, error_code& error) {
    if (--depth_ == 1 && !std::exchange(in_metadata_, false)) {
      const Listed& t = tensors.back();
      if (!t.type || !t.shape || t.offsets.size() != 2)
        return fail("dtype, shape and two data_offsets are not all there", error);
    }
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, error_code&) { return add(part); }
  bool on_key(json::string_view part, std::size_t, error_code& error) {
    add(part);
    std::string key = std::exchange(text_, {});
    if (depth_ == 1) return on_name(std::move(key), error);
    if (in_metadata_) return true;
    field_ = key == "dtype"          ? Field::type
             : key == "shape"        ? Field::shape
             : key == "data_offsets" ? Field::offsets
                                     : Field::none;
    const Listed& t = tensors.back();
    if (field_ == Field::none)
      return fail(fmt::format("it has a field \"{}\", which the format has not", printable(key, 64)), error);
    const bool twice = (field_ == Field::type && t.type) || (field_ == Field::shape && t.shape) ||
                       (field_ == Field::offsets && !t.offsets.empty());
    return !twice || fail(fmt::format("its {} comes twice", key), error);
  }
  bool on_array_begin(error_code& error) {
    if (depth_ != 2 || in_metadata_ || in_array_ || (field_ != Field::shape && field_ != Field::offsets))
      return fail("a list where none belongs", error);
    if (field_ == Field::shape) tensors.back().shape.emplace();
    return in_array_ = true;
  }
  bool on_array_end(std::size_t, error_code&) {
    in_array_ = false;
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, error_code&) { return add(part); }
  bool on_string(json::string_view part, std::size_t, error_code& error) {
    add(part);
    const std::string value = std::exchange(text_, {});
    if (in_metadata_) return true;
    if (depth_ != 2 || in_array_ || field_ != Field::type) return fail("a string where none belongs", error);
    const auto* found = std::ranges::find(kTypes, value, &TypeInfo::name);
    if (found == kTypes.end())
      return fail(fmt::format("its dtype \"{}\" is not known", printable(value, 64)), error);
    tensors.back().type = found->type;
    return true;
  }
  bool on_int64(std::int64_t value, json::string_view, error_code& error) {
    if (value < 0) return fail(fmt::format("{} is no size", value), error);
    return on_uint64(static_cast<std::uint64_t>(value), {}, error);
  }
  bool on_uint64(std::uint64_t value, json::string_view, error_code& error) {
    if (!in_array_) return fail("a number where none belongs", error);
    Listed& t = tensors.back();
    if (field_ == Field::offsets) {
      t.offsets.push_back(value);
      return t.offsets.size() <= 2 || fail("more than two data_offsets", error);
    }
    if (!std::in_range<std::int64_t>(value)) return fail(fmt::format("{} is no size", value), error);
    t.shape->push_back(static_cast<std::int64_t>(value));
    return t.shape->size() <= kMaxRank || fail(fmt::format("more than {} dimensions", kMaxRank), error);
  }
  bool on_double(double, json::string_view, error_code& error) { return fail("a fraction", error); }
  bool on_bool(bool, error_code& error) { return fail("a boolean where none belongs", error); }
  bool on_null(error_code& error) {  // MLX writes "__metadata__": null
    const bool no_metadata = depth_ == 1 && std::exchange(in_metadata_, false);
    return no_metadata || fail("null where it does not belong", error);
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }
  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }

 private:
  bool add(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_name(std::string name, error_code& error) {
    if (name == kMetadata) {
      if (std::exchange(has_metadata_, true)) return fail("__metadata__ comes twice", error);
      return in_metadata_ = true;
    }
    tensors.push_back({.name = std::move(name)});
    return true;
  }
  bool fail(std::string what, error_code& error) {
    const bool of_tensor = depth_ == 2 && !in_metadata_ && !tensors.empty();
    fault = of_tensor ? fmt::format("tensor {}: {}", printable(tensors.back().name), what) : std::move(what);
    error = json::error::extra_data;  // any will do
    return false;
  }
};

std::vector<Listed> parse_header(std::string_view text, std::string_view source) {
  constexpr std::size_t kDepth = 4;
  json::parse_options options;
  options.max_depth = kDepth;
  if (!text.starts_with('{'))
    fail(ErrorKind::bad_file, "{}: its header is no JSON object: not a safetensors file", source);
  json::basic_parser<Handler> parser(options);
  error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().fault.empty())
    fail(ErrorKind::bad_file, "{}: header: {}", source, parser.handler().fault);
  if (error) fail(ErrorKind::bad_file, "{}: header: {} at byte {}", source, error.message(), read + 8);
  if (read != text.size()) fail(ErrorKind::bad_file, "{}: header: text after the object", source);
  return std::move(parser.handler().tensors);
}

// Bytes of a tensor's elements. Throws where the size is no whole number of bytes or does not fit.
std::uint64_t size_of(const Listed& t, std::string_view what) {
  std::uint64_t elements = 1;
  for (const std::int64_t extent : *t.shape)
    elements = checked_mul(elements, static_cast<std::uint64_t>(extent), what);
  const std::uint64_t bits = checked_mul(elements, info(*t.type).bits, what);
  if (bits % 8 != 0) fail(ErrorKind::bad_file, "{}: its elements end within a byte", what);
  return bits / 8;
}

}  // namespace

std::string_view type_name(Type type) { return info(type).name; }

std::optional<DType> weight_format(Type type) {
  switch (type) {
    case Type::f32:
      return DType::f32;
    case Type::f16:
      return DType::f16;
    case Type::bf16:
      return DType::bf16;
    default:
      return std::nullopt;
  }
}

std::vector<Tensor> parse(std::span<const std::byte> file, std::string_view source) {
  const std::string name = printable(source);
  ByteReader reader(file, name);
  reader.about("header");
  const auto length = reader.number<std::uint64_t>();
  if (length == 0 || length > kMaxHeaderBytes)
    fail(ErrorKind::bad_file, "{}: header of {} bytes: not a safetensors file", name, length);
  const auto header = reader.take(length);
  std::vector<Listed> listed =
      parse_header({reinterpret_cast<const char*>(header.data()), header.size()}, name);
  const auto data = reader.rest();
  std::ranges::sort(listed, {}, &Listed::offsets);
  std::vector<Tensor> tensors;
  tensors.reserve(listed.size());
  std::uint64_t end = 0;  // of the data of the tensors so far
  for (Listed& t : listed) {
    const std::string what = fmt::format("{}: tensor {}", name, printable(t.name));
    if (t.name.empty() || printable(t.name, t.name.size()) != t.name)
      fail(ErrorKind::bad_file, "{}: a name is printable text", what);
    const std::uint64_t bytes = size_of(t, what);
    if (t.offsets[0] != end)
      fail(ErrorKind::bad_file, "{}: its data begin at byte {}, but those before end at {}", what,
           t.offsets[0], end);
    if (t.offsets[1] < end || t.offsets[1] - end != bytes)
      fail(ErrorKind::bad_file, "{}: data_offsets {} to {}, but its shape and dtype take {} bytes", what,
           t.offsets[0], t.offsets[1], bytes);
    if (t.offsets[1] > data.size())
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: its data end at byte {} of {}", what, t.offsets[1], data.size()),
                  "the file is incomplete or damaged: download it again");
    tensors.push_back(
        {.name = std::move(t.name),
         .type = *t.type,
         .shape = std::move(*t.shape),
         .bytes = data.subspan(static_cast<std::size_t>(end), static_cast<std::size_t>(bytes))});
    end = t.offsets[1];
  }
  if (end != data.size())
    fail(ErrorKind::bad_file, "{}: {} bytes after the last tensor", name, data.size() - end);
  const auto order = sorted_by_name(std::span<const Tensor>(tensors), &Tensor::name);
  if (const Tensor* twice = find_duplicate(std::span<const Tensor>(tensors), order, &Tensor::name))
    fail(ErrorKind::bad_file, "{}: tensor {} comes twice", name, twice->name);
  return tensors;
}

}  // namespace medlar::safetensors
