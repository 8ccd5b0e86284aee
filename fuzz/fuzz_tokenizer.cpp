// Tokenizers: whatever the vocabulary, it is refused with a medlar::Error or turns any text into tokens of
// its own, and a byte-level vocabulary gives every text back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <fuzzer/FuzzedDataProvider.h>

#include "base/error.h"
#include "text/pretokenizer.h"
#include "text/token_stream.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// A spec drawn from the input, with the texts that it views.
class Drawn {
 public:
  explicit Drawn(FuzzedDataProvider& data) : data_(data) {
    const std::string_view models[] = {"gpt2", "llama", "t5", "bert", "gemma4", "gpt2", "llama"};
    spec.model = models[data_.ConsumeIntegralInRange<std::size_t>(0, std::size(models) - 1)];
    const auto known = pre_tokenizers();
    spec.pre = known[data_.ConsumeIntegralInRange<std::size_t>(0, known.size() - 1)].name;
    draw_bytes();
    draw_tokens();
    draw_merges();
    draw_settings();
  }

  TokenizerSpec spec;
  bool every_byte = false;  // a byte-level vocabulary that can say any text
  bool plain_only = true;   // nothing but normal tokens

 private:
  void add(std::string token, int type) {
    const bool twice = std::ranges::find(spec.tokens, token) != spec.tokens.end();
    if (twice && data_.ConsumeIntegralInRange(0, 50) != 0) return;
    spec.tokens.push_back(texts_.emplace_back(std::move(token)));
    spec.token_types.push_back(type);
    spec.scores.push_back(static_cast<float>(data_.ConsumeIntegralInRange(-40, 2)) / 4);
    plain_only &= type == 1;
  }

  // All bytes, as the kind of vocabulary writes them.
  void draw_bytes() {
    every_byte = data_.ConsumeBool();
    if (!every_byte) return;
    int next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      if (spec.model == "gpt2") {
        const bool itself = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
        std::string spelled;
        append_utf8(spelled, static_cast<char32_t>(itself ? byte : next++));
        spec.tokens.push_back(texts_.emplace_back(std::move(spelled)));
        spec.token_types.push_back(1);
      } else {
        spec.tokens.push_back(texts_.emplace_back(fmt::format("<0x{:02X}>", byte)));
        spec.token_types.push_back(6);
      }
      spec.scores.push_back(0);
    }
  }

  std::string draw_piece() {
    if (!spec.tokens.empty() && data_.ConsumeBool()) {
      const std::size_t last = spec.tokens.size() - 1;
      return std::string(spec.tokens[data_.ConsumeIntegralInRange<std::size_t>(0, last)]);
    }
    const std::string_view usual[] = {"a",  "b",      "\u2581", " ",      "\u0120", "\n",
                                      "th", "<0x41>", "1",      "\u6211", "</s>"};
    if (data_.ConsumeBool())
      return std::string(usual[data_.ConsumeIntegralInRange<std::size_t>(0, std::size(usual) - 1)]);
    return data_.ConsumeRandomLengthString(6);
  }

  void draw_tokens() {
    const int count = data_.ConsumeIntegralInRange(0, 40);
    for (int i = 0; i < count; ++i) {
      std::string token = draw_piece();
      if (data_.ConsumeBool()) token += draw_piece();
      add(std::move(token), data_.ConsumeBool() ? 1 : data_.ConsumeIntegralInRange(0, 6));
    }
  }

  void draw_merges() {
    const int count = data_.ConsumeIntegralInRange(0, 30);
    for (int i = 0; i < count; ++i) {
      const std::string left = draw_piece();
      const std::string right = draw_piece();
      if (data_.ConsumeIntegralInRange(0, 15) != 0) {
        add(left, 1);
        add(right, 1);
        add(left + right, 1);
      }
      spec.merges.push_back(texts_.emplace_back(left + " " + right));
    }
  }

  void draw_settings() {
    const auto id = [this]() -> std::optional<std::uint32_t> {
      if (data_.ConsumeBool()) return std::nullopt;
      return data_.ConsumeIntegralInRange<std::uint32_t>(0, static_cast<std::uint32_t>(spec.tokens.size()));
    };
    const auto flag = [this]() -> std::optional<bool> {
      if (data_.ConsumeBool()) return std::nullopt;
      return data_.ConsumeBool();
    };
    spec.ids.bos = id();
    spec.ids.eos = id();
    spec.ids.unk = id();
    spec.ids.sep = id();
    spec.ids.mask = id();
    spec.add_bos = flag();
    spec.add_eos = flag();
    spec.add_space_prefix = flag();
    spec.remove_extra_whitespaces = flag();
    spec.lowercase = flag();
    spec.strip_accents = flag();
    spec.strip_after_special = data_.ConsumeBool();
    spec.strip_before_mask = data_.ConsumeBool();
    if (spec.model == "t5")
      spec.precompiled_charsmap = texts_.emplace_back(data_.ConsumeRandomLengthString(200));
    if (data_.ConsumeIntegralInRange(0, 20) == 0 && !spec.scores.empty()) spec.scores.pop_back();
    if (data_.ConsumeIntegralInRange(0, 20) == 0) spec.token_types.clear();
  }

  FuzzedDataProvider& data_;
  std::deque<std::string> texts_;
};

void check(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options) {
  const std::vector<TokenId> tokens = tokenizer.encode(text, options);
  TextStream stream(tokenizer);
  std::string said;
  for (const TokenId token : tokens) {
    require(token >= 0 && token < tokenizer.size());
    const std::string part = stream.push(token);
    require(valid_utf8_prefix(part) == part.size());
    said += part;
  }
  said += stream.finish();
  Utf8Stream repair;
  std::string decoded = repair.push(tokenizer.decode(tokens));
  decoded += repair.finish();
  require(said == decoded);
}

void run(FuzzedDataProvider& data) {
  const Drawn drawn(data);
  try {
    const Tokenizer tokenizer(drawn.spec);
    const EncodeOptions options{.add_special = data.ConsumeBool(), .parse_special = data.ConsumeBool()};
    const bool repeat = data.ConsumeBool();
    const std::string once = data.ConsumeRemainingBytesAsString();
    std::string text = once;
    // Long texts remember their words.
    while (repeat && !once.empty() && text.size() < 2000) text += once;
    check(tokenizer, text, options);
    const bool exact = drawn.spec.model == "gpt2" && drawn.every_byte && drawn.plain_only &&
                       !pre_tokenizer_rules(drawn.spec.pre).characters && tokenizer.end_tokens().empty();
    if (exact) require(tokenizer.decode(tokenizer.encode(text, {.add_special = false})) == text);
  } catch (const Error&) {
  }
}

}  // namespace
}  // namespace medlar::text

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  FuzzedDataProvider data(bytes, size);
  medlar::text::run(data);
  return 0;
}
