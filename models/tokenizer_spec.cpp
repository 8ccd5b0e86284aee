#include "models/tokenizer_spec.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

namespace medlar::models {

using text::TokenizerSpec;

namespace {

// The bytes of an array of one-byte integers, in place.
std::string_view gguf_bytes(const gguf::Metadata& metadata, std::string_view key) {
  const gguf::Entry* entry = metadata.entry(key);
  if (!entry) return {};
  const auto header =
      entry->type == gguf::ValueType::array ? gguf::array_header(*entry) : gguf::ArrayHeader{};
  constexpr std::size_t kHeader = 12;  // element type, count
  const bool one_byte = header.element == gguf::ValueType::u8 || header.element == gguf::ValueType::i8;
  if (entry->type != gguf::ValueType::array || !one_byte || entry->value.size() < kHeader + header.count) {
    fail(ErrorKind::bad_file, "{}: key {}: expected an array of u8", metadata.source(), key);
  }
  return {reinterpret_cast<const char*>(entry->value.data() + kHeader), header.count};
}

// Scores are floats, in some files integers.
std::vector<float> gguf_scores(const gguf::Metadata& metadata, std::string_view key) {
  const gguf::Entry* entry = metadata.entry(key);
  if (!entry) return {};
  if (entry->type == gguf::ValueType::array && gguf::array_header(*entry).element == gguf::ValueType::i32) {
    const auto integers = metadata.get<std::vector<std::int32_t>>(key);
    return {integers.begin(), integers.end()};
  }
  return metadata.get<std::vector<float>>(key);
}

// White space around special tokens, for the models whose published tokenizers strip it.
void set_strip_rules(const gguf::Metadata& metadata, TokenizerSpec& spec) {
  std::string name = metadata.get_or<std::string>("general.name", {});
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto named = [&name](std::string_view part) { return name.find(part) != name.npos; };
  const auto architecture = metadata.get_or<std::string_view>("general.architecture", {});
  const auto is_one_of = [](std::string_view value, std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, value) != names.end();
  };
  spec.strip_after_special = named("phi-3") || named("phi3");
  spec.strip_before_mask = is_one_of(spec.pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code", "modern-bert"}) ||
                           is_one_of(architecture, {"nomic-bert-moe", "jina-bert-v3"});
}

}  // namespace

TokenizerSpec tokenizer_spec(const gguf::Metadata& metadata) {
  TokenizerSpec spec;
  spec.model = metadata.get<std::string_view>("tokenizer.ggml.model");
  spec.pre = metadata.get_or<std::string_view>("tokenizer.ggml.pre", {});
  spec.tokens = metadata.get<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  spec.scores = gguf_scores(metadata, "tokenizer.ggml.scores");
  spec.token_types = metadata.get_or<std::vector<std::int32_t>>("tokenizer.ggml.token_type", {});
  spec.merges = metadata.get_or<std::vector<std::string_view>>("tokenizer.ggml.merges", {});
  spec.precompiled_charsmap = gguf_bytes(metadata, "tokenizer.ggml.precompiled_charsmap");

  const auto id = [&metadata](std::string_view key) { return metadata.find<std::uint32_t>(key); };
  const auto either = [&id](std::string_view key, std::string_view old_key) {
    const auto value = id(key);
    return value ? value : id(old_key);
  };
  spec.ids = {
      .bos = id("tokenizer.ggml.bos_token_id"),
      .eos = id("tokenizer.ggml.eos_token_id"),
      .eot = id("tokenizer.ggml.eot_token_id"),
      .eom = id("tokenizer.ggml.eom_token_id"),
      .unk = id("tokenizer.ggml.unknown_token_id"),
      .sep = id("tokenizer.ggml.seperator_token_id"),
      .pad = id("tokenizer.ggml.padding_token_id"),
      .cls = id("tokenizer.ggml.cls_token_id"),
      .mask = id("tokenizer.ggml.mask_token_id"),
      .fim_prefix = either("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
      .fim_suffix = either("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
      .fim_middle = either("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
      .fim_pad = id("tokenizer.ggml.fim_pad_token_id"),
      .fim_repo = id("tokenizer.ggml.fim_rep_token_id"),
      .fim_file = id("tokenizer.ggml.fim_sep_token_id"),
  };

  const auto flag = [&metadata](std::string_view key) { return metadata.find<bool>(key); };
  spec.add_bos = flag("tokenizer.ggml.add_bos_token");
  spec.add_eos = flag("tokenizer.ggml.add_eos_token");
  spec.add_sep = flag("tokenizer.ggml.add_sep_token");
  spec.add_space_prefix = flag("tokenizer.ggml.add_space_prefix");
  spec.remove_extra_whitespaces = flag("tokenizer.ggml.remove_extra_whitespaces");
  spec.lowercase = flag("tokenizer.ggml.normalizer.lowercase");
  spec.strip_accents = flag("tokenizer.ggml.normalizer.strip_accents");
  set_strip_rules(metadata, spec);
  return spec;
}

// Measured on Linux with vocabularies of 49,152 (and as many merges), 128,256 and 262,144 tokens: 77, 99 and
// 61 bytes for each token and each merge.
std::int64_t tokenizer_bytes(const gguf::Metadata& metadata) {
  constexpr std::int64_t kEntry = 80;
  const auto count = [&](std::string_view key) {
    return static_cast<std::int64_t>(metadata.get_or<gguf::Strings>(key, {}).size());
  };
  return kEntry * (count("tokenizer.ggml.tokens") + count("tokenizer.ggml.merges"));
}

}  // namespace medlar::models
