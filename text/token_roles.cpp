// Files leave out many roles, and the names of the tokens that have them are few and well known.
#include "text/token_roles.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "base/error.h"

namespace medlar::text {
namespace {

struct Role {
  const char* key;
  std::optional<std::uint32_t> SpecialIds::* given;
  TokenId SpecialTokens::* id;
};

constexpr Role kRoles[] = {
    {"tokenizer.ggml.bos_token_id", &SpecialIds::bos, &SpecialTokens::bos},
    {"tokenizer.ggml.eos_token_id", &SpecialIds::eos, &SpecialTokens::eos},
    {"tokenizer.ggml.eot_token_id", &SpecialIds::eot, &SpecialTokens::eot},
    {"tokenizer.ggml.eom_token_id", &SpecialIds::eom, &SpecialTokens::eom},
    {"tokenizer.ggml.unknown_token_id", &SpecialIds::unk, &SpecialTokens::unk},
    {"tokenizer.ggml.seperator_token_id", &SpecialIds::sep, &SpecialTokens::sep},
    {"tokenizer.ggml.mask_token_id", &SpecialIds::mask, &SpecialTokens::mask},
    {"tokenizer.ggml.fim_pre_token_id", &SpecialIds::fim_prefix, &SpecialTokens::fim_prefix},
    {"tokenizer.ggml.fim_suf_token_id", &SpecialIds::fim_suffix, &SpecialTokens::fim_suffix},
    {"tokenizer.ggml.fim_mid_token_id", &SpecialIds::fim_middle, &SpecialTokens::fim_middle},
    {"tokenizer.ggml.fim_pad_token_id", &SpecialIds::fim_pad, &SpecialTokens::fim_pad},
    {"tokenizer.ggml.fim_rep_token_id", &SpecialIds::fim_repo, &SpecialTokens::fim_repo},
    {"tokenizer.ggml.fim_sep_token_id", &SpecialIds::fim_file, &SpecialTokens::fim_file},
};

struct RoleNames {
  TokenId SpecialTokens::* id;
  std::initializer_list<std::string_view> names;
};

// In the order in which they are looked for.
const RoleNames kRoleNames[] = {
    {&SpecialTokens::eot,
     {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<turn|>", "<|endoftext|>", "<|end_of_text|>",
      "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"}},
    {&SpecialTokens::eom, {"<|eom_id|>"}},
    {&SpecialTokens::fim_prefix,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
      "<|code_prefix|>", "<|prefix|>"}},
    {&SpecialTokens::fim_suffix,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
      "<|code_suffix|>", "<|suffix|>"}},
    {&SpecialTokens::fim_middle,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
      "<|middle|>"}},
    {&SpecialTokens::fim_pad, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>"}},
    {&SpecialTokens::fim_repo, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {&SpecialTokens::fim_file, {"<|file_sep|>"}},
};

// Names that end a turn in one model family or another.
constexpr std::string_view kEndNames[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<eos>",
    "<turn|>",
    "<end_of_utterance>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
};

void apply_given(const SpecialIds& ids, const TokenTable& tokens, SpecialTokens& special) {
  for (const Role& role : kRoles) {
    const std::optional<std::uint32_t> given = ids.*role.given;
    if (!given) continue;
    if (*given >= static_cast<std::uint32_t>(tokens.size())) {
      fail(ErrorKind::bad_file, "{}: {} is no token, there are {}", role.key, *given, tokens.size());
    }
    special.*role.id = static_cast<TokenId>(*given);
  }
  // Published files exist whose padding token is one past the end; nothing here ever reads it.
  if (ids.pad && *ids.pad < static_cast<std::uint32_t>(tokens.size()))
    special.pad = static_cast<TokenId>(*ids.pad);
}

// Every token that ends a turn by its name; they become control tokens.
std::vector<TokenId> named_ends(TokenTable& tokens) {
  std::vector<TokenId> ends;
  for (const std::string_view name : kEndNames) {
    const TokenId id = tokens.find(name);
    if (id == kNoToken) continue;
    tokens.set_type(id, TokenType::control);
    ends.push_back(id);
  }
  // Elsewhere this is HTML for struck-out text.
  const TokenId s = tokens.find("</s>");
  if (s != kNoToken && tokens.type(s) == TokenType::control) ends.push_back(s);
  return ends;
}

// In the Harmony format, and in Solar's, <|end|> closes one message of several.
bool end_closes_message_only(const TokenTable& tokens) {
  const auto has = [&tokens](std::string_view name) { return tokens.find(name) != kNoToken; };
  return (has("<|return|>") && has("<|call|>")) || (has("<|calls|>") && has("<|flush|>"));
}

}  // namespace

TokenRoles find_roles(const SpecialIds& ids, const SpecialTokens& defaults, TokenTable& tokens) {
  TokenRoles roles{defaults, {}};
  for (const Role& role : kRoles) {
    if (!tokens.contains(roles.special.*role.id)) roles.special.*role.id = kNoToken;
  }
  if (!tokens.contains(roles.special.pad)) roles.special.pad = kNoToken;
  apply_given(ids, tokens, roles.special);
  for (const RoleNames& role : kRoleNames) {
    for (const std::string_view name : role.names) {
      if (roles.special.*role.id == kNoToken) roles.special.*role.id = tokens.find(name);
    }
  }

  roles.ends = named_ends(tokens);
  const SpecialTokens& s = roles.special;
  for (const TokenId id : {s.eos, s.eot, s.eom, s.fim_pad, s.fim_repo, s.fim_file}) {
    if (id != kNoToken) roles.ends.push_back(id);
  }
  std::ranges::sort(roles.ends);
  const auto repeated = std::ranges::unique(roles.ends);
  roles.ends.erase(repeated.begin(), repeated.end());
  if (end_closes_message_only(tokens)) std::erase(roles.ends, tokens.find("<|end|>"));
  return roles;
}

}  // namespace medlar::text
