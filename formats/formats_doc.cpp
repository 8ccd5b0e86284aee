// Prints docs/formats.md, made from the list of formats. --check FILE: says instead whether FILE is that
// page.
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "formats/all.h"

namespace {

using medlar::FormatInfo;
using medlar::formats::all_infos;

constexpr std::string_view kOpening =
    R"(<!-- Written by formats_doc from formats/all.h; scripts/generate_docs.sh renews it. -->
# Weight and cache formats

A tensor's rows are its last dimension. A row is a whole number of blocks, one after another without padding, and a
block holds consecutive elements. Numbers of more than one byte are little-endian; f16 is IEEE 754 half precision.
The low half of a byte is its bits 0-3. The GGUF number is the type's number in a GGUF file.

)";

constexpr std::string_view kEncoding = R"(
## Decoding

A value is computed in f32 in the order in which the layout writes it, every product and sum rounded. Scale factors
that are infinite or NaN give infinite or NaN values. Grids stand in the headers that layouts name: a point is eight
or four codes, packed into 16 bits.

## Encoding

`q4_0`, `q5_0`, `q8_0` and `mxfp4` scale by the value of greatest magnitude, `q4_1` and `q5_1` by the range; each code is
the nearest. A scale or minimum beyond f16's range becomes infinite: in `q4_1` and `q5_1` from magnitudes of 65,520 on,
in `q4_0` of 524 thousand, in `q8_0` of 8.3 million. The other formats search for the scales, minimums and codes with
the least sum of squared errors and never exceed f16's range; `tq1_0`, `tq2_0` and `nvfp4` find it, and every format
with a grid finds the nearest points for a scale. In every format but `nvfp4` a block that is given a NaN or an
infinity decodes to at least one of them; `nvfp4` has no such number, and takes its greatest, 2,688.
)";

std::string_view use_of(const FormatInfo& info) {
  return info.is_kv() ? "weights, KV cache" : info.is_weight() ? "weights" : "plain numbers";
}

std::string page() {
  std::string text(kOpening);
  text += "| name | GGUF number | elements a block | bytes a block | bits an element | used for |\n";
  text += "|---|---|---|---|---|---|\n";
  for (const FormatInfo& info : all_infos())
    text += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", info.name, static_cast<int>(info.type),
                        info.block_length, info.block_bytes, info.bits_per_weight(), use_of(info));
  text += "\n## Layouts\n";
  for (const FormatInfo& info : all_infos())
    if (info.is_weight()) text += fmt::format("\n**`{}`** {}\n", info.name, info.layout);
  text += kEncoding;
  return text;
}

bool is_page(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return std::string{std::istreambuf_iterator<char>(file), {}} == page();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 3 && std::string_view(argv[1]) == "--check") {
    if (is_page(argv[2])) return 0;
    fmt::print(stderr, "{} is not what formats_doc prints: run scripts/generate_docs.sh\n", argv[2]);
    return 1;
  }
  if (argc != 1) {
    fmt::print(stderr, "usage: formats_doc [--check FILE]\n");
    return 2;
  }
  fmt::print("{}", page());
} catch (const std::exception& e) {
  std::fprintf(stderr, "formats_doc: %s\n", e.what());
  return 1;
}
