// pprint.pformat: what does not fit the rest of a line goes to lines of its own, one item each.
#include <algorithm>
#include <functional>

#include "text/jinja/compare.h"
#include "text/jinja/repr.h"
#include "text/jinja/sort.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

constexpr std::size_t kWidth = 80;

// Any two keys, in some order: by value where they have one, else by type.
bool key_before(const Value& a, const Value& b) {
  const bool comparable = (a.is_number() && b.is_number()) || (a.kind() == b.kind() && a.is(Kind::string));
  return comparable ? less(a, b) : type_name(a) < type_name(b);
}

class PrettyPrinter {
 public:
  PrettyPrinter(Runtime& rt, TextBuilder& out) : rt_(rt), out_(out) {}

  // At column `indent`, with `allowance` columns to be left for what follows.
  void value(const Value& v, std::size_t indent, std::size_t allowance) {
    TextBuilder line(rt_.budget());
    one_line(line, v);
    const std::size_t used = indent + allowance;
    if (used <= kWidth && code_point_count(line.text()) <= kWidth - used) return out_.append(line.text());
    const Nesting nesting(rt_.budget());
    if (v.is(Kind::dict)) {
      dict(v.as_dict(), indent, allowance);
    } else if (v.items() != nullptr) {
      const bool list = v.is(Kind::list);
      items(*v.items(), list ? "[" : "(", list ? "]" : (v.items()->size() == 1 ? ",)" : ")"), indent,
            allowance);
    } else {
      out_.append(line.text());
    }
  }

 private:
  static std::vector<Dict::Entry> sorted(const Dict& dict) {
    std::vector<Dict::Entry> entries = dict.entries();
    merge_sort(entries, [](const auto& a, const auto& b) { return key_before(a.first, b.first); });
    return entries;
  }

  // repr() with sorted dictionaries.
  void one_line(TextBuilder& out, const Value& v) {
    const Nesting nesting(rt_.budget());
    const char* separator = "";
    if (v.is(Kind::dict)) {
      out.append('{');
      for (const auto& [key, entry] : sorted(v.as_dict())) {
        out.append(std::exchange(separator, ", "));
        one_line(out, key);
        out.append(": ");
        one_line(out, entry);
      }
      out.append('}');
    } else if (v.items() != nullptr) {
      out.append(v.is(Kind::list) ? '[' : '(');
      for (const Value& item : *v.items()) {
        out.append(std::exchange(separator, ", "));
        one_line(out, item);
      }
      out.append(v.is(Kind::list) ? "]" : (v.items()->size() == 1 ? ",)" : ")"));
    } else {
      append_repr(rt_, out, v);
    }
  }

  void next_line(std::size_t indent) {
    out_.append(",\n");
    out_.repeat(" ", indent);
  }

  void items(const std::vector<Value>& items, std::string_view open, std::string_view close,
             std::size_t indent, std::size_t allowance) {
    out_.append(open);
    for (std::size_t i = 0; i < items.size(); ++i) {
      const bool last = i + 1 == items.size();
      value(items[i], indent + 1, last ? allowance + close.size() : 1);
      if (!last) next_line(indent + 1);
    }
    out_.append(close);
  }

  void dict(const Dict& dict, std::size_t indent, std::size_t allowance) {
    out_.append('{');
    const auto entries = sorted(dict);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const bool last = i + 1 == entries.size();
      TextBuilder key(rt_.budget());
      one_line(key, entries[i].first);
      out_.append(key.text());
      out_.append(": ");
      value(entries[i].second, indent + 1 + code_point_count(key.text()) + 2, last ? allowance + 1 : 1);
      if (!last) next_line(indent + 1);
    }
    out_.append('}');
  }

  Runtime& rt_;
  TextBuilder& out_;
};

}  // namespace

void append_pretty(Runtime& rt, TextBuilder& out, const Value& value) {
  PrettyPrinter(rt, out).value(value, 0, 0);
}

}  // namespace medlar::jinja
