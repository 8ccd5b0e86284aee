// tokenizer.json and tokenizer.model: vocabularies of byte-level BPE and of SentencePiece.
#include "huggingface/tokenizer.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <system_error>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/json_file.h"

namespace medlar::huggingface {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t kMaxTokenizerBytes = 256 << 20;
constexpr std::string_view kSpaceMark = "\u2581";
constexpr float kAddedScore = -1000;

Config read_if_there(const fs::path& path, JsonLimits limits = {}) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {{}, printable(path.native())};
  return {read_json_file(path, limits), printable(path.native())};
}

// Some publishers forget to say that these are no text.
bool looks_special(std::string_view text) {
  for (const std::string_view known : {"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
    if (text == known) return true;
  return (text.starts_with("<|") && text.ends_with("|>")) ||
         (text.starts_with("<\uFF5C") && text.ends_with("\uFF5C>")) ||
         (text.starts_with("<unused") && text.ends_with(">"));
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t next = 0; (next = text.find(from, at)) != text.npos; at = next + from.size())
    result.append(text.substr(at, next - at)).append(to);
  return result.append(text.substr(at));
}

struct Added {
  std::int64_t id = 0;
  std::string text;
  bool special = false;
};

// tokenizer.json's list, or tokenizer_config.json's object by id.
std::vector<Added> added_tokens(const TokenizerFiles& files) {
  std::vector<Added> out;
  const auto add = [&](const Config& fields, std::int64_t id) {
    out.push_back({id, fields.text("content").value_or(""), fields.flag("special").value_or(false)});
  };
  if (const json::value* list = files.tokenizer.find("added_tokens"); list && list->is_array()) {
    for (const json::value& token : list->get_array()) {
      if (!token.is_object())
        fail(ErrorKind::bad_file, "{}: added_tokens: no object", files.tokenizer.source());
      const Config fields(token.get_object(), files.tokenizer.source());
      add(fields, fields.need_integer({"id"}));
    }
    return out;
  }
  const Config decoder = files.config.within("added_tokens_decoder");
  for (const json::key_value_pair& token : decoder.object()) {
    const std::string id(token.key());
    if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != id.npos ||
        !token.value().is_object())
      fail(ErrorKind::bad_file, "{}: added_tokens_decoder: {} is no token", decoder.source(),
           printable(id, 32));
    add(Config(token.value().get_object(), decoder.source()), std::stoll(id));
  }
  return out;
}

// Tokens beyond the embedding's rows are for other parts of a model, as of images.
void set_added_tokens(const TokenizerFiles& files, Vocabulary& v) {
  for (Added& token : added_tokens(files)) {
    if (token.id >= std::ssize(v.texts) || token.text.empty()) continue;
    const bool control = token.special || looks_special(token.text);
    std::string text = control ? token.text : replaced(token.text, kSpaceMark, " ");
    v.set(token.id, std::move(text), control ? TokenKind::control : TokenKind::user_defined,
          files.tokenizer.source());
    if (!v.scores.empty()) v.scores[static_cast<std::size_t>(token.id)] = kAddedScore;
  }
}

const json::object& vocabulary_of(const Config& model) {
  const json::value* vocab = model.find("vocab");
  if (!vocab || !vocab->is_object())
    fail(ErrorKind::bad_file, "{}: model.vocab is no object", model.source());
  return vocab->get_object();
}

void set_vocabulary(const Config& model, Vocabulary& v) {
  for (const json::key_value_pair& token : vocabulary_of(model)) {
    if (!token.value().is_int64())
      fail(ErrorKind::bad_file, "{}: model.vocab: the id of {} is no integer", model.source(),
           printable(token.key(), 64));
    v.set(token.value().get_int64(), std::string(token.key()), TokenKind::normal, model.source());
  }
}

// "left right", from strings or from pairs, whose spaces are then written as byte-level BPE writes them.
std::vector<std::string> merges_of(const Config& model) {
  const json::value* merges = model.find("merges");
  if (!merges || !merges->is_array())
    fail(ErrorKind::bad_file, "{}: model.merges is no list", model.source());
  std::vector<std::string> out;
  out.reserve(merges->get_array().size());
  for (const json::value& merge : merges->get_array()) {
    if (merge.is_string()) {
      out.emplace_back(merge.get_string());
      continue;
    }
    const bool is_pair = merge.is_array() && merge.get_array().size() == 2 &&
                         merge.get_array()[0].is_string() && merge.get_array()[1].is_string();
    if (!is_pair) fail(ErrorKind::bad_file, "{}: model.merges: not all are pairs", model.source());
    const auto part = [&](std::size_t i) {
      return replaced(std::string(merge.get_array()[i].get_string()), " ", "\u0120");
    };
    out.push_back(part(0) + " " + part(1));
  }
  return out;
}

void write(const Vocabulary& v, std::string_view model, std::string_view pre, gguf::Values& values) {
  std::vector<std::int32_t> kinds;
  for (const TokenKind kind : v.kinds) kinds.push_back(static_cast<std::int32_t>(kind));
  values.set("tokenizer.ggml.model", model);
  values.set("tokenizer.ggml.pre", pre);
  values.set_array("tokenizer.ggml.tokens", std::span<const std::string>(v.texts));
  if (!v.scores.empty()) values.set_array("tokenizer.ggml.scores", std::span<const float>(v.scores));
  values.set_array("tokenizer.ggml.token_type", std::span<const std::int32_t>(kinds));
}

void add_byte_level(const TokenizerFiles& files, const Config& model, std::int64_t size,
                    gguf::Values& values) {
  Vocabulary v = Vocabulary::of_size(size);
  set_vocabulary(model, v);
  set_added_tokens(files, v);
  write(v, "gpt2", pre_tokenizer_name(files), values);
  values.set_array("tokenizer.ggml.merges", std::span<const std::string>(merges_of(model)));
}

// The order of a merge's score is the order of its first appearance, which is how the list was made.
void set_scores(const Config& model, Vocabulary& v) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t i = 0; i < v.texts.size(); ++i) ids.emplace(v.texts[i], i);
  v.scores.assign(v.texts.size(), 0);
  float rank = 0;
  for (std::string merge : merges_of(model)) {
    const std::size_t space = merge.find(' ');
    if (space == merge.npos) fail(ErrorKind::bad_file, "{}: model.merges: not all are pairs", model.source());
    merge.erase(space, 1);
    rank -= 1;
    const auto id = ids.find(merge);
    if (id != ids.end() && v.scores[id->second] == 0) v.scores[id->second] = rank;
  }
}

bool is_byte_token(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>') &&
         kHex.find(text[3]) != kHex.npos && kHex.find(text[4]) != kHex.npos;
}

// BPE over characters with bytes to fall back on: what Hugging Face makes of a SentencePiece model.
Vocabulary characters(const Config& model, std::int64_t size) {
  Vocabulary v = Vocabulary::of_size(size);
  set_vocabulary(model, v);
  const std::string unknown = model.text("unk_token").value_or("");
  for (std::size_t i = 0; i < v.texts.size(); ++i) {
    if (is_byte_token(v.texts[i])) v.kinds[i] = TokenKind::byte;
    if (!unknown.empty() && v.texts[i] == unknown) v.kinds[i] = TokenKind::unknown;
  }
  set_scores(model, v);
  return v;
}

// Whether a text begins with a space: a step of the normalizer, or a way of the pre-tokenizer.
bool prefixes_space(const Config& step) {
  const std::string type = step.text("type").value_or("");
  if (type == "Prepend") return step.text("prepend") == kSpaceMark;
  if (type == "Metaspace") return step.text("prepend_scheme").value_or("always") != "never";
  const json::value* steps = step.find(step.has("normalizers") ? "normalizers" : "pretokenizers");
  if (!steps || !steps->is_array()) return false;
  return std::ranges::any_of(steps->get_array(), [&](const json::value& one) {
    return one.is_object() && prefixes_space(Config(one.get_object(), step.source()));
  });
}

void add_sentencepiece(const TokenizerFiles& files, const Config& model, std::int64_t size,
                       gguf::Values& values) {
  std::error_code ignored;
  const fs::path original = files.folder / "tokenizer.model";
  Vocabulary v = fs::exists(original, ignored) ? read_sentencepiece(original, size) : characters(model, size);
  set_added_tokens(files, v);
  write(v, "llama", "default", values);
  if (const auto prefix = files.config.flag("add_prefix_space"))
    values.set("tokenizer.ggml.add_space_prefix", *prefix);
  else if (!files.tokenizer.object().empty())
    values.set("tokenizer.ggml.add_space_prefix",
               prefixes_space(files.tokenizer.within("normalizer")) ||
                   prefixes_space(files.tokenizer.within("pre_tokenizer")));
}

bool has_byte_level(const Config& step) {
  if (step.text("type") == "ByteLevel") return true;
  const json::value* steps = step.find("pretokenizers");
  if (!steps || !steps->is_array()) return false;
  return std::ranges::any_of(steps->get_array(), [&](const json::value& one) {
    return one.is_object() && has_byte_level(Config(one.get_object(), step.source()));
  });
}

}  // namespace

Vocabulary Vocabulary::of_size(std::int64_t size) {
  Vocabulary v;
  v.texts.reserve(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) v.texts.push_back(fmt::format("[PAD{}]", i));
  v.kinds.assign(v.texts.size(), TokenKind::unused);
  return v;
}

void Vocabulary::set(std::int64_t id, std::string text, TokenKind kind, std::string_view source) {
  if (id < 0 || id >= std::ssize(texts))
    fail(ErrorKind::bad_file, "{}: token {} has the number {}, but the embedding has {} rows", source,
         printable(text, 64), id, texts.size());
  const auto at = static_cast<std::size_t>(id);
  texts[at] = std::move(text);
  kinds[at] = kind;
}

void add_tokenizer(const fs::path& folder, const Config& config, std::int64_t vocabulary,
                   gguf::Values& values) {
  const TokenizerFiles files{
      .folder = folder,
      .tokenizer = read_if_there(folder / "tokenizer.json", {.bytes = kMaxTokenizerBytes}),
      .config = read_if_there(folder / "tokenizer_config.json"),
      .model = config};
  std::error_code ignored;
  const bool has_json = !files.tokenizer.object().empty();
  if (!has_json && !fs::exists(folder / "tokenizer.model", ignored))
    throw Error(ErrorKind::not_found,
                fmt::format("{}: has neither tokenizer.json nor tokenizer.model", printable(folder.native())),
                "put all files of the model into one folder");
  const Config model = files.tokenizer.within("model");
  const std::string type = has_json ? model.text("type").value_or("BPE") : "BPE";
  if (type != "BPE")
    fail(ErrorKind::unsupported, "{}: a vocabulary of the type {} cannot be read yet; BPE can",
         files.tokenizer.source(), printable(type, 64));
  if (has_json && has_byte_level(files.tokenizer.within("pre_tokenizer")))
    add_byte_level(files, model, vocabulary, values);
  else if (!has_json || model.flag("byte_fallback").value_or(false))
    add_sentencepiece(files, model, vocabulary, values);
  else
    fail(ErrorKind::unsupported,
         "{}: BPE that is neither byte-level nor falls back on bytes cannot be read yet",
         files.tokenizer.source());
  add_special_tokens(files, vocabulary, values);
}

}  // namespace medlar::huggingface
