// tokenize_tool: a tokenizer by itself, with the options of `medlar tokenize`.
//   tokenize_tool -m MODEL [--no-special] [--parse-special] [-f FILE]      {"tokens":[...]}
//   tokenize_tool -m MODEL [--no-special] [--parse-special] --cases FILE   a line of ids for each case
//   tokenize_tool -m MODEL --detokenize [--show-special] [-f FILE]         ids, a line each text, as
//   hexadecimal bytes
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.h"
#include "tests/text/cases.h"
#include "tests/text/gguf_spec.h"
#include "text/tokenizer.h"

namespace medlar::text {
namespace {

struct Arguments {
  std::string model, input, cases;
  bool detokenize = false;
  EncodeOptions encode;
  DecodeOptions decode;
};

Arguments parse_arguments(std::span<char*> words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const auto value = [&] {
      if (i + 1 == words.size()) fail(ErrorKind::usage, "{} needs a value", word);
      return std::string(words[++i]);
    };
    if (word == "-m") {
      arguments.model = value();
    } else if (word == "-f") {
      arguments.input = value();
    } else if (word == "--cases") {
      arguments.cases = value();
    } else if (word == "--detokenize") {
      arguments.detokenize = true;
    } else if (word == "--show-special") {
      arguments.decode.special = true;
    } else if (word == "--no-special") {
      arguments.encode.add_special = false;
    } else if (word == "--parse-special") {
      arguments.encode.parse_special = true;
    } else {
      fail(ErrorKind::usage, "unknown option {}", word);
    }
  }
  return arguments;
}

void print_ids(std::span<const TokenId> ids, const char* separator) {
  for (std::size_t i = 0; i < ids.size(); ++i) fmt::print("{}{}", i == 0 ? "" : separator, ids[i]);
}

void detokenize(const Tokenizer& tokenizer, const std::string& input, DecodeOptions options) {
  std::istringstream lines(input);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    const std::vector<TokenId> ids{std::istream_iterator<TokenId>(words), {}};
    for (const unsigned char byte : tokenizer.decode(ids, options)) fmt::print("{:02x}", byte);
    fmt::print("\n");
  }
}

void run(const Arguments& arguments) {
  const gguf::File file = gguf::File::open(arguments.model);
  const Tokenizer tokenizer(tokenizer_spec(file.metadata()));
  if (!arguments.cases.empty()) {
    for (const std::string& text : split_cases(read_file(arguments.cases))) {
      print_ids(tokenizer.encode(text, arguments.encode), " ");
      fmt::print("\n");
    }
    return;
  }
  const std::string input = arguments.input.empty()
                                ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                                : read_file(arguments.input);
  if (arguments.detokenize) return detokenize(tokenizer, input, arguments.decode);
  fmt::print("{{\"tokens\":[");
  print_ids(tokenizer.encode(input, arguments.encode), ",");
  fmt::print("]}}\n");
}

}  // namespace
}  // namespace medlar::text

int main(int argc, char** argv) {
  try {
    medlar::text::run(medlar::text::parse_arguments({argv + 1, static_cast<std::size_t>(argc - 1)}));
    return 0;
  } catch (const medlar::Error& error) {
    fmt::print(stderr, "tokenize_tool: {}\n", error.what());
    return 1;
  }
}
