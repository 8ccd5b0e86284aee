// detokenize_tool MODEL: reads lines of token ids, writes a line of hexadecimal bytes for each.
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "models/tokenizer_spec.h"
#include "text/tokenizer.h"

int main(int argc, char** argv) {
  using medlar::text::TokenId;
  if (argc != 2) return 2;
  try {
    const auto file = medlar::gguf::File::open(argv[1]);
    const medlar::text::Tokenizer tokenizer(medlar::models::tokenizer_spec(file.metadata()));
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream words(line);
      const std::vector<TokenId> ids{std::istream_iterator<TokenId>(words), {}};
      for (const unsigned char byte : tokenizer.decode(ids, {.special = true})) fmt::print("{:02x}", byte);
      fmt::print("\n");
    }
    return 0;
  } catch (const medlar::Error& error) {
    fmt::print(stderr, "detokenize_tool: {}\n", error.what());
    return 1;
  }
}
