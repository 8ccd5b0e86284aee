// Chat templates: whatever the text, it is refused with a medlar::Error or renders within its limits to valid
// UTF-8, each time the same.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "fuzz/random.h"
#include "text/jinja/builtins.h"
#include "text/jinja/template.h"
#include "text/unicode.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace medlar::fuzz {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

// One set of names, with values of a conversation, of extremes, and of the wrong type.
constexpr std::string_view kContexts[] = {
    R"({"s": "Hello, World", "u": "ü ß İ Σς 你好 👍🏽", "i": 7, "f": 2.5, "b": true, "n": null, "l": [3, 1, 2],
        "d": {"b": 1, "a": [1, {"z": "deep"}], "items": "shadow"}, "bos_token": "<s>", "eos_token": "</s>",
        "add_generation_prompt": true, "tools": [{"type": "function", "function": {"name": "get_time",
        "description": "Tells <the> time.", "parameters": {"type": "object", "required": ["zone"],
        "properties": {"zone": {"type": "string", "enum": ["UTC", "CET"]}, "exact": {"type": "boolean"}}}}}],
        "messages": [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Time?"},
        {"role": "assistant", "content": null, "reasoning_content": "Look it up.", "tool_calls": [{"id": "c1",
        "type": "function", "function": {"name": "get_time", "arguments": {"zone": "UTC", "exact": false}}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "get_time", "content": "12:00"},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "</think>né"}]}]})",
    R"({"s": " \t\u0000x\r\n\u2028<a href='%s'>{0!r:>{1}}&amp;\u00a0", "u": "\ufeff\u202e\u0301e\u0301\uffff𝟘①ŉﬁǅ",
        "i": -9223372036854775808, "f": 1.7976931348623157e308, "b": false, "n": -0.0,
        "l": [1, 1.0, true, "1", null, [], [[[[]]]], {"": {}}, 9223372036854775807, -1, 5e-324, "b", "B", "ß"],
        "d": {"": "", "keys": 1, "__class__": 2, "0": [0], "None": null, "a": {"a": {"a": {"a": {}}}}},
        "bos_token": "", "messages": [], "tools": [[]], "add_generation_prompt": 0.1})",
    R"({"s": null, "u": [], "i": "12", "f": "nan", "b": "", "n": {"x": 0}, "l": "abc", "d": ["k", 1], "tools": "",
        "messages": {"role": 1, "content": {"role": []}}, "bos_token": 18446744073709551615})",
};

const jinja::Value& context(std::size_t choice) {
  static const std::vector<jinja::Value> parsed = [] {
    std::vector<jinja::Value> all;
    for (const auto json : kContexts) all.push_back(jinja::Value::from_json(boost::json::parse(json)));
    return all;
  }();
  return parsed[choice];
}

// What a rendering comes to.
struct Outcome {
  jinja::Rendered rendered;
  std::string error;
};

Outcome render(const jinja::Template& parsed, const jinja::Value& variables) {
  const jinja::RenderOptions options{
      .limits = {.steps = 100'000,
                 .value_bytes = 1u << 20,
                 .value_weight = 100'000,
                 .output_bytes = 1u << 14},
      .now = std::tm{.tm_sec = 9, .tm_min = 5, .tm_hour = 14, .tm_mday = 26, .tm_mon = 6, .tm_year = 124}};
  Outcome out;
  try {
    out.rendered = parsed.render_marked(variables, options);
  } catch (const Error& e) {
    out.error = e.what();
    require(!out.error.empty());
  }
  const std::string& text = out.rendered.text;
  require(text.size() <= options.limits.output_bytes);
  require(text::valid_utf8_prefix(text) == text.size());
  for (const auto& [first, last] : out.rendered.generated) require(first <= last && last <= text.size());
  return out;
}

// Templates grow from patterns, with semicolons between: $ is an expression, @ is statements.
constexpr std::string_view kAtoms = R"(
s ; u ; i ; f ; b ; n ; l ; d ; messages ; tools ; message ; x ; y ; ns ; loop ; undefined ; none ; true
; 0 ; 1 ; -1 ; 2 ; 3.5 ; 1e308 ; 9223372036854775807 ; 100000 ; 'a' ; '' ; 'role' ; 'content' ; '\u0000'
; '%5.3d' ; '{:>9}' ; [] ; {} ; () ; caller ; varargs ; kwargs ; m ; messages[0] ; loop.index0 ;
loop.previtem ; (i|string) ; (l|list) ; range(9) ; lipsum ; self)";
constexpr std::string_view kExpressions = R"(
($) ; $ + $ ; $ - $ ; $ * $ ; $ / $ ; $ // $ ; $ % $ ; $ ** $ ; -$ ; not $ ; $ ~ $ ; $ and $ ; $ or $ ;
$ == $ ; $ < $ ; $ <= $ != $ ; $ in $ ; $ not in $ ; $ if $ else $ ; $ if $ ; [$, $] ; ($,) ; ($, $) ;
{$: $} ; {'a': $, 'b': $} ; $[$] ; $[$:$] ; $[$:$:$] ; $[::$] ; $.role ; $.content ; $.a ; $.0 ; $.x.y ;
$($) ; m($, y=$) ; m(*$, **$) ; caller($) ; loop($) ; range($) ; range($, $, $) ; dict($, a=$) ;
namespace(a=$) ; joiner($)() ; cycler($, $).next() ; loop.cycle($, $) ; loop.changed($) ; strftime_now($)
; raise_exception($) ; $ is defined ; $ is not none ; $.split($) ; $.rsplit($, $) ; $.splitlines($) ;
$.strip($) ; $.replace($, $) ; $.replace($, $, $) ; $.join($) ; $.format($, a=$) ; $.format_map($) ;
$.find($, $) ; $.count($) ; $.center($, $) ; $.zfill($) ; $.expandtabs($) ; $.translate($) ;
$.partition($) ; $.title() ; $.casefold() ; $.startswith(($, $)) ; $.items() ; $.get($, $) ; $.keys() ;
$.encode() ; $.bit_length() ; $.append($) ; $.update($) ; $|map('upper') ; $|map(attribute=$) ;
$|selectattr($, $, $) ; $|select($) ; $|groupby($) ; $|tojson(indent=$) ;
$|tojson(separators=$, sort_keys=true) ; $|sort(reverse=$, attribute=$) ; $|batch($, $)|list)";
constexpr std::string_view kStatements = R"(
{{ $ }} ; {{- $ -}} ; {% set x = $ %} ; {% set x, y = $ %} ; {% set ns = namespace(a=$) %}@ ;
{% set ns.a = $ %} ; {% set x %}@{% endset %} ; {% set x | upper %}@{% endset %} ;
{% if $ %}@{% elif $ %}@{% else %}@{% endif %} ; {%- for x in $ -%}@{% endfor %} ;
{% for x, y in $ if $ recursive %}@{% else %}@{% endfor %} ;
{% for message in messages %}@{{ message.role }}@{% endfor %} ; {% break %} ; {% continue %} ;
{% macro m(x, y=$) %}@{% endmacro %}@ ; {% call(x) m($) %}@{% endcall %} ;
{% filter indent($) %}@{% endfilter %} ; {% with x = $ %}@{% endwith %} ;
{% generation %}@{% endgeneration %} ; {% block m scoped %}@{% endblock %} ; {% raw %}{{ @{% endraw %} ;
{# @ #} ; @@ ; {% autoescape true %}@{% endautoescape %} ; {% include $ %} ; {% do $ %})";

std::vector<std::string_view> split(std::string_view table) {
  std::vector<std::string_view> patterns;
  while (!table.empty()) {
    const std::size_t end = std::min(table.find(';'), table.size());
    const std::size_t first = table.find_first_not_of(" \n");
    patterns.push_back(table.substr(first, table.find_last_not_of(" \n", end - 1) + 1 - first));
    table.remove_prefix(std::min(end + 1, table.size()));
  }
  return patterns;
}

std::string expression(Random& random, int depth);
std::string statements(Random& random, int depth);

// Fills a pattern's holes.
std::string filled(std::string_view pattern, Random& random, int depth) {
  std::string out;
  for (const char c : pattern) {
    if (c == '$') {
      out += expression(random, depth - 1);
    } else if (c == '@') {
      out += statements(random, depth - 1);
    } else {
      out += c;
    }
  }
  return out;
}

std::string statements(Random& random, int depth) {
  static const auto patterns = split(kStatements);
  if (depth <= 0) return chance(random, 2) ? "{{ " + expression(random, 2) + " }}" : "t\n ";
  return filled(any(random, patterns), random, depth);
}

// Every filter and test is a pattern too.
std::string named(Random& random) {
  using namespace jinja;
  const std::span<const NamedBuiltin> tables[] = {text_filters(), value_filters(), sequence_filters(),
                                                  select_filters(), tests()};
  const std::size_t table = below(random, std::size(tables));
  const std::string_view arguments[] = {"", "", "($)", "($, $)", "($, $, $)"};
  return (table == 4 ? "$ is " : "$|") + std::string(any(random, tables[table]).name) +
         std::string(any(random, arguments));
}

std::string atom(Random& random) {
  static const auto atoms = split(kAtoms);
  return std::string(any(random, atoms));
}

std::string expression(Random& random, int depth) {
  static const auto patterns = split(kExpressions);
  if (depth <= 0 || chance(random, 4)) return atom(random);
  return filled(chance(random, 3) ? named(random) : std::string(any(random, patterns)), random, depth);
}

// A place in the text that splits no word and no code point.
std::size_t place(std::string_view text, Random& random) {
  const auto word = [&](std::size_t i) {
    const auto c = static_cast<unsigned char>(text[i]);
    return c >= 0x80 || c == '_' || std::isalnum(c) != 0;
  };
  std::size_t at = below(random, text.size() + 1);
  while (at > 0 && at < text.size() && word(at - 1) && word(at)) ++at;
  return at;
}

void mutate(std::string& text, Random& random) {
  const auto [from, to] = std::minmax({place(text, random), place(text, random)});
  const std::size_t near = std::min(to, from + 20);
  switch (below(random, 6)) {
    case 0:
      text.insert(from, statements(random, 3));
      break;
    case 1:
      text.insert(from, expression(random, 2));
      break;
    case 2:
      text.replace(from, near - from, expression(random, 2));
      break;
    case 3:
      text.erase(from, near - from);
      break;
    case 4:
      text.insert(place(text, random), text.substr(from, to - from));
      break;
    default:
      text.insert(from, atom(random));
      break;
  }
}

}  // namespace
}  // namespace medlar::fuzz

// A first byte below the number of contexts chooses one; a template begins with no such byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace medlar;
  std::string_view source(reinterpret_cast<const char*>(data), size);
  const bool chosen = size > 0 && data[0] < std::size(fuzz::kContexts);
  if (chosen) source.remove_prefix(1);
  try {
    const auto parsed = jinja::Template::parse(source);
    const jinja::Value& variables = fuzz::context(chosen ? data[0] : 0);
    const fuzz::Outcome once = fuzz::render(parsed, variables), again = fuzz::render(parsed, variables);
    fuzz::require(once.error == again.error && once.rendered.text == again.rendered.text &&
                  once.rendered.generated == again.rendered.generated);
  } catch (const Error& e) {
    fuzz::require(*e.what() != '\0');
  }
  return 0;
}

// Most mutations act on the words of a template; the rest on plain bytes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using namespace medlar::fuzz;
  Random random(seed);
  if (size > 0 && chance(random, 8)) return LLVMFuzzerMutate(data, size, max_size);
  std::string text(reinterpret_cast<const char*>(data), size);
  if (size < 2 || chance(random, 200))
    text = static_cast<char>(below(random, std::size(kContexts))) + statements(random, 5);
  for (std::uint64_t n = 1 + below(random, 3); n > 0; --n) mutate(text, random);
  const std::size_t length = std::min(text.size(), max_size);
  std::copy_n(text.data(), length, reinterpret_cast<char*>(data));
  return length;
}
