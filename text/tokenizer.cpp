// Puts a tokenizer together from its spec, and runs text and tokens through it.
#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/spm.h"
#include "text/token_roles.h"
#include "text/token_table.h"
#include "text/token_trie.h"
#include "text/unigram.h"
#include "text/wordpiece.h"

namespace medlar::text {
namespace {

constexpr std::size_t kMaxText = std::size_t{1} << 31;  // offsets are 32 bits
constexpr std::size_t kMaxName =
    1024;  // bytes of a special token: at each "<" of a text names are tried this far

enum class Kind { byte_level_bpe, character_bpe, sentencepiece, unigram, wordpiece };

// What a kind of vocabulary does where the file says nothing.
struct Defaults {
  SpecialTokens special;
  bool add_bos = false;
  bool add_eos = false;
  bool add_sep = false;
  bool space_prefix = false;
};

Kind parse_kind(const TokenizerSpec& spec) {
  if (spec.model == "llama") return Kind::sentencepiece;
  if (spec.model == "t5") return Kind::unigram;
  if (spec.model == "bert") return Kind::wordpiece;
  if (spec.model == "gemma4") return Kind::character_bpe;
  if (spec.model == "gpt2") {
    const bool characters = !spec.pre.empty() && pre_tokenizer_rules(spec.pre).characters;
    return characters ? Kind::character_bpe : Kind::byte_level_bpe;
  }
  throw Error(ErrorKind::unsupported,
              fmt::format("tokenizer.ggml.model: no vocabulary is known as '{}'", spec.model),
              "known are gpt2, llama, t5, bert and gemma4");
}

const PreTokenizerRules& rules_of(const TokenizerSpec& spec) {
  if (spec.model == "gemma4") return pre_tokenizer_rules("gemma4");
  return pre_tokenizer_rules(spec.pre.empty() ? "default" : spec.pre);
}

Defaults defaults_of(Kind kind, const TokenizerSpec& spec) {
  switch (kind) {
    case Kind::sentencepiece:
      return {.special = {.bos = 1, .eos = 2, .unk = 0}, .add_bos = true, .space_prefix = true};
    case Kind::unigram:
      return {.special = {.eos = 1, .unk = 2, .pad = 0}, .add_eos = true};
    case Kind::wordpiece:
      return {.special = {.bos = 101, .unk = 100, .sep = 102, .pad = 0, .mask = 103},
              .add_bos = true,
              .add_sep = true};
    case Kind::byte_level_bpe:
    case Kind::character_bpe:
      break;
  }
  return {.add_bos = rules_of(spec).add_bos, .add_sep = rules_of(spec).add_sep};
}

void require_token(bool wanted, TokenId id, const char* flag, const char* key) {
  if (wanted && id == kNoToken) fail(ErrorKind::bad_file, "{}: true, but there is no {}", flag, key);
}

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

class Tokenizer::Impl {
 public:
  explicit Impl(const TokenizerSpec& spec)
      : kind(parse_kind(spec)),
        tokens(spec, kind == Kind::byte_level_bpe ? Spelling::byte_level : Spelling::spaces) {
    const Defaults defaults = defaults_of(kind, spec);
    SpecialIds ids = spec.ids;
    if (kind == Kind::wordpiece && ids.cls) ids.bos = ids.cls;
    roles = find_roles(ids, defaults.special, tokens);
    set_flags(spec, defaults);
    collect_names();
    make_encoder(spec);
  }

  void encode_plain(Stretch stretch, EncodeState& state) const {
    state.first = state.out.size();
    if (!stretch.text.empty()) encoder->encode(stretch, state);
  }
  void encode_text(std::string_view text, const TokenTrie& names, EncodeState& state) const;
  TokenId checked(TokenId id) const;

  Kind kind;
  TokenTable tokens;
  TokenRoles roles;
  bool add_bos = false;
  bool add_eos = false;
  bool add_sep = false;
  bool space_prefix = false;
  bool strip_after_special = false;
  bool strip_before_mask = false;
  TokenTrie user_names;  // user-defined tokens
  TokenTrie all_names;   // with control and unknown tokens
  std::unique_ptr<const TokenEncoder> encoder;
  std::string warning;

 private:
  void set_flags(const TokenizerSpec& spec, const Defaults& defaults);
  void collect_names();
  void make_encoder(const TokenizerSpec& spec);
};

void Tokenizer::Impl::set_flags(const TokenizerSpec& spec, const Defaults& defaults) {
  add_bos = spec.add_bos.value_or(defaults.add_bos);
  add_eos = spec.add_eos.value_or(defaults.add_eos);
  add_sep = spec.add_sep.value_or(defaults.add_sep);
  // Gemma 4 files say false, and the model was trained with it.
  if (kind == Kind::character_bpe && defaults.add_bos) add_bos = true;
  // BERT's are not optional.
  if (kind == Kind::wordpiece) add_bos = add_sep = true;
  space_prefix = spec.add_space_prefix.value_or(defaults.space_prefix);
  strip_after_special = spec.strip_after_special;
  strip_before_mask = spec.strip_before_mask;
  require_token(add_bos, roles.special.bos, "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id");
  require_token(add_eos, roles.special.eos, "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id");
  require_token(add_sep, roles.special.sep, "tokenizer.ggml.add_sep_token",
                "tokenizer.ggml.seperator_token_id");
}

void Tokenizer::Impl::collect_names() {
  std::vector<TokenTrie::Entry> user;
  std::vector<TokenTrie::Entry> all;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    if (!tokens.is_special(id)) continue;
    if (tokens.piece(id).size() > kMaxName) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.tokens[{}]: a special token of {} bytes, at most {} are read",
           id, tokens.piece(id).size(), kMaxName);
    }
    all.push_back({tokens.piece(id), id});
    if (tokens.type(id) == TokenType::user_defined) user.push_back(all.back());
  }
  user_names = TokenTrie(std::move(user));
  all_names = TokenTrie(std::move(all));
}

void Tokenizer::Impl::make_encoder(const TokenizerSpec& spec) {
  const TokenId unk = roles.special.unk;
  switch (kind) {
    case Kind::byte_level_bpe:
      if (spec.pre.empty()) {
        warning =
            "the file does not say how its tokenizer splits words (tokenizer.ggml.pre); answers may be worse";
      }
      encoder = std::make_unique<ByteLevelBpe>(tokens, MergeTable(spec), rules_of(spec));
      break;
    case Kind::character_bpe:
      encoder = std::make_unique<CharacterBpe>(tokens, MergeTable(spec),
                                               CharacterBpeOptions{.unknown = unk, .newline_runs = true});
      break;
    case Kind::sentencepiece:
      encoder = std::make_unique<CharacterBpe>(
          tokens, std::nullopt, CharacterBpeOptions{.unknown = unk, .space_prefix = space_prefix});
      break;
    case Kind::unigram:
      encoder = std::make_unique<Unigram>(
          tokens, Charsmap(spec.precompiled_charsmap),
          UnigramOptions{unk, space_prefix, spec.remove_extra_whitespaces.value_or(false)});
      break;
    case Kind::wordpiece: {
      const bool lowercase = spec.lowercase.value_or(true);
      encoder = std::make_unique<WordPiece>(
          tokens, WordPieceOptions{unk, lowercase, spec.strip_accents.value_or(lowercase)});
      break;
    }
  }
}

// Of the names that start at the same place the longest is taken, and the leftmost place first.
void Tokenizer::Impl::encode_text(std::string_view text, const TokenTrie& names, EncodeState& state) const {
  if (names.empty()) return encode_plain({text, true}, state);
  std::size_t begin = 0;
  bool after_special = true;
  for (std::size_t at = 0; at < text.size();) {
    const TokenTrie::Match name = names.longest(text, at);
    if (name.id == kNoToken) {
      ++at;
      continue;
    }
    std::size_t end = at;
    if (strip_before_mask && name.id == roles.special.mask) {
      while (end > begin && is_ascii_space(text[end - 1])) --end;
    }
    encode_plain({text.substr(begin, end - begin), after_special}, state);
    state.out.push_back(name.id);
    after_special = true;
    at += name.length;
    const SpecialTokens& s = roles.special;
    if (strip_after_special && name.id != s.bos && name.id != s.eos && name.id != s.unk) {
      while (at < text.size() && is_ascii_space(text[at])) ++at;
    }
    begin = at;
  }
  encode_plain({text.substr(begin), after_special}, state);
}

TokenId Tokenizer::Impl::checked(TokenId id) const {
  if (!tokens.contains(id)) fail(ErrorKind::usage, "{} is no token, there are {}", id, tokens.size());
  return id;
}

Tokenizer::Tokenizer(const TokenizerSpec& spec) : impl_(std::make_unique<const Impl>(spec)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() >= kMaxText) {
    fail(ErrorKind::limit, "{} bytes of text; a tokenizer takes less than {}", text.size(), kMaxText);
  }
  EncodeState state(text);
  state.out.reserve(text.size() / 4 + 8);
  if (options.add_special && impl_->add_bos) state.out.push_back(impl_->roles.special.bos);
  impl_->encode_text(text, options.parse_special ? impl_->all_names : impl_->user_names, state);
  if (options.add_special && impl_->kind == Kind::wordpiece) state.out.push_back(impl_->roles.special.sep);
  if (options.add_special && impl_->add_eos) state.out.push_back(impl_->roles.special.eos);
  return std::move(state.out);
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, DecodeOptions options) const {
  std::string out;
  TokenId previous = kNoToken;
  for (const TokenId token : tokens) {
    std::string_view bytes = piece(token, options);
    if (drops_space(previous, token)) bytes.remove_prefix(1);
    out += bytes;
    previous = token;
  }
  return out;
}

std::string_view Tokenizer::piece(TokenId token, DecodeOptions options) const {
  const TokenType type = impl_->tokens.type(impl_->checked(token));
  const bool hidden = type == TokenType::control || type == TokenType::unknown;
  return hidden && !options.special ? std::string_view() : impl_->tokens.piece(token);
}

bool Tokenizer::drops_space(TokenId previous, TokenId token) const {
  const bool adds_space =
      impl_->kind == Kind::wordpiece ||
      (impl_->space_prefix && (impl_->kind == Kind::sentencepiece || impl_->kind == Kind::unigram));
  const TokenTable& tokens = impl_->tokens;
  if (!adds_space || tokens.is_special(impl_->checked(token)) || !tokens.piece(token).starts_with(' '))
    return false;
  if (previous == kNoToken) return true;
  // Not after an unknown token: that stands for text in the middle of a stretch.
  const TokenType type = tokens.type(impl_->checked(previous));
  return type == TokenType::control || type == TokenType::user_defined;
}

TokenId Tokenizer::find(std::string_view text) const { return impl_->tokens.find(text); }
TokenId Tokenizer::size() const { return impl_->tokens.size(); }
TokenType Tokenizer::type(TokenId token) const { return impl_->tokens.type(impl_->checked(token)); }
bool Tokenizer::is_end(TokenId token) const { return std::ranges::binary_search(impl_->roles.ends, token); }
std::span<const TokenId> Tokenizer::end_tokens() const { return impl_->roles.ends; }
const SpecialTokens& Tokenizer::special() const { return impl_->roles.special; }
bool Tokenizer::adds_bos() const { return impl_->add_bos; }
bool Tokenizer::adds_eos() const { return impl_->add_eos; }
bool Tokenizer::adds_sep() const { return impl_->add_sep; }
const std::string& Tokenizer::warning() const { return impl_->warning; }

}  // namespace medlar::text
