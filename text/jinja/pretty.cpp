// pprint.pformat.
#include "text/jinja/repr.h"

namespace medlar::jinja {

void append_pretty(Runtime& rt, TextBuilder& out, const Value& value) { append_repr(rt, out, value); }

}  // namespace medlar::jinja
