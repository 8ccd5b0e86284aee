// Categories come from utf8proc, which has Unicode's tables.
#include "text/grammar/char_classes.h"

#include <algorithm>
#include <array>
#include <string>

#include <utf8proc.h>

namespace medlar::grammar {
namespace {

struct Category {
  std::string_view name, prefix;  // categories whose short names start with `prefix`
};
constexpr std::array kCategories = {
    Category{"Letter", "L"},
    Category{"Cased_Letter", "LC"},
    Category{"Uppercase_Letter", "Lu"},
    Category{"Lowercase_Letter", "Ll"},
    Category{"Titlecase_Letter", "Lt"},
    Category{"Modifier_Letter", "Lm"},
    Category{"Other_Letter", "Lo"},
    Category{"Mark", "M"},
    Category{"Nonspacing_Mark", "Mn"},
    Category{"Spacing_Mark", "Mc"},
    Category{"Enclosing_Mark", "Me"},
    Category{"Number", "N"},
    Category{"Decimal_Number", "Nd"},
    Category{"digit", "Nd"},
    Category{"Letter_Number", "Nl"},
    Category{"Other_Number", "No"},
    Category{"Punctuation", "P"},
    Category{"Connector_Punctuation", "Pc"},
    Category{"Dash_Punctuation", "Pd"},
    Category{"Open_Punctuation", "Ps"},
    Category{"Close_Punctuation", "Pe"},
    Category{"Initial_Punctuation", "Pi"},
    Category{"Final_Punctuation", "Pf"},
    Category{"Other_Punctuation", "Po"},
    Category{"Symbol", "S"},
    Category{"Math_Symbol", "Sm"},
    Category{"Currency_Symbol", "Sc"},
    Category{"Modifier_Symbol", "Sk"},
    Category{"Other_Symbol", "So"},
    Category{"Separator", "Z"},
    Category{"Space_Separator", "Zs"},
    Category{"Line_Separator", "Zl"},
    Category{"Paragraph_Separator", "Zp"},
    Category{"Control", "Cc"},
    Category{"Format", "Cf"},
};

CharSet with_category(std::string_view prefix) {
  CharSet set;
  char32_t begin = 0;
  bool inside = false;
  for (char32_t c = 0; c <= kLastCharacter + 1; ++c) {
    const std::string_view name =
        c <= kLastCharacter ? utf8proc_category_string(static_cast<utf8proc_int32_t>(c)) : "";
    const bool cased = prefix == "LC" && (name == "Lu" || name == "Ll" || name == "Lt");
    const bool belongs = cased || name.starts_with(prefix);
    if (belongs && !inside) begin = c;
    if (!belongs && inside) set.add(begin, c - 1);
    inside = belongs;
  }
  return set;
}

const CharSet kDigits{{'0', '9'}};
const CharSet kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kSpaces{{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},
                      {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                      {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
// Spaces for some.
const CharSet kMaybeSpaces{{0x1C, 0x1F}, {0x85, 0x85}, {0x180E, 0x180E}, {0x200B, 0x200B}, {0xFEFF, 0xFEFF}};

}  // namespace

std::optional<CharSet> shorthand_class(char kind) {
  CharSet set;
  switch (kind) {
    case 'd':
      return kDigits;
    case 'w':
      return kWord;
    case 's':
      return kSpaces;
    case 'D':
      set = with_category("Nd");
      break;
    case 'W':
      set = kWord;
      for (const std::string_view category : {"L", "N", "M", "Pc"}) set.add(with_category(category));
      break;
    case 'S':
      set = kSpaces;
      set.add(kMaybeSpaces);
      break;
    default:
      return std::nullopt;
  }
  return set.complement();
}

std::optional<CharSet> property_class(std::string_view name) {
  if (name == "ASCII") return CharSet{{0, 0x7F}};
  if (name == "Any") return CharSet::all();
  for (const std::string_view key : {"General_Category=", "gc="})
    if (name.starts_with(key)) name.remove_prefix(key.size());
  const auto found = std::ranges::find_if(
      kCategories, [&](const Category& c) { return c.name == name || c.prefix == name; });
  return found == kCategories.end() ? std::nullopt : std::optional(with_category(found->prefix));
}

}  // namespace medlar::grammar
