// The functions every template can call: Jinja's own and the two that chat templates rely on.
#include <algorithm>
#include <iterator>

#include "text/jinja/objects.h"
#include "text/jinja/operators.h"
#include "text/jinja/strftime.h"
#include "text/jinja/strings.h"

namespace medlar::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as in Jinja's sandbox

Value range(Runtime& rt, const Value&, Arguments& args) {
  if (!args.named.empty()) fail(ErrorKind::usage, "range() takes no keyword arguments");
  const auto bounds = args.bind<3>("range", {"start", "stop", "step"}, 1);
  std::int64_t start = 0;
  std::int64_t stop = integer_argument(bounds[0], "range()'s argument");
  std::int64_t step = 1;
  if (!bounds[1].is(Kind::unset)) {
    start = stop;
    stop = integer_argument(bounds[1], "range()'s argument");
  }
  if (!bounds[2].is(Kind::unset)) step = integer_argument(bounds[2], "range()'s step");
  if (step == 0) fail(ErrorKind::usage, "range()'s step must not be 0");
  std::uint64_t count = 0;
  if (step > 0 ? start < stop : start > stop) {
    const auto low = static_cast<std::uint64_t>(step > 0 ? start : stop);
    const auto high = static_cast<std::uint64_t>(step > 0 ? stop : start);
    const std::uint64_t stride =
        step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
    count = (high - low - 1) / stride + 1;
  }
  if (count > kMaxRange) fail(ErrorKind::limit, "range() of more than {} numbers", kMaxRange);
  return Value(
      std::shared_ptr<Object>(rt.object<Range>(start, stop, step, static_cast<std::int64_t>(count))));
}

// Python's dict(): of a mapping, of pairs, of keyword arguments.
Dict make_dict(Runtime& rt, std::string_view function, Arguments& args) {
  if (args.positional.size() > 1) fail(ErrorKind::usage, "{}() takes at most 1 argument", function);
  Dict dict;
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is(Kind::dict)) {
      for (const auto& [key, value] : source.as_dict().entries()) {
        rt.budget().spend();
        dict.set(key, value);
      }
    } else {
      rt.each(source, [&](const Value& item) {
        const std::vector<Value> pair = collect(rt, item);
        if (pair.size() != 2) fail(ErrorKind::usage, "{}() needs pairs", function);
        dict.set(pair[0], pair[1]);
        rt.budget().require(dict.size() * sizeof(Dict::Entry));
        return true;
      });
    }
  }
  for (auto& [name, value] : args.named) dict.set(rt.text(name), std::move(value));
  return dict;
}

Value dict(Runtime& rt, const Value&, Arguments& args) { return rt.dict(make_dict(rt, "dict", args)); }

Value make_namespace(Runtime& rt, const Value&, Arguments& args) {
  Dict attributes = make_dict(rt, "namespace", args);
  attributes.charge = Charge(rt.budget(), sizeof(Namespace) + attributes.size() * sizeof(Dict::Entry));
  auto made = rt.object<Namespace>(std::move(attributes));
  rt.keep(made);
  return Value(std::shared_ptr<Object>(std::move(made)));
}

class Cycler final : public Object {
 public:
  explicit Cycler(Value items) : items_(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  int depth() const override { return extent_of(items_).depth + 1; }
  Value attribute(Runtime& rt, const Member& member) override;

  const Value& current() const { return items_.as_tuple().items[at_]; }
  Value next() {
    Value value = current();
    at_ = (at_ + 1) % items_.as_tuple().items.size();
    return value;
  }
  void reset() { at_ = 0; }

 private:
  Value items_;  // a tuple, not empty
  std::size_t at_ = 0;
};

// next or reset of one cycler.
class CyclerMethod final : public Object {
 public:
  CyclerMethod(std::shared_ptr<Cycler> cycler, Field field) : cycler_(std::move(cycler)), field_(field) {}
  std::string_view type_name() const override { return "method"; }
  bool callable() const override { return true; }
  int depth() const override { return cycler_->depth() + 1; }
  Value call(Runtime&, Arguments& args) override {
    args.expect_none("cycler method");
    if (field_ == Field::next) return cycler_->next();
    cycler_->reset();
    return Value::none();
  }

 private:
  std::shared_ptr<Cycler> cycler_;
  Field field_;
};

Value Cycler::attribute(Runtime& rt, const Member& member) {
  if (member.field == Field::current) return current();
  if (member.field != Field::next && member.field != Field::reset) return {};
  return Value(std::shared_ptr<Object>(
      rt.object<CyclerMethod>(std::static_pointer_cast<Cycler>(shared_from_this()), member.field)));
}

Value cycler(Runtime& rt, const Value&, Arguments& args) {
  if (!args.named.empty()) fail(ErrorKind::usage, "cycler() takes no keyword arguments");
  if (args.positional.empty()) fail(ErrorKind::usage, "cycler() needs at least one item");
  return Value(std::shared_ptr<Object>(rt.object<Cycler>(rt.tuple(std::move(args.positional)))));
}

// Empty when first called, its separator ever after.
class Joiner final : public Object {
 public:
  explicit Joiner(Value separator) : separator_(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  int depth() const override { return extent_of(separator_).depth + 1; }
  Value call(Runtime& rt, Arguments& args) override {
    args.expect_none("joiner");
    if (used_) return separator_;
    used_ = true;
    return rt.text("");
  }

 private:
  Value separator_;
  bool used_ = false;
};

Value joiner(Runtime& rt, const Value&, Arguments& args) {
  auto [separator] = args.bind<1>("joiner", {"sep"});
  if (separator.is(Kind::unset)) separator = rt.text(", ");
  return Value(std::shared_ptr<Object>(rt.object<Joiner>(std::move(separator))));
}

Value raise_exception(Runtime& rt, const Value&, Arguments& args) {
  const auto [message] = args.bind<1>("raise_exception", {"message"}, 1);
  throw Error(ErrorKind::usage, to_text(rt, message), "the model's chat template refuses this conversation");
}

Value strftime_now(Runtime& rt, const Value&, Arguments& args) {
  const auto [format] = args.bind<1>("strftime_now", {"format"}, 1);
  if (!rt.now) fail(ErrorKind::usage, "strftime_now() without a clock");
  TextBuilder out(rt.budget());
  append_time(out, text_argument(format, "strftime_now()'s format").text, *rt.now);
  return rt.text(std::move(out));
}

Value lipsum(Runtime&, const Value&, Arguments&) {
  fail(ErrorKind::unsupported, "lipsum() is not supported: it is random");
}

struct NamedFunction {
  std::string_view name;
  Builtin builtin;
};

constexpr NamedFunction kGlobals[] = {
    {"cycler", cycler},
    {"dict", dict},
    {"joiner", joiner},
    {"lipsum", lipsum},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"range", range},
    {"strftime_now", strftime_now},
};

}  // namespace

Value find_global(Runtime& rt, std::string_view name) {
  const auto* found = std::find_if(std::begin(kGlobals), std::end(kGlobals),
                                   [&](const NamedFunction& f) { return f.name == name; });
  if (found == std::end(kGlobals)) return {};
  return Value(std::shared_ptr<Object>(rt.object<Function>(found->name, found->builtin)));
}

}  // namespace medlar::jinja
