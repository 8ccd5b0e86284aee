// Tokens with a role: their ids, which of them every text gets, and the chat template.
#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <map>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "checkpoint/json_file.h"
#include "huggingface/tokenizer.h"

namespace medlar::huggingface {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t kMaxTemplateBytes = 4 << 20;

struct Role {
  std::string_view name;  // in "bos_token", "bos_token_id" and "add_bos_token"
  std::string_view key;   // in tokenizer.ggml.KEY_token_id
};
constexpr Role kRoles[] = {{"bos", "bos"},     {"eos", "eos"}, {"unk", "unknown"}, {"sep", "seperator"},
                           {"pad", "padding"}, {"cls", "cls"}, {"mask", "mask"}};

// A token's text in tokenizer_config.json: a string, or an object with one.
std::string token_text(const Config& config, std::string_view field) {
  const json::value* value = config.find(field);
  if (!value) return {};
  if (value->is_object()) return config.within(field).text("content").value_or("");
  return value->is_string() ? std::string(value->get_string()) : std::string();
}

class Roles {
 public:
  explicit Roles(const TokenizerFiles& files) : files_(files) {
    for (const Role& role : kRoles)
      texts_[std::string(role.name)] = token_text(files.config, fmt::format("{}_token", role.name));
    if (texts_["bos"].empty()) texts_["bos"] = texts_["cls"];
    if (texts_["eos"].empty()) texts_["eos"] = texts_["sep"];
    if (const json::value* added = files.tokenizer.find("added_tokens"); added && added->is_array())
      for (const json::value& token : added->get_array()) add_id(token);
    read_post_processor();
    for (const Role& role : kRoles)
      if (const auto add = flag(fmt::format("add_{}_token", role.name))) adds_.emplace(role.name, *add);
  }

  void write(std::int64_t vocabulary, gguf::Values& values) const {
    for (const Role& role : kRoles) {
      const std::string key = fmt::format("tokenizer.ggml.{}_token_id", role.key);
      if (const auto id = id_of(role.name); id && *id >= 0 && *id < vocabulary)
        values.set(key, static_cast<std::uint32_t>(*id));
    }
    for (const std::string_view name : {"bos", "eos", "sep"})
      if (const auto add = adds_.find(name); add != adds_.end())
        values.set(fmt::format("tokenizer.ggml.add_{}_token", name), add->second);
  }

 private:
  void add_id(const json::value& token) {
    if (!token.is_object()) return;
    const Config fields(token.get_object(), files_.tokenizer.source());
    const auto text = fields.text("content");
    const auto id = fields.integer({"id"});
    if (text && id) ids_.emplace(*text, *id);
  }

  // By tokenizer_config.json's text, else config.json's number, whose first is meant where there are several.
  std::optional<std::int64_t> id_of(std::string_view role) const {
    const auto known = ids_.find(texts_.find(role)->second);
    if (known != ids_.end()) return known->second;
    const json::value* value = files_.model.find(fmt::format("{}_token_id", role));
    if (value && value->is_array() && !value->get_array().empty()) value = &value->get_array().front();
    return value && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
  }

  std::optional<bool> flag(std::string_view field) const {
    const json::value* value = files_.config.find(field);
    return value && value->is_bool() ? std::optional(value->get_bool()) : std::nullopt;
  }

  void read_post_processor() {
    const Config post = files_.tokenizer.within("post_processor");
    const json::value* several = post.find("processors");
    if (!several || !several->is_array()) return read_processor(post);
    for (const json::value& one : several->get_array())
      if (one.is_object()) read_processor(Config(one.get_object(), post.source()));
  }

  void read_processor(const Config& processor) {
    const std::string type = processor.text("type").value_or("");
    if (type == "ByteLevel") {
      adds_.emplace("bos", false), adds_.emplace("eos", false);
    } else if (type == "RobertaProcessing") {
      adds_["bos"] = adds_["eos"] = adds_["sep"] = true;
    } else if (type == "TemplateProcessing") {
      read_template(processor);
    }
  }

  // The tokens before and after one text: {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": ...}]}.
  void read_template(const Config& processor) {
    const json::value* single = processor.find("single");
    if (!single || !single->is_array() || single->get_array().size() < 2) return;
    const auto special = [&](const json::value& part) -> std::string {
      if (!part.is_object()) return {};
      return Config(part.get_object(), processor.source()).within("SpecialToken").text("id").value_or("");
    };
    if (const std::string first = special(single->get_array().front()); !first.empty()) {
      if (texts_["bos"].empty()) texts_["bos"] = first;
      adds_["bos"] = first == texts_["bos"] || first == texts_["cls"];
    }
    if (const std::string last = special(single->get_array().back()); !last.empty()) {
      if (texts_["eos"].empty()) texts_["eos"] = last;
      adds_["eos"] = last == texts_["eos"];
    }
  }

  const TokenizerFiles& files_;
  std::map<std::string, std::string, std::less<>> texts_;  // by role
  std::map<std::string, std::int64_t, std::less<>> ids_;   // of added tokens, by text
  std::map<std::string, bool, std::less<>> adds_;          // by role
};

// Of several templates in tokenizer_config.json the one called "default".
std::string named_template(const Config& config) {
  const json::value* value = config.find("chat_template");
  if (!value) return {};
  if (value->is_string()) return std::string(value->get_string());
  if (!value->is_array()) return {};
  for (const json::value& one : value->get_array()) {
    if (!one.is_object()) continue;
    const Config fields(one.get_object(), config.source());
    if (fields.text("name") == "default") return fields.text("template").value_or("");
  }
  return {};
}

std::string chat_template(const TokenizerFiles& files) {
  if (std::string own = named_template(files.config); !own.empty()) return own;
  std::error_code ignored;
  const fs::path jinja = files.folder / "chat_template.jinja", in_json = files.folder / "chat_template.json";
  if (fs::exists(jinja, ignored)) {
    const MappedFile file(jinja);
    if (file.bytes().size() > kMaxTemplateBytes)
      fail(ErrorKind::bad_file, "{}: {} bytes are no chat template", printable(jinja.native()),
           file.bytes().size());
    std::string text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    file.check();
    return text;
  }
  if (!fs::exists(in_json, ignored)) return {};
  return named_template(Config(read_json_file(in_json), printable(in_json.native())));
}

}  // namespace

void add_special_tokens(const TokenizerFiles& files, std::int64_t vocabulary, gguf::Values& values) {
  Roles(files).write(vocabulary, values);
  if (const std::string text = chat_template(files); !text.empty())
    values.set("tokenizer.chat_template", text);
}

}  // namespace medlar::huggingface
