// Filters over sequences: order, aggregates, pieces.
#include <algorithm>

#include "text/jinja/attributes.h"
#include "text/jinja/builtins.h"
#include "text/jinja/chars.h"
#include "text/jinja/compare.h"
#include "text/jinja/objects.h"
#include "text/jinja/operators.h"
#include "text/jinja/repr.h"
#include "text/jinja/sort.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

Value count(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("length");
  return Value::integer(static_cast<std::int64_t>(rt.length(self)));
}

Value to_list(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("list");
  return rt.list(collect(rt, self));
}

Value first(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("first");
  Value item;
  if (rt.iterate(self)->next(rt, item)) return item;
  return Value::undefined("No first item, sequence was empty.");
}

Value last(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("last");
  const IteratorPtr iterator = rt.iterate_backwards(self);
  if (!iterator) fail(ErrorKind::usage, "'{}' object is not reversible", type_name(self));
  Value item;
  if (iterator->next(rt, item)) return item;
  return Value::undefined("No last item, sequence was empty.");
}

Value reverse(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("reverse");
  if (self.is(Kind::string)) {
    TextBuilder out(rt.budget());
    append_reversed(out, self.as_text());
    return rt.text(std::move(out), self.as_str().markup);
  }
  if (const IteratorPtr iterator = rt.iterate_backwards(self))
    return Value(std::shared_ptr<Object>(iterator));
  std::vector<Value> items = collect(rt, self);
  std::reverse(items.begin(), items.end());
  return rt.list(std::move(items));
}

Value join(Runtime& rt, const Value& self, Arguments& args) {
  const auto [separator, attribute] = args.bind<2>("join", {"d", "attribute"});
  const AttributePath path(attribute);
  const std::string between = separator.is(Kind::unset) ? "" : to_text(rt, separator);
  TextBuilder out(rt.budget());
  bool first_item = true;
  rt.each(self, [&](const Value& item) {
    if (!first_item) out.append(between);
    first_item = false;
    append_str(rt, out, path.of(rt, item));
    return true;
  });
  return rt.text(std::move(out));
}

Value without_case(Runtime& rt, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is(Kind::string)) return value;
  return rt.text(to_lower(value.as_text()));
}

// An item with what it is sorted by.
struct Keyed {
  std::vector<Value> keys;
  Value item;
};

bool keys_less(Runtime& rt, const std::vector<Value>& a, const std::vector<Value>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!equal(rt, a[i], b[i])) return less(a[i], b[i]);
  }
  return false;
}

std::vector<Value> sorted(Runtime& rt, std::vector<Keyed> items, bool backwards) {
  merge_sort(items, [&](const Keyed& a, const Keyed& b) {
    rt.budget().spend();
    return backwards ? keys_less(rt, b.keys, a.keys) : keys_less(rt, a.keys, b.keys);
  });
  std::vector<Value> out;
  out.reserve(items.size());
  for (Keyed& keyed : items) out.push_back(std::move(keyed.item));
  return out;
}

Value sort(Runtime& rt, const Value& self, Arguments& args) {
  const auto [backwards, case_sensitive, attribute] =
      args.bind<3>("sort", {"reverse", "case_sensitive", "attribute"});
  const bool exact = truthy(rt, case_sensitive);
  std::vector<AttributePath> paths;
  if (attribute.is(Kind::string)) {
    split_on(attribute.as_text(), ",", kNoLimit,
             [&](std::string_view part) { paths.emplace_back(Value::string(std::string(part))); });
  } else {
    paths.emplace_back(attribute);
  }
  std::vector<Keyed> items;
  rt.each(self, [&](const Value& item) {
    Keyed keyed{.keys = {}, .item = item};
    for (const AttributePath& path : paths) keyed.keys.push_back(without_case(rt, path.of(rt, item), exact));
    rt.budget().require(items.size() * 4 * sizeof(Value));
    items.push_back(std::move(keyed));
    return true;
  });
  return rt.list(sorted(rt, std::move(items), truthy(rt, backwards)));
}

Value dict_sort(Runtime& rt, const Value& self, Arguments& args) {
  const auto [case_sensitive, by, backwards] = args.bind<3>("dictsort", {"case_sensitive", "by", "reverse"});
  const std::string part = by.is(Kind::unset) ? "key" : text_argument(by, "dictsort's by").text;
  if (part != "key" && part != "value") fail(ErrorKind::usage, "dictsort sorts by key or by value");
  if (self.is(Kind::undefined)) fail_undefined(self);
  if (!self.is(Kind::dict)) fail(ErrorKind::usage, "dictsort needs a mapping, not {}", type_name(self));
  std::vector<Keyed> items;
  for (const auto& [key, value] : self.as_dict().entries()) {
    const Value& sorted_by = part == "key" ? key : value;
    items.push_back(
        {.keys = {without_case(rt, sorted_by, truthy(rt, case_sensitive))}, .item = rt.tuple({key, value})});
  }
  return rt.list(sorted(rt, std::move(items), truthy(rt, backwards)));
}

Value group_by(Runtime& rt, const Value& self, Arguments& args) {
  const auto [attribute, fallback, case_sensitive] =
      args.bind<3>("groupby", {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(attribute);
  const bool exact = truthy(rt, case_sensitive);
  std::vector<Keyed> items;
  for (Value& item : collect(rt, self)) {
    Value key = without_case(rt, path.of(rt, item, fallback), exact);
    items.push_back({.keys = {std::move(key)}, .item = std::move(item)});
  }
  merge_sort(items, [&](const Keyed& a, const Keyed& b) {
    rt.budget().spend();
    return keys_less(rt, a.keys, b.keys);
  });
  ItemsBuilder groups(rt);
  for (std::size_t at = 0; at < items.size();) {
    ItemsBuilder members(rt);
    const Value key = path.of(rt, items[at].item, fallback);
    const Value folded = items[at].keys[0];
    do {
      members.push(items[at++].item);
    } while (at < items.size() && equal(rt, items[at].keys[0], folded));
    groups.push(rt.group(key, rt.list(members.take())));
  }
  return rt.list(groups.take());
}

// The first item that no other comes before.
Value extreme(Runtime& rt, const Value& self, Arguments& args, std::string_view name, Ordering op) {
  const auto [case_sensitive, attribute] = args.bind<2>(name, {"case_sensitive", "attribute"});
  const AttributePath path(attribute);
  const bool exact = truthy(rt, case_sensitive);
  Value best;
  Value best_key;
  rt.each(self, [&](const Value& item) {
    Value key = without_case(rt, path.of(rt, item), exact);
    if (best.is(Kind::unset) || ordered(op, key, best_key)) {
      best = item;
      best_key = std::move(key);
    }
    return true;
  });
  if (best.is(Kind::unset)) return Value::undefined("No aggregated item, sequence was empty.");
  return best;
}

Value minimum(Runtime& rt, const Value& self, Arguments& args) {
  return extreme(rt, self, args, "min", Ordering::lt);
}
Value maximum(Runtime& rt, const Value& self, Arguments& args) {
  return extreme(rt, self, args, "max", Ordering::gt);
}

Value sum(Runtime& rt, const Value& self, Arguments& args) {
  const auto [attribute, start] = args.bind<2>("sum", {"attribute", "start"});
  const AttributePath path(attribute);
  Value total = start.is(Kind::unset) ? Value::integer(0) : start;
  if (total.is(Kind::string)) fail(ErrorKind::usage, "sum cannot add up strings");
  rt.each(self, [&](const Value& item) {
    total = binary(rt, BinaryOp::add, total, path.of(rt, item));
    return true;
  });
  return total;
}

Value unique(Runtime& rt, const Value& self, Arguments& args) {
  const auto [case_sensitive, attribute] = args.bind<2>("unique", {"case_sensitive", "attribute"});
  return make_generator(
      rt, self,
      [source = self, path = AttributePath(attribute), exact = truthy(rt, case_sensitive), seen = Dict(),
       charge = Charge(), iterator = IteratorPtr()](Runtime& runtime, Value& out) mutable {
        if (!iterator) iterator = runtime.iterate(source);
        while (iterator->next(runtime, out)) {
          Value key = without_case(runtime, path.of(runtime, out), exact);
          if (seen.find(key) != nullptr) continue;
          seen.set(std::move(key), Value::none());
          charge = Charge(runtime.budget(), seen.size() * sizeof(Dict::Entry));
          return true;
        }
        return false;
      });
}

// Lists of `linecount` items each.
Value batch(Runtime& rt, const Value& self, Arguments& args) {
  const auto [linecount, fill] = args.bind<2>("batch", {"linecount", "fill_with"}, 1);
  struct State {
    Value source, linecount, fill;
    IteratorPtr iterator;
    Value carried;  // the item that did not fit the list before
    bool done = false;
  };
  State start{.source = self, .linecount = linecount, .fill = fill};
  return make_generator(rt, self, [state = std::move(start)](Runtime& runtime, Value& out) mutable {
    if (state.done) return false;
    if (!state.iterator) state.iterator = runtime.iterate(state.source);
    const std::int64_t size = integer_argument(state.linecount, "batch's size");
    ItemsBuilder items(runtime);
    const auto held = [&] { return static_cast<std::int64_t>(items.items().size()); };
    if (!state.carried.is(Kind::unset)) items.push(std::exchange(state.carried, Value()));
    for (Value item; state.iterator->next(runtime, item);) {
      if (held() == size) {
        state.carried = std::move(item);
        out = runtime.list(items.take());
        return true;
      }
      items.push(std::move(item));
    }
    state.done = true;
    if (held() == 0) return false;
    const bool filled = !state.fill.is(Kind::unset) && !state.fill.is(Kind::none);
    while (filled && held() < size) items.push(state.fill);
    out = runtime.list(items.take());
    return true;
  });
}

// `slices` lists of nearly equal length.
Value slice(Runtime& rt, const Value& self, Arguments& args) {
  const auto [slices, fill] = args.bind<2>("slice", {"slices", "fill_with"}, 1);
  struct State {
    Value source, slices, fill;
    std::vector<Value> items;
    std::int64_t count = 0, done = 0;
    std::size_t taken = 0;
    bool started = false;
  };
  return make_generator(
      rt, self,
      [state = State{.source = self, .slices = slices, .fill = fill}](Runtime& runtime, Value& out) mutable {
        if (!state.started) {
          state.started = true;
          state.items = collect(runtime, state.source);
          state.count = integer_argument(state.slices, "slice's count");
          if (state.count == 0) fail(ErrorKind::usage, "slice into 0 slices");
        }
        if (state.done >= state.count) return false;
        const auto total = static_cast<std::int64_t>(state.items.size());
        const bool longer = state.done < total % state.count;
        ItemsBuilder piece(runtime);
        for (std::int64_t i = 0; i < total / state.count + (longer ? 1 : 0); ++i) {
          piece.push(state.items[state.taken++]);
        }
        const bool filled = !state.fill.is(Kind::unset) && !state.fill.is(Kind::none);
        if (filled && !longer) piece.push(state.fill);
        ++state.done;
        out = runtime.list(piece.take());
        return true;
      });
}

Value items(Runtime& rt, const Value& self, Arguments& args) {
  args.expect_none("items");
  if (self.is(Kind::dict)) return dict_items(rt, self);
  return make_generator(rt, self, [source = self](Runtime&, Value&) {
    if (!source.is(Kind::undefined))
      fail(ErrorKind::usage, "items needs a mapping, not {}", type_name(source));
    return false;
  });
}

constexpr NamedBuiltin kFilters[] = {
    {"batch", batch}, {"count", count},   {"dictsort", dict_sort}, {"first", first},  {"groupby", group_by},
    {"items", items}, {"join", join},     {"last", last},          {"length", count}, {"list", to_list},
    {"max", maximum}, {"min", minimum},   {"reverse", reverse},    {"slice", slice},  {"sort", sort},
    {"sum", sum},     {"unique", unique},
};

}  // namespace

std::span<const NamedBuiltin> sequence_filters() { return kFilters; }

}  // namespace medlar::jinja
