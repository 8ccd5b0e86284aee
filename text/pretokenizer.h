// Pre-tokenizers: how a byte-level BPE vocabulary wants its text cut into words before it merges bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace medlar::text {

// One cut of every piece that the step before left. A piece is cut around each match, and nothing outside the
// piece is seen: "$" is the piece's end.
struct SplitStep {
  enum class Kind : std::uint8_t {
    pattern,       // around each match of a regular expression
    triples,       // runs of digits in threes, counted from the right
    word_triples,  // the same, only for runs that end at a word boundary
  };
  Kind kind = Kind::pattern;
  std::string_view
      pattern;  // PCRE2, UTF and UCP modes; \s and \S mean Unicode's White_Space, as in Rust and Onig
};

// What a value of tokenizer.ggml.pre stands for.
struct PreTokenizerRules {
  std::string_view name;
  std::span<const SplitStep> steps;
  bool whole_words = false;  // a word that is a token is taken as it is, without merging
  bool add_bos = false;      // where the file has no tokenizer.ggml.add_bos_token
  bool add_sep = false;      // where it has no tokenizer.ggml.add_sep_token
  bool characters = false;  // not byte-level: characters merge, U+2581 is a space, bytes are <0x00> to <0xFF>
};

// Every known name; text/pretokenizer_table.cpp is the list.
std::span<const PreTokenizerRules> pre_tokenizers();

// Throws Error(unsupported) naming the pre-tokenizer: the wrong one would quietly cost quality.
const PreTokenizerRules& pre_tokenizer_rules(std::string_view name);

// Thread-safe; time grows linearly with the text.
class PreTokenizer {
 public:
  explicit PreTokenizer(std::span<const SplitStep> steps);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;

  // Replaces `ends` by the offset of each word's end, in order; the last is text.size(). Any bytes: one that
  // belongs to no well-formed character counts as U+FFFD. At most 2^31 bytes.
  void split(std::string_view text, std::vector<std::uint32_t>& ends) const;

 private:
  struct Step;
  void split_valid(std::string_view text, std::vector<std::uint32_t>& ends) const;

  std::vector<Step> steps_;
};

}  // namespace medlar::text
