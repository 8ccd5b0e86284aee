// str.format: replacement fields in braces.
#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/numbers.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class BraceFormatter {
 public:
  BraceFormatter(Runtime& rt, bool markup, const Arguments& arguments)
      : rt_(rt), markup_(markup), arguments_(arguments) {}

  // Specifications may hold fields themselves, one level deep.
  void run(std::string_view format, TextBuilder& out, int depth) {
    if (depth > 3) fail(ErrorKind::usage, "a format specification nests too deep");
    for (std::size_t at = 0; at < format.size();) {
      const std::size_t brace = format.find_first_of("{}", at);
      out.append(format.substr(at, brace - at));
      if (brace == std::string_view::npos) return;
      at = brace + 1;
      if (at < format.size() && format[at] == format[brace]) {
        out.append(format[at++]);
      } else if (format[brace] == '}') {
        fail(ErrorKind::usage, "single '}}' in a format string");
      } else {
        const std::size_t end = field_end(format, at);
        field(format.substr(at, end - at), out, depth);
        at = end + 1;
      }
    }
  }

 private:
  static std::size_t field_end(std::string_view format, std::size_t at) {
    bool inside_brackets = false;
    for (int open = 1; at < format.size(); ++at) {
      const char c = format[at];
      if (c == '[') inside_brackets = true;
      if (c == ']') inside_brackets = false;
      if (inside_brackets) continue;
      open += c == '{' ? 1 : (c == '}' ? -1 : 0);
      if (open == 0) return at;
    }
    fail(ErrorKind::usage, "a format string's '{{' is not closed");
  }

  // name[!conversion][:specification]
  void field(std::string_view text, TextBuilder& out, int depth) {
    std::size_t end = 0;
    for (bool brackets = false; end < text.size(); ++end) {
      if (text[end] == '[') brackets = true;
      if (text[end] == ']') brackets = false;
      if (text[end] == '{') fail(ErrorKind::usage, "unexpected '{{' in a field name");
      if (!brackets && (text[end] == '!' || text[end] == ':')) break;
    }
    Value value = lookup(text.substr(0, end));
    std::string_view rest = text.substr(end);
    if (!rest.empty() && rest[0] == '!') {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) {
        fail(ErrorKind::usage, "a conversion is one character, then ':' or the end");
      }
      value = converted(value, rest[1]);
      rest.remove_prefix(2);
    }
    if (!rest.empty()) rest.remove_prefix(1);
    TextBuilder spec(rt_.budget());
    run(rest, spec, depth + 1);
    append(value, spec.text(), out);
  }

  void append(const Value& value, std::string_view spec, TextBuilder& out) {
    if (!markup_) return append_formatted(rt_, out, value, spec);
    if (value.is(Kind::string) && value.as_str().markup) {
      if (!spec.empty()) fail(ErrorKind::usage, "marked up text takes no format specification");
      return out.append(value.as_text());
    }
    TextBuilder plain(rt_.budget());
    append_formatted(rt_, plain, value, spec);
    append_escaped(out, plain.text());
  }

  Value converted(const Value& value, char conversion) {
    TextBuilder out(rt_.budget());
    switch (conversion) {
      case 's':
        append_str(rt_, out, value);
        break;
      case 'r':
        append_repr(rt_, out, value);
        break;
      case 'a':
        append_ascii(rt_, out, value);
        break;
      default:
        fail(ErrorKind::usage, "unknown conversion '{}' in a format string", conversion);
    }
    return rt_.text(std::move(out));
  }

  // first[.attribute | [item]]...
  Value lookup(std::string_view name) {
    std::size_t at = std::min(name.find_first_of(".["), name.size());
    Value value = argument(name.substr(0, at));
    while (at < name.size()) {
      const bool attribute = name[at] == '.';
      const std::size_t end =
          attribute ? std::min(name.find_first_of(".[", at + 1), name.size()) : name.find(']', at);
      if (end == std::string_view::npos) fail(ErrorKind::usage, "a ']' is missing in a format string");
      const std::string part(name.substr(at + 1, end - at - 1));
      if (part.empty()) fail(ErrorKind::usage, "an empty attribute in a format string");
      if (attribute) {
        value = get_attribute(rt_, value, Member(part));
      } else {
        value = get_item(rt_, value,
                         all_digits(part) ? Value::integer(*parse_integer(part, 10)) : rt_.text(part));
      }
      at = attribute ? end : end + 1;
      if (at < name.size() && name[at] != '.' && name[at] != '[') {
        fail(ErrorKind::usage, "only '.' or '[' may follow ']' in a format string");
      }
    }
    return value;
  }

  const Value& argument(std::string_view name) {
    if (name.empty() || all_digits(name)) {
      if (name.empty() ? numbering_ == Numbering::explicit_ : numbering_ == Numbering::automatic) {
        fail(ErrorKind::usage, "numbered and unnumbered fields mixed in a format string");
      }
      numbering_ = name.empty() ? Numbering::automatic : Numbering::explicit_;
      const std::int64_t index = name.empty() ? next_++ : *parse_integer(name, 10);
      if (index >= static_cast<std::int64_t>(arguments_.positional.size())) {
        fail(ErrorKind::usage, "the format string names argument {}, which is not there", index);
      }
      return arguments_.positional[static_cast<std::size_t>(index)];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    fail(ErrorKind::usage, "the format string names '{}', which is not there", name);
  }

  enum class Numbering { undecided, automatic, explicit_ };

  Runtime& rt_;
  bool markup_;
  const Arguments& arguments_;
  Numbering numbering_ = Numbering::undecided;
  std::int64_t next_ = 0;
};

}  // namespace

Value brace_format(Runtime& rt, const Str& format, const Arguments& arguments) {
  TextBuilder out(rt.budget());
  BraceFormatter(rt, format.markup, arguments).run(format.text, out, 1);
  return rt.text(std::move(out), format.markup);
}

}  // namespace medlar::jinja
