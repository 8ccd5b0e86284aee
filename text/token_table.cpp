// Reading and checking a vocabulary.
#include "text/token_table.h"

#include <array>
#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

// Far above every known vocabulary (262,144 tokens, 3 MB), and low enough to keep ids and offsets in 32 bits.
constexpr std::size_t kMaxTokens = std::size_t{1} << 24;
constexpr std::size_t kMaxTokenBytes = std::size_t{1} << 28;

// Tokens come from files: a message shows what is printable and how much there is.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out + (text.size() > kShown ? "...'" : "'");
}

// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the other bytes, in order, for U+0100
// on.
constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

constexpr auto kByteOfCharacter = [] {
  std::array<std::int16_t, 0x144> table{};
  table.fill(-1);
  std::size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    table[stands_for_itself(byte) ? static_cast<std::size_t>(byte) : next++] =
        static_cast<std::int16_t>(byte);
  }
  return table;
}();

void append_with_spaces(std::string_view spelled, std::vector<char>& out) {
  while (!spelled.empty()) {
    const std::size_t mark = spelled.find(kSpaceMark);
    out.insert(out.end(), spelled.begin(),
               mark == spelled.npos ? spelled.end() : spelled.begin() + static_cast<std::ptrdiff_t>(mark));
    if (mark == spelled.npos) return;
    out.push_back(' ');
    spelled.remove_prefix(mark + kSpaceMark.size());
  }
}

void check_lists(const TokenizerSpec& spec) {
  const std::size_t count = spec.tokens.size();
  if (count == 0) fail(ErrorKind::bad_file, "tokenizer.ggml.tokens: the vocabulary is empty");
  if (count > kMaxTokens) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.tokens: {} tokens, at most {} are read", count, kMaxTokens);
  }
  std::size_t bytes = 0;
  for (const std::string_view token : spec.tokens)
    bytes = checked_add(bytes, token.size(), "tokenizer.ggml.tokens");
  if (bytes > kMaxTokenBytes) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.tokens: {} bytes, at most {} are read", bytes, kMaxTokenBytes);
  }
  // A list that is longer than the vocabulary says nothing about tokens that exist.
  if (!spec.scores.empty() && spec.scores.size() < count) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.scores: {} scores for {} tokens", spec.scores.size(), count);
  }
  if (!spec.token_types.empty() && spec.token_types.size() < count) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.token_type: {} types for {} tokens", spec.token_types.size(),
         count);
  }
  for (std::size_t i = 0; i < spec.scores.size(); ++i) {
    if (!std::isfinite(spec.scores[i])) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.scores[{}]: {} is not a score", i, spec.scores[i]);
    }
  }
}

TokenType checked_type(std::int32_t type, std::size_t i) {
  if (type < 0 || type > static_cast<std::int32_t>(TokenType::byte)) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.token_type[{}]: there is no type {}", i, type);
  }
  return static_cast<TokenType>(type);
}

void check_unique(std::span<const std::string_view> tokens) {
  TokenIndex seen(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].empty()) continue;  // a hole in the numbering: no text ever becomes it
    const auto id = static_cast<TokenId>(i);
    if (const TokenId first = seen.insert(tokens[i], id); first != id) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.tokens: {} is token {} and token {}", quoted(tokens[i]),
           first, id);
    }
  }
}

}  // namespace

bool append_byte_level(std::string_view spelled, std::vector<char>& out) {
  const std::size_t before = out.size();
  for (std::size_t at = 0; at < spelled.size();) {
    const CodePoint c = decode_utf8(spelled, at);
    const int byte = c.valid && c.value < kByteOfCharacter.size() ? kByteOfCharacter[c.value] : -1;
    if (byte < 0) {
      out.resize(before);
      return false;
    }
    out.push_back(static_cast<char>(byte));
    at += c.length;
  }
  return true;
}

int parse_byte_token(std::string_view spelled) {
  if (spelled.size() != 6 || !spelled.starts_with("<0x") || spelled.back() != '>') return -1;
  int value = 0;
  for (const char c : spelled.substr(3, 2)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

TokenTable::TokenTable(const TokenizerSpec& spec, Spelling spelling) {
  check_lists(spec);
  check_unique(spec.tokens);
  const auto count = static_cast<std::ptrdiff_t>(spec.tokens.size());
  types_.assign(spec.tokens.size(), TokenType::normal);
  if (!spec.scores.empty()) scores_.assign(spec.scores.begin(), spec.scores.begin() + count);
  add_pieces(spec, spelling);
  index_pieces();
}

void TokenTable::add_pieces(const TokenizerSpec& spec, Spelling spelling) {
  by_byte_.assign(256, kNoToken);
  ends_.push_back(0);
  for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
    if (!spec.token_types.empty()) types_[i] = checked_type(spec.token_types[i], i);
    add_piece(static_cast<TokenId>(i), spec.tokens[i], spelling);
    ends_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
}

void TokenTable::add_piece(TokenId id, std::string_view spelled, Spelling spelling) {
  const int byte = parse_byte_token(spelled);
  // Not every converter marks the byte tokens of a SentencePiece vocabulary.
  if (byte >= 0 && type(id) == TokenType::normal && spelling == Spelling::spaces)
    set_type(id, TokenType::byte);

  const bool verbatim = type(id) == TokenType::control || type(id) == TokenType::unknown ||
                        (type(id) == TokenType::user_defined && spelling == Spelling::byte_level);
  if (type(id) == TokenType::byte) {
    if (byte < 0) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.tokens[{}]: {} is not a byte token such as <0x0A>", id,
           quoted(spelled));
    }
    bytes_.push_back(static_cast<char>(byte));
    by_byte_[static_cast<std::size_t>(byte)] = id;
  } else if (verbatim) {
    bytes_.insert(bytes_.end(), spelled.begin(), spelled.end());
  } else if (spelling == Spelling::spaces) {
    append_with_spaces(spelled, bytes_);
  } else if (const std::size_t before = bytes_.size(); append_byte_level(spelled, bytes_)) {
    const bool one_byte = bytes_.size() == before + 1 && type(id) == TokenType::normal;
    if (one_byte) by_byte_[static_cast<unsigned char>(bytes_.back())] = id;
  } else {
    bytes_.insert(bytes_.end(), spelled.begin(), spelled.end());
    set_type(id, TokenType::unused);  // no text is ever spelled like this
  }
}

void TokenTable::index_pieces() {
  by_piece_ = TokenIndex(types_.size());
  std::size_t special = 0;
  for (TokenId id = 0; id < size(); ++id) special += is_special(id);
  by_name_ = TokenIndex(special);
  for (TokenId id = 0; id < size(); ++id) {
    if (piece(id).empty()) continue;
    if (is_special(id)) by_name_.insert(piece(id), id);
    if (type(id) == TokenType::normal) by_piece_.insert(piece(id), id);
  }
  for (TokenId id = 0; id < size(); ++id) {
    if (is_text(id) && !piece(id).empty()) by_piece_.insert(piece(id), id);
  }
}

TokenId TokenTable::find(std::string_view text) const {
  const TokenId named = by_name_.find(text);
  return named != kNoToken ? named : by_piece_.find(text);
}

bool TokenTable::is_text(TokenId id) const {
  const TokenType t = type(id);
  return t != TokenType::control && t != TokenType::unknown && t != TokenType::byte;
}

bool TokenTable::is_special(TokenId id) const {
  const TokenType t = type(id);
  return t == TokenType::control || t == TokenType::unknown || t == TokenType::user_defined;
}

}  // namespace medlar::text
