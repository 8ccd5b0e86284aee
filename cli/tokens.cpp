#include "cli/tokens.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "cli/json.h"
#include "huggingface/open.h"
#include "models/tokenizer_spec.h"

namespace medlar::cli {
namespace {

constexpr std::string_view kSeparators = ", \t\r\n";

[[noreturn]] void fail_ids(std::string_view source) {
  throw Error(ErrorKind::usage, fmt::format("{}: not a list of token ids", source),
              "give numbers between commas or spaces, or the JSON that \"medlar tokenize\" prints");
}

std::vector<text::TokenId> ids_from_json(std::string_view text, std::string_view source) {
  boost::json::value value = parse_json(text, source);
  const boost::json::value* list = value.is_object() ? value.as_object().if_contains("tokens") : &value;
  if (!list || !list->is_array()) fail_ids(source);
  std::vector<text::TokenId> tokens;
  for (const boost::json::value& item : list->as_array()) {
    boost::system::error_code error;
    tokens.push_back(item.to_number<text::TokenId>(error));
    if (error) fail_ids(source);
  }
  return tokens;
}

}  // namespace

std::vector<text::TokenId> parse_token_ids(std::string_view text, std::string_view source) {
  const std::size_t start = text.find_first_not_of(kSeparators);
  if (start == std::string_view::npos) return {};
  if (text[start] == '[' || text[start] == '{') return ids_from_json(text, source);
  std::vector<text::TokenId> tokens;
  while (!text.empty()) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(kSeparators)));
    const std::string_view word = text.substr(0, text.find_first_of(kSeparators));
    if (word.empty()) break;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), tokens.emplace_back());
    if (error != std::errc() || end != word.data() + word.size()) fail_ids(source);
    text.remove_prefix(word.size());
  }
  return tokens;
}

std::string join_token_ids(std::span<const text::TokenId> tokens) {
  return fmt::format("{}", fmt::join(tokens, " "));
}

text::Tokenizer load_tokenizer(const std::filesystem::path& path) {
  const gguf::File file = huggingface::open_model(path);
  return text::Tokenizer(models::tokenizer_spec(file.metadata()));
}

}  // namespace medlar::cli
