// gguf_tool: what Medlar sees in a GGUF file, as JSON for comparison with other readers.
//   gguf_tool dump FILE        metadata and tensor directory
//   gguf_tool data FILE NAME   the bytes of one tensor
//   gguf_tool copy FILE OUT    reads everything and writes it again
//   gguf_tool sample OUT       a file with every type of metadata
#include <cstdio>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"

namespace medlar::gguf {
namespace {

// Strings may hold any bytes, so they go as hexadecimal.
std::string json(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) out += fmt::format("{:02x}", c);
  return out + '"';
}
std::string json(bool value) { return value ? "true" : "false"; }
// Python's json reads NaN and Infinity.
std::string json(double value) {
  if (value != value) return "NaN";
  if (value == std::numeric_limits<double>::infinity()) return "Infinity";
  if (value == -std::numeric_limits<double>::infinity()) return "-Infinity";
  return fmt::format("{:#.17g}", value);  // with a point: -0.0 stays so
}
std::string json(float value) { return json(static_cast<double>(value)); }
template <std::integral T>
std::string json(T value) {
  return fmt::format("{}", value);
}

template <class Range>
std::string json_list(const Range& values) {
  std::string out = "[";
  for (const auto& value : values) {
    if (out.size() > 1) out += ", ";
    out += json(value);
  }
  return out + "]";
}

// Calls f with a value of the C++ type that `type` stores.
template <class F>
std::string with_type(ValueType type, F f) {
  switch (type) {
    case ValueType::u8:
      return f(std::uint8_t{});
    case ValueType::i8:
      return f(std::int8_t{});
    case ValueType::u16:
      return f(std::uint16_t{});
    case ValueType::i16:
      return f(std::int16_t{});
    case ValueType::u32:
      return f(std::uint32_t{});
    case ValueType::i32:
      return f(std::int32_t{});
    case ValueType::u64:
      return f(std::uint64_t{});
    case ValueType::i64:
      return f(std::int64_t{});
    case ValueType::f32:
      return f(float{});
    case ValueType::f64:
      return f(double{});
    case ValueType::boolean:
      return f(bool{});
    case ValueType::string:
      return f(std::string_view{});
    case ValueType::array:
      break;
  }
  return "null";
}

std::string json_value(const Metadata& metadata, const Entry& entry) {
  if (entry.type != ValueType::array)
    return with_type(entry.type, [&](auto type) { return json(metadata.get<decltype(type)>(entry.key)); });
  const ArrayHeader header = array_header(entry);
  if (header.element == ValueType::string) return json_list(metadata.get<Strings>(entry.key));
  return with_type(header.element, [&](auto type) {
    if constexpr (std::same_as<decltype(type), bool>) {
      std::string out;
      for (bool b : metadata.get<std::vector<bool>>(entry.key)) out += (out.empty() ? "" : ", ") + json(b);
      return "[" + out + "]";
    } else {
      return json_list(metadata.get<std::vector<decltype(type)>>(entry.key));
    }
  });
}

void dump(const File& file) {
  fmt::print("{{\"metadata\": {{");
  std::string_view comma;
  for (const Entry& entry : file.metadata().entries()) {
    const bool is_array = entry.type == ValueType::array;
    const ValueType element = is_array ? array_header(entry).element : entry.type;
    fmt::print("{}\n{}: {{\"array\": {}, \"type\": {}, \"value\": {}}}", comma, json(entry.key), is_array,
               static_cast<std::uint32_t>(element), json_value(file.metadata(), entry));
    comma = ",";
  }
  fmt::print("}},\n\"tensors\": {{");
  comma = "";
  for (const Tensor& tensor : file.tensors()) {
    fmt::print("{}\n{}: {{\"type\": {}, \"shape\": {}, \"bytes\": {}}}", comma, json(tensor.name),
               static_cast<int>(tensor.view.type), json_list(tensor.view.shape.dims()),
               tensor.view.bytes.size());
    comma = ",";
  }
  fmt::print("}}}}\n");
}

void data(const File& file, std::string_view name) {
  const auto bytes = file.tensor(name).bytes;
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

void copy(const File& file, const std::filesystem::path& out) {
  Writer writer(out);
  writer.copy(file.metadata());
  for (const Tensor& t : file.tensors()) writer.add_tensor(t.name, t.view.type, t.view.shape);
  for (const Tensor& t : file.tensors()) writer.write(t.view.bytes);
  writer.finish();
}

template <class T>
void set_number(Writer& writer, const std::string& name) {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> values = {Limits::lowest(), T{0}, T{1}, Limits::max()};
  writer.set(name + ".lowest", Limits::lowest());
  writer.set(name + ".highest", Limits::max());
  writer.set_array(name + "s", std::span<const T>(values));
}

void sample(const std::filesystem::path& out) {
  Writer writer(out, {.alignment = 64});
  writer.set("general.architecture", "sample");
  set_number<std::uint8_t>(writer, "a.u8");
  set_number<std::int8_t>(writer, "a.i8");
  set_number<std::uint16_t>(writer, "a.u16");
  set_number<std::int16_t>(writer, "a.i16");
  set_number<std::uint32_t>(writer, "a.u32");
  set_number<std::int32_t>(writer, "a.i32");
  set_number<std::uint64_t>(writer, "a.u64");
  set_number<std::int64_t>(writer, "a.i64");
  set_number<float>(writer, "a.f32");
  set_number<double>(writer, "a.f64");
  writer.set("a.true", true);
  writer.set("a.false", false);
  constexpr bool kBools[] = {true, false, true};
  writer.set_array("a.bools", std::span<const bool>(kBools));
  writer.set("a.text", "caf\xc3\xa9 \xf0\x9f\x8c\xb3");
  writer.set("a.empty", "");
  const std::vector<std::string> strings = {"", "one", "two\nlines", std::string(300, 'x')};
  writer.set_array("a.strings", std::span<const std::string>(strings));

  writer.add_tensor("vector", DType::f32, {5});
  writer.add_tensor("matrix", DType::q8_0, {3, 64});
  writer.add_tensor("cube", DType::f16, {2, 3, 4});
  writer.add_tensor("four", DType::i32, {1, 2, 3, 4});
  std::vector<std::byte> bytes(5 * 4 + 3 * 2 * 34 + 2 * 24 + 4 * 24);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 256);
  std::span<const std::byte> left = bytes;
  for (std::size_t piece : {20, 68, 68, 68, 48, 96}) {  // the matrix row by row
    writer.write(left.first(piece));
    left = left.subspan(piece);
  }
  writer.finish();
}

int run(std::span<const std::string_view> args) {
  const std::string_view verb = args.empty() ? "" : args[0];
  if (verb == "dump" && args.size() == 2) return dump(File::open(args[1])), 0;
  if (verb == "data" && args.size() == 3) return data(File::open(args[1]), args[2]), 0;
  if (verb == "copy" && args.size() == 3) return copy(File::open(args[1]), args[2]), 0;
  if (verb == "sample" && args.size() == 2) return sample(args[1]), 0;
  std::cerr << "usage: gguf_tool dump FILE | data FILE NAME | copy FILE OUT | sample OUT\n";
  return 2;
}

}  // namespace
}  // namespace medlar::gguf

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  try {
    return medlar::gguf::run(args);
  } catch (const medlar::Error& e) {
    std::cerr << e.what() << "\n" << e.hint() << "\n";
    return 1;
  }
}
