#include "cli/task_file.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdint>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "cli/json.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 8> kFields{"id",     "task",   "prompt",  "choices",
                                                  "answer", "expect", "pattern", "stop"};

// One line of the file.
class ItemReader {
 public:
  ItemReader(const json::object& object, std::string where) : object_(object), where_(std::move(where)) {}

  eval::Item read(std::int64_t line) const {
    for (const auto& [key, value] : object_) {
      if (std::ranges::find(kFields, std::string_view(key)) == kFields.end())
        fail(key, fmt::format("is none of {}", fmt::join(kFields, ", ")));
    }
    const json::value* given = object_.if_contains("id");
    eval::Item item{.id = given ? text("id") : fmt::format("{}", line),
                    .task = object_.contains("task") ? text("task") : "",
                    .prompt = text("prompt")};
    const auto kinds = std::ranges::count_if(std::array{"choices", "expect", "pattern"},
                                             [&](const char* key) { return object_.contains(key); });
    if (kinds != 1) fail("choices", "an item has one of choices, expect and pattern");
    if (object_.contains("stop")) item.stop = texts("stop");
    if (object_.contains("choices")) read_choices(item);
    if (object_.contains("expect")) item.expected = texts("expect");
    if (object_.contains("pattern")) read_pattern(item);
    return item;
  }

 private:
  [[noreturn]] void fail(std::string_view key, std::string_view what) const {
    throw Error(ErrorKind::bad_file, fmt::format("{}: {}: {}", where_, key, what),
                "see docs/quality.md for what an item has");
  }

  std::string text(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    if (!value || !value->is_string()) fail(key, "must be a text");
    return std::string(value->get_string());
  }

  // A text, or a list of them.
  std::vector<std::string> texts(std::string_view key) const {
    const json::value& value = object_.at(key);
    if (value.is_string()) return {text(key)};
    std::vector<std::string> list;
    if (value.is_array()) {
      for (const json::value& entry : value.get_array()) {
        if (!entry.is_string()) fail(key, "must be a text or a list of texts");
        list.emplace_back(entry.get_string());
      }
    }
    if (list.empty()) fail(key, "must be a text or a list of texts");
    return list;
  }

  void read_choices(eval::Item& item) const {
    item.choices = texts("choices");
    if (std::ranges::any_of(item.choices, &std::string::empty)) fail("choices", "one is empty");
    const json::value* answer = object_.if_contains("answer");
    if (!answer || !answer->is_int64() || answer->get_int64() < 0 ||
        answer->get_int64() >= std::ssize(item.choices))
      fail("answer", fmt::format("must be the number of a choice, from 0 to {}", item.choices.size() - 1));
    item.answer = static_cast<std::size_t>(answer->get_int64());
  }

  void read_pattern(eval::Item& item) const {
    try {
      item.pattern = grammar::regex_dfa(text("pattern"), grammar::Match::anywhere);
    } catch (const Error& e) {
      throw Error(ErrorKind::bad_file, fmt::format("{}: {}", where_, e.what()), e.hint());
    }
  }

  const json::object& object_;
  std::string where_;
};

}  // namespace

std::vector<eval::Item> parse_items(std::string_view text, std::string_view source) {
  std::vector<eval::Item> items;
  std::map<std::string, std::int64_t> lines;
  for (std::int64_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.find_first_not_of(" \t\r") == one.npos) continue;
    const std::string where = fmt::format("{}: line {}", source, line);
    const json::value value = parse_json(one, where);
    if (!value.is_object())
      throw Error(ErrorKind::bad_file, where + ": must be an object", "write one JSON object a line");
    items.push_back(ItemReader(value.get_object(), where).read(line));
    const auto [first, fresh] = lines.emplace(items.back().id, line);
    if (!fresh)
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: lines {} and {} have the same id \"{}\"", source, first->second, line,
                              items.back().id),
                  "give every item an id of its own");
  }
  if (items.empty())
    throw Error(ErrorKind::bad_file, fmt::format("{}: holds no item", source),
                "write one JSON object a line");
  return items;
}

}  // namespace medlar::cli
