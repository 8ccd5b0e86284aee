// Grammars: any source is refused with a medlar::Error or compiles within its limits, and then the mask is
// what trying every token gives, along a walk that the input chooses.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fuzzer/FuzzedDataProvider.h>

#include "base/error.h"
#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"

namespace medlar::grammar {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

std::shared_ptr<const Vocabulary> make_vocabulary() {
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (const char* text :
       {"ab", "\":", "{\"", "\"}", "aaaaaaaaaaaa", "12", "\xC3\xA9", "true", ", ", "]]", "\\u00"})
    texts.emplace_back(text);
  std::vector<Vocabulary::Token> tokens;
  for (std::size_t i = 0; i < texts.size(); ++i) tokens.push_back({static_cast<TokenId>(i), texts[i]});
  const auto end = static_cast<TokenId>(texts.size());
  return std::make_shared<Vocabulary>(end + 1, std::move(tokens), std::vector<TokenId>{end});
}

Rules parse(int kind, std::string_view source) {
  if (kind == 0) return parse_gbnf(source);
  if (kind == 1) return parse_regex(source);
  return parse_json_schema(source, {.extra_properties = kind == 3});
}

void walk(FuzzedDataProvider& data, const std::shared_ptr<Constraint>& constraint) {
  const Vocabulary& vocabulary = constraint->vocabulary();
  Matcher matcher(constraint);
  std::vector<std::uint64_t> bits(vocabulary.words());
  for (int step = 0; step < 12; ++step) {
    matcher.mask(bits);
    std::vector<TokenId> choices;
    for (TokenId t = 0; t < vocabulary.size(); ++t) {
      const bool allowed = (bits[static_cast<std::size_t>(t) / 64] >> (t % 64) & 1) != 0;
      require(allowed == matcher.allows(t));
      if (allowed && !vocabulary.is_end(t)) choices.push_back(t);
    }
    // Nothing is a dead end.
    require(!choices.empty() || matcher.complete());
    if (choices.empty()) return;
    const std::string forced = matcher.forced();
    const std::size_t before = matcher.text().size();
    require(matcher.accept(choices[data.ConsumeIntegralInRange<std::size_t>(0, choices.size() - 1)]));
    const std::string read = matcher.text().substr(before);
    require(read.starts_with(forced) || forced.starts_with(read));
  }
}

}  // namespace
}  // namespace medlar::grammar

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace medlar::grammar;
  static const std::shared_ptr<const Vocabulary> vocabulary = make_vocabulary();
  FuzzedDataProvider data(bytes, size);
  const int kind = data.ConsumeIntegralInRange(0, 3);
  const std::string source = data.ConsumeRandomLengthString(2000);
  try {
    const auto constraint = std::make_shared<Constraint>(
        parse(kind, source), vocabulary, CompileLimits{.states = 20'000, .edges = 60'000},
        MachineLimits{.depth = 200, .readings = 2000, .bytes = 64 << 20, .trim = 1 << 20});
    walk(data, constraint);
  } catch (const medlar::Error&) {
  }
  return 0;
}
