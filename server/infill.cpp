#include "server/infill.h"

#include <fmt/format.h>

#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

const Form<ExtraText>& extra_form() {
  static const Form<ExtraText> form =
      Form<ExtraText>()
          .field("filename", &ExtraText::filename, {.about = "the name of the file"})
          .field("text", &ExtraText::text, {.about = "a part of it", .required = true});
  return form;
}

// Other files, each under its name, and the beginning of the one with the gap.
std::vector<std::int32_t> repository(const Engine& engine, const std::vector<ExtraText>& files) {
  const text::SpecialTokens& special = engine.tokenizer().special();
  std::vector<std::int32_t> tokens;
  const auto add = [&](text::TokenId token, const std::string& text) {
    if (token != text::kNoToken) tokens.push_back(token);
    const auto more = plain_tokens(engine, text);
    tokens.insert(tokens.end(), more.begin(), more.end());
  };
  if (special.fim_repo != text::kNoToken) add(special.fim_repo, "repository\n");
  for (const ExtraText& file : files) add(special.fim_file, file.filename + "\n" + file.text + "\n");
  if (special.fim_file != text::kNoToken) add(special.fim_file, "file\n");
  return tokens;
}

}  // namespace

ExtraText JsonType<ExtraText>::read(const json::value& v, const Path& path, const FieldSpec&) {
  return extra_form().read(v, path);
}
json::object JsonType<ExtraText>::schema(const FieldSpec&) { return extra_form().schema(); }

std::vector<std::int32_t> plain_tokens(const Engine& engine, std::string_view text) {
  return engine.tokenizer().encode(text, {.add_special = false});
}

std::vector<std::int32_t> infill_tokens(const Engine& engine, const Gap& gap) {
  const text::Tokenizer& tokenizer = engine.tokenizer();
  const text::SpecialTokens& special = tokenizer.special();
  for (const auto& [token, name] :
       {std::pair(special.fim_prefix, "fim_pre"), std::pair(special.fim_suffix, "fim_suf"),
        std::pair(special.fim_middle, "fim_mid")}) {
    if (token == text::kNoToken)
      throw ApiError(400,
                     fmt::format("this model cannot fill in the middle: it has no token "
                                 "tokenizer.ggml.{}_token_id",
                                 name),
                     {.param = "model", .code = "not_supported_error", .hint = "use a model for code"});
  }
  std::vector<std::int32_t> tokens;
  const auto add = [&](const std::vector<std::int32_t>& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
  };
  const auto add_token = [&](text::TokenId token) {
    if (token != text::kNoToken) tokens.push_back(token);
  };
  if (tokenizer.adds_bos()) add_token(special.bos);
  if (!gap.extra.empty()) add(repository(engine, gap.extra));
  add_token(special.fim_prefix);
  add(gap.before);
  add_token(special.fim_suffix);
  add(plain_tokens(engine, gap.after));
  add_token(special.fim_middle);
  return tokens;
}

}  // namespace medlar::server
