// The loop variable. Looking ahead takes items early, as in Jinja: asking for the length takes them all.
#include "text/jinja/loop_state.h"

#include "text/jinja/operators.h"

namespace medlar::jinja {
namespace {

// loop.cycle or loop.changed, ready to be called.
class LoopMethod final : public Object {
 public:
  LoopMethod(std::shared_ptr<LoopState> loop, Field field) : loop_(std::move(loop)), field_(field) {}
  std::string_view type_name() const override { return "method"; }
  bool callable() const override { return true; }
  Value call(Runtime& rt, Arguments& arguments) override {
    return field_ == Field::cycle ? loop_->cycle(arguments) : loop_->changed(rt, arguments);
  }

 private:
  std::shared_ptr<LoopState> loop_;
  Field field_;
};

// The loop's remaining items, each with the loop: what iterating over `loop` itself gives.
class RemainingTurns final : public Iterator {
 public:
  explicit RemainingTurns(std::shared_ptr<LoopState> loop) : loop_(std::move(loop)) {}
  bool next(Runtime& rt, Value& out) override {
    if (!loop_->advance(rt)) return false;
    out = rt.tuple({loop_->current(), Value(std::shared_ptr<Object>(loop_))});
    return true;
  }

 private:
  std::shared_ptr<LoopState> loop_;
};

std::optional<std::size_t> known_length(Runtime& rt, const Value& value) {
  if (value.is(Kind::object)) return value.as_object().length(rt);
  return rt.length(value);
}

}  // namespace

bool LoopState::advance(Runtime& rt) {
  Value item = std::exchange(after_, Value());
  if (item.is(Kind::unset) && !source_.iterator->next(rt, item)) return false;
  ++index0_;
  before_ = std::exchange(current_, std::move(item));
  return true;
}

void LoopState::finish() {
  last_changed_ = Value();
  finished_ = true;
}

std::optional<std::size_t> LoopState::length(Runtime& rt) {
  if (length_) return length_;
  if (!source_.statement.filter) length_ = known_length(rt, source_.iterable);
  if (!length_) {
    const Value rest = rt.list(collect(rt, Value(std::shared_ptr<Object>(source_.iterator))));
    source_.iterator = rt.iterate(rest);
    length_ =
        rest.as_list().items.size() + static_cast<std::size_t>(index()) + (after_.is(Kind::unset) ? 0 : 1);
  }
  return length_;
}

IteratorPtr LoopState::iterate(Runtime& rt) {
  return rt.object<RemainingTurns>(std::static_pointer_cast<LoopState>(shared_from_this()));
}

const Value& LoopState::peek(Runtime& rt) {
  if (after_.is(Kind::unset) && !source_.iterator->next(rt, after_)) after_ = Value();
  return after_;
}

Value LoopState::attribute(Runtime& rt, const Member& member) {
  const auto size = [&] { return static_cast<std::int64_t>(*length(rt)); };
  switch (member.field) {
    case Field::index:
      return Value::integer(index());
    case Field::index0:
      return Value::integer(index0_);
    case Field::revindex:
      return Value::integer(size() - index0_);
    case Field::revindex0:
      return Value::integer(size() - index());
    case Field::first:
      return Value::boolean(index0_ == 0);
    case Field::last:
      return Value::boolean(peek(rt).is(Kind::unset));
    case Field::length:
      return Value::integer(size());
    case Field::depth:
      return Value::integer(source_.depth + 1);
    case Field::depth0:
      return Value::integer(source_.depth);
    case Field::previtem:
      return index0_ == 0 ? Value::undefined("there is no previous item") : before_;
    case Field::nextitem: {
      const Value& next = peek(rt);
      return next.is(Kind::unset) ? Value::undefined("there is no next item") : next;
    }
    case Field::cycle:
    case Field::changed:
      return Value(std::shared_ptr<Object>(
          rt.object<LoopMethod>(std::static_pointer_cast<LoopState>(shared_from_this()), member.field)));
    default:
      return {};
  }
}

Value LoopState::cycle(Arguments& arguments) const {
  if (!arguments.named.empty()) fail(ErrorKind::usage, "cycle() takes no keyword arguments");
  if (arguments.positional.empty()) fail(ErrorKind::usage, "no items for cycling given");
  return arguments.positional[static_cast<std::size_t>(index0_) % arguments.positional.size()];
}

Value LoopState::changed(Runtime& rt, Arguments& arguments) {
  if (!arguments.named.empty()) fail(ErrorKind::usage, "changed() takes no keyword arguments");
  Value value = rt.tuple(std::move(arguments.positional));
  if (!last_changed_.is(Kind::unset) && equal(rt, last_changed_, value)) return Value::boolean(false);
  if (!finished_) last_changed_ = std::move(value);
  return Value::boolean(true);
}

Value LoopState::call(Runtime&, Arguments& arguments) {
  if (!source_.statement.recursive) {
    fail(ErrorKind::usage, "the loop must have the 'recursive' marker to be called recursively");
  }
  const auto [iterable] = arguments.bind<1>("loop", {"iterable"}, 1);
  return interpreter_.recurse(source_.statement, source_.home, iterable, source_.depth + 1);
}

void LoopState::repr(Runtime& rt, TextBuilder& out) {
  out.append(fmt::format("<LoopContext {}/{}>", index(), *length(rt)));
}

}  // namespace medlar::jinja
