// Which pre-tokenizer a tokenizer.json has: its steps, written in one line, are looked up.
#include <algorithm>
#include <boost/json/array.hpp>

#include "base/error.h"
#include "base/log.h"
#include "huggingface/tokenizer.h"

namespace medlar::huggingface {
namespace {

namespace json = boost::json;

// Parts of published patterns that recur.
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define LETTERS R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define SIGNS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define SLASHED R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define START R"([^\r\n\p{L}\p{N}]?)"
#define ASCII_SIGNS R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])"
#define KANA \
  "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"  // 一-龥぀-ゟ゠-ヿ

struct Known {
  std::string_view steps;  // "split PATTERN", "digits", "words" ..., a line each
  std::string_view name;   // tokenizer.ggml.pre
};

// As models' publishers write them. Where several names mean the same cuts, the plainest stands here; names
// that also say how to merge are told apart by merges() below.
constexpr Known kKnown[] = {
    {"words", "gpt-2"},
    {"digits\nwords", "smollm"},
    {"punctuation\nwords\nsplit [0-9][0-9][0-9]", "falcon"},
    {"split " CONTRACTIONS "|" LETTERS R"(|\p{N}{1,3}|)" SIGNS "|" TAIL "\nbytes", "llama-bpe"},
    {"split " CONTRACTIONS "|" LETTERS R"(|\p{N}|)" SIGNS "|" TAIL "\nbytes", "qwen2"},
    {"split " CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" TAIL
     "\nbytes",
     "qwen35"},
    {"split " START UPPER "*" LOWER "+" CONTRACTIONS "?|" START UPPER "+" LOWER "*" CONTRACTIONS
     R"(?|\p{N}{1,3}|)" SLASHED "|" TAIL "\nbytes",
     "gpt-4o"},
    {"split " START UPPER "*" LOWER "+|" START UPPER "+" LOWER R"(*|\p{N}|)" SLASHED "|" TAIL "\nbytes",
     "tekken"},
    {R"(split \p{N}{1,3})"
     "\nsplit " KANA "\nsplit " ASCII_SIGNS
     R"([A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"
     "\nbytes",
     "deepseek-v3"},
};

#undef CONTRACTIONS
#undef TAIL
#undef LETTERS
#undef SIGNS
#undef SLASHED
#undef UPPER
#undef LOWER
#undef START
#undef ASCII_SIGNS
#undef KANA

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

bool flag_of(const json::object& object, std::string_view key, bool otherwise) {
  const json::value* value = object.if_contains({key.data(), key.size()});
  return value && value->is_bool() ? value->get_bool() : otherwise;
}

// A pattern's spelling, of those that mean the same.
std::string canonical(std::string pattern) {
  const auto replace = [&](std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = pattern.find(from, at)) != pattern.npos; at += to.size())
      pattern.replace(at, from.size(), to);
  };
  replace(R"(\p{N}{1}|)", R"(\p{N}|)");
  // Contractions spelt letter by letter, as where a dialect has no (?i:).
  replace("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", "(?i:'s|'t|'re|'ve|'m|'ll|'d)");
  return pattern;
}

std::string split_step(const json::object& step) {
  std::string pattern;
  if (const json::value* p = step.if_contains("pattern"); p && p->is_object()) {
    pattern = text_of(p->get_object(), "Regex");
    if (pattern.empty()) pattern = fmt::format("={}", text_of(p->get_object(), "String"));
  }
  // Removed and inverted is what tiktoken's own converter writes for "around each match".
  const std::string behavior = text_of(step, "behavior");
  const bool inverted = flag_of(step, "invert", false);
  if ((behavior == "Isolated" && !inverted) || (behavior == "Removed" && inverted))
    return fmt::format("split {}", canonical(std::move(pattern)));
  return fmt::format("split {} {} {}", pattern, behavior, inverted);
}

void describe(const json::object& step, std::string& out) {
  const std::string type = text_of(step, "type");
  if (type == "Sequence") {
    if (const json::value* steps = step.if_contains("pretokenizers"); steps && steps->is_array())
      for (const json::value& one : steps->get_array())
        if (one.is_object()) describe(one.get_object(), out);
    return;
  }
  if (!out.empty()) out += '\n';
  if (type == "ByteLevel") {
    if (flag_of(step, "add_prefix_space", true)) out += "prefixed ";
    out += flag_of(step, "use_regex", true) ? "words" : "bytes";
  } else if (type == "Digits") {
    out += flag_of(step, "individual_digits", false) ? "digits" : "digit runs";
  } else if (type == "Punctuation") {
    const std::string behavior = text_of(step, "behavior");
    out += behavior == "Contiguous" ? "punctuation" : "punctuation " + behavior;
  } else if (type == "Split") {
    out += split_step(step);
  } else {
    out += type.empty() ? "something without a type" : type;
  }
}

// Names of the same cuts: whether a word that is a token is taken whole is the tokenizer's ignore_merges.
std::string_view by_merging(std::string_view name, const TokenizerFiles& files) {
  const bool whole_words = files.tokenizer.within("model").flag("ignore_merges").value_or(false);
  if (name == "llama-bpe" && !whole_words) return "dbrx";
  return name;
}

}  // namespace

std::string_view pre_tokenizer_name(const TokenizerFiles& files) {
  std::string steps;
  const Config pre = files.tokenizer.within("pre_tokenizer");
  describe(pre.object(), steps);
  const auto* found = std::ranges::find(kKnown, steps, &Known::steps);
  if (found != std::end(kKnown)) return by_merging(found->name, files);
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: no pre-tokenizer is known with the steps: {}", files.tokenizer.source(),
                          printable(steps, 400)),
              "a GGUF file of the model may say which it is");
}

}  // namespace medlar::huggingface
