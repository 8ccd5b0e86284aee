// Decodes and encodes files of blocks, so that other programs can check the formats.
//   format_tool list
//   format_tool decode TYPE BLOCKS FLOATS
//   format_tool encode TYPE FLOATS BLOCKS
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"

namespace {

using medlar::ErrorKind;
using medlar::fail;

template <class T>
std::vector<T> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::not_found, "{}: cannot be read", path);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<T> values(bytes.size() / sizeof(T));
  bytes.copy(reinterpret_cast<char*>(values.data()), values.size() * sizeof(T));
  return values;
}

template <class T>
void write(const std::string& path, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(T)));
  if (!file) fail(ErrorKind::io, "{}: cannot be written", path);
}

void list() {
  for (const medlar::FormatInfo& info : medlar::formats::all_infos())
    fmt::print("{} {} {} {} {}\n", info.name, static_cast<int>(info.type), info.block_length,
               info.block_bytes,
               info.is_kv()       ? "kv"
               : info.is_weight() ? "weight"
                                  : "plain");
}

void convert(const std::string& command, const std::string& type_name, const std::string& in,
             const std::string& out) {
  const auto type = medlar::parse_dtype(type_name);
  if (!type) fail(ErrorKind::usage, "{} is no type", type_name);
  const medlar::FormatInfo& info = medlar::format_info(*type);
  if (command == "decode") {
    const auto blocks = read<std::byte>(in);
    std::vector<float> values(blocks.size() / static_cast<std::size_t>(info.block_bytes) *
                              static_cast<std::size_t>(info.block_length));
    medlar::decode_row(*type, blocks.data(), values.data(), static_cast<std::int64_t>(values.size()));
    write(out, values);
  } else if (command == "encode") {
    const auto values = read<float>(in);
    const auto n = static_cast<std::int64_t>(values.size());
    std::vector<std::byte> blocks(static_cast<std::size_t>(medlar::row_bytes(*type, n)));
    medlar::encode_row(*type, values.data(), blocks.data(), n);
    write(out, blocks);
  } else {
    fail(ErrorKind::usage, "{} is no command", command);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() == 1 && args[0] == "list") {
    list();
  } else if (args.size() == 4) {
    convert(args[0], args[1], args[2], args[3]);
  } else {
    fail(ErrorKind::usage, "format_tool list | decode TYPE BLOCKS FLOATS | encode TYPE FLOATS BLOCKS");
  }
} catch (const std::exception& e) {
  fmt::print(stderr, "format_tool: {}\n", e.what());
  return 1;
}
