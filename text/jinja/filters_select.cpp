// Filters that apply a filter or a test to every item: map, select and their kin. All are lazy, as in Jinja.
#include <functional>
#include <memory>

#include "text/jinja/attributes.h"
#include "text/jinja/builtins.h"
#include "text/jinja/compare.h"
#include "text/jinja/runtime.h"

namespace medlar::jinja {
namespace {

// A named filter or test with the arguments every call gets.
class Prepared {
 public:
  Prepared(Builtin function, Arguments arguments) : function_(function), arguments_(std::move(arguments)) {}
  Value operator()(Runtime& rt, const Value& item) const {
    const Nesting nesting(rt.budget());
    Arguments arguments = arguments_;
    return function_(rt, item, arguments);
  }

 private:
  Builtin function_;
  Arguments arguments_;
};

// Takes the leading name off the arguments.
std::string take_name(Arguments& args, std::string_view what) {
  const Value name = std::move(args.positional.front());
  args.positional.erase(args.positional.begin());
  if (name.is(Kind::undefined)) fail_undefined(name);
  return text_argument(name, what).text;
}

Builtin known(Builtin found, std::string_view what, std::string_view name) {
  if (found == nullptr) fail(ErrorKind::usage, "no {} named '{}'", what, name);
  return found;
}

using ItemFunction = std::function<Value(Runtime&, const Value&)>;

ItemFunction map_function(Arguments& args) {
  if (args.positional.empty()) {
    const Value attribute = args.take("attribute");
    if (attribute.is(Kind::unset)) fail(ErrorKind::usage, "map needs a filter or an attribute");
    const Value fallback = args.take("default");
    if (!args.named.empty())
      fail(ErrorKind::usage, "map got an unexpected argument '{}'", args.named[0].first);
    return [path = AttributePath(attribute), fallback](Runtime& rt, const Value& item) {
      return path.of(rt, item, fallback);
    };
  }
  const std::string name = take_name(args, "map's filter");
  return Prepared(known(find_filter(name), "filter", name), std::move(args));
}

// Errors in the arguments show when the first item is asked for, and not at all for an empty source.
Value map(Runtime& rt, const Value& self, Arguments& args) {
  return make_generator(rt, self,
                        [source = self, args = std::move(args), function = ItemFunction(),
                         iterator = IteratorPtr()](Runtime& runtime, Value& out) mutable {
                          if (!iterator) {
                            if (!truthy(runtime, source)) return false;
                            function = map_function(args);
                            iterator = runtime.iterate(source);
                          }
                          Value item;
                          if (!iterator->next(runtime, item)) return false;
                          out = function(runtime, item);
                          return true;
                        });
}

// Whether an item passes: by itself, or by a test on it or on its attribute.
ItemFunction select_function(Arguments& args, bool by_attribute) {
  AttributePath path{Value()};
  if (by_attribute) {
    if (args.positional.empty()) fail(ErrorKind::usage, "selectattr and rejectattr need an attribute");
    path = AttributePath(args.positional.front());
    args.positional.erase(args.positional.begin());
  }
  if (args.positional.empty()) {
    return [path](Runtime& rt, const Value& item) { return path.of(rt, item); };
  }
  const std::string name = take_name(args, "the test");
  return [path, test = Prepared(known(find_test(name), "test", name), std::move(args))](
             Runtime& rt, const Value& item) { return test(rt, path.of(rt, item)); };
}

template <bool Wanted, bool ByAttribute>
Value select(Runtime& rt, const Value& self, Arguments& args) {
  return make_generator(rt, self,
                        [source = self, args = std::move(args), function = ItemFunction(),
                         iterator = IteratorPtr()](Runtime& runtime, Value& out) mutable {
                          if (!iterator) {
                            if (!truthy(runtime, source)) return false;
                            function = select_function(args, ByAttribute);
                            iterator = runtime.iterate(source);
                          }
                          while (iterator->next(runtime, out)) {
                            if (truthy(runtime, function(runtime, out)) == Wanted) return true;
                          }
                          return false;
                        });
}

constexpr NamedBuiltin kFilters[] = {
    {"map", map},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
};

}  // namespace

std::span<const NamedBuiltin> select_filters() { return kFilters; }

}  // namespace medlar::jinja
