// Filling in the middle: a prompt of what stands before and after a gap (Bavarian et al., Efficient Training
// of Language Models to Fill in the Middle, 2022).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/form.h"

namespace medlar::server {

// A piece of another file that helps.
struct ExtraText {
  std::string filename, text;
};
template <>
struct JsonType<ExtraText> {
  static ExtraText read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

struct Gap {
  std::vector<std::int32_t> before;  // without the tokens that begin a text
  std::string_view after;
  std::vector<ExtraText> extra;
};

// In the order prefix, suffix, middle, with the model's own tokens before each; extra texts come first, as
// files of a repository where the model has tokens for those (Hui et al., Qwen2.5-Coder, 2024). Throws
// ApiError(400) for a model without the tokens.
std::vector<std::int32_t> infill_tokens(const Engine& engine, const Gap& gap);

// The tokens of text within a prompt: no special ones.
std::vector<std::int32_t> plain_tokens(const Engine& engine, std::string_view text);

}  // namespace medlar::server
