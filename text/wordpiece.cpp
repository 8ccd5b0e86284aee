// The rules of BertNormalizer and BertPreTokenizer, with utf8proc for Unicode's tables.
#include "text/wordpiece.h"

#include <array>
#include <cstdint>
#include <utility>

#include <utf8proc.h>

#include "text/unicode.h"

namespace medlar::text {
namespace {

constexpr std::size_t kMaxWord = 100;  // characters; a longer word is unknown, as in BERT's own tokenizer

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || c == '\t' || c == '\n' || c == '\r';
  return category(c) == UTF8PROC_CATEGORY_ZS || category(c) == UTF8PROC_CATEGORY_ZL ||
         category(c) == UTF8PROC_CATEGORY_ZP;
}

// Control characters that are not white space above, and those without a meaning of their own.
bool is_dropped(char32_t c) {
  if (c == 0 || c == kReplacement) return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

bool is_punctuation(char32_t c) {
  if (c < 0x80)
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
  switch (category(c)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return true;
    default:
      return false;
  }
}

// The blocks that BERT's tokenizer treats as words of their own. 2B920 is what it has, not where the block
// starts.
bool is_ideograph(char32_t c) {
  constexpr std::array<std::pair<char32_t, char32_t>, 8> kBlocks{{{0x4E00, 0x9FFF},
                                                                  {0x3400, 0x4DBF},
                                                                  {0x20000, 0x2A6DF},
                                                                  {0x2A700, 0x2B73F},
                                                                  {0x2B740, 0x2B81F},
                                                                  {0x2B920, 0x2CEAF},
                                                                  {0xF900, 0xFAFF},
                                                                  {0x2F800, 0x2FA1F}}};
  for (const auto& [first, last] : kBlocks) {
    if (c >= first && c <= last) return true;
  }
  return false;
}

// The words of a text, one at a time to `use`.
template <class Use>
class WordSplitter {
 public:
  WordSplitter(WordPieceOptions options, const Use& use) : options_(options), use_(use) {}

  void add(char32_t c) {
    if (is_white_space(c)) return flush();
    if (is_dropped(c)) return;
    if (is_ideograph(c)) flush();
    if (c < 0x80 || !options_.strip_accents) {
      add_folded(c);
    } else {
      std::array<utf8proc_int32_t, 32> parts{};  // the longest canonical decomposition has 4
      int boundary = 0;
      const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(),
                                                             parts.size(), UTF8PROC_DECOMPOSE, &boundary);
      for (utf8proc_ssize_t i = 0; i < count; ++i) {
        const auto part = static_cast<char32_t>(parts[static_cast<std::size_t>(i)]);
        if (category(part) != UTF8PROC_CATEGORY_MN) add_folded(part);
      }
    }
    if (is_ideograph(c)) flush();
  }

  void flush() {
    if (!word_.empty()) use_(word_);
    word_.clear();
  }

 private:
  void add_folded(char32_t c) {
    if (is_punctuation(c)) flush();
    if (options_.lowercase && c == 0x130) {
      word_ += "i\xCC\x87";  // the one letter whose lower case is two characters
    } else {
      append_utf8(word_, options_.lowercase
                             ? static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))
                             : c);
    }
    if (is_punctuation(c)) flush();
  }

  WordPieceOptions options_;
  const Use& use_;
  std::string word_;
};

}  // namespace

WordPiece::WordPiece(const TokenTable& tokens, WordPieceOptions options) : options_(options) {
  std::vector<TokenTrie::Entry> starts;
  std::vector<TokenTrie::Entry> continues;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    if (!tokens.is_text(id)) continue;
    const std::string_view piece = tokens.piece(id);
    if (piece.starts_with(' ')) {
      starts.push_back({piece.substr(1), id});
    } else {
      continues.push_back({piece, id});
    }
  }
  starts_ = TokenTrie(std::move(starts));
  continues_ = TokenTrie(std::move(continues));
}

void WordPiece::encode(Stretch stretch, EncodeState& state) const {
  const auto use = [&](const std::string& word) { add_word(word, state.out); };
  WordSplitter splitter(options_, use);
  for (std::size_t at = 0; at < stretch.text.size();) {
    const CodePoint c = decode_utf8(stretch.text, at);
    splitter.add(c.value);
    at += c.length;
  }
  splitter.flush();
}

void WordPiece::add_word(const std::string& word, std::vector<TokenId>& out) const {
  const std::size_t first = out.size();
  std::size_t characters = 0;
  for (const char c : word) characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  std::size_t at = 0;
  while (at < word.size() && characters <= kMaxWord) {
    const TokenTrie::Match match = (at == 0 ? starts_ : continues_).longest(word, at);
    if (match.id == kNoToken) break;
    out.push_back(match.id);
    at += match.length;
  }
  if (at == word.size()) return;
  out.resize(first);
  if (options_.unknown != kNoToken) out.push_back(options_.unknown);
}

}  // namespace medlar::text
