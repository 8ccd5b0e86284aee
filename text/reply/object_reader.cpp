// Keys decide what becomes of values; arguments wait until the name is known.
#include "text/reply/object_reader.h"

#include "text/reply/json_text.h"
#include "text/reply/schema_types.h"

namespace medlar::reply {

ObjectReader::ObjectReader(ObjectKeys keys, bool strict, std::span<const Tool> tools, const Limits& limits)
    : keys_(keys),
      strict_(strict),
      tools_(tools),
      limits_(&limits),
      reader_(Notation::json, {}, limits.depth) {}

std::size_t ObjectReader::feed(std::string_view text, std::string& arguments) {
  std::size_t i = 0;
  while (i < text.size() && state_ == State::reading) {
    const bool in_key = at_ == At::key;
    if (at_ != At::value && !in_key) {
      if (is_space(text[i])) {
        ++i;
      } else if (take(text[i])) {
        ++i;
        if (state_ == State::done) end_object(arguments);
      }
      continue;
    }
    if (at_ == At::value && text_.empty() && !streaming_) {  // the value has not begun
      if (is_space(text[i])) {
        ++i;
        continue;
      }
      streaming_ = part_ == Part::arguments && text[i] == '{';
    }
    std::string& out = streaming_ ? arguments_ : text_;
    i += reader_.feed(text.substr(i), out);
    if (reader_.state() == ValueReader::State::bad) {
      fail();
    } else if (reader_.state() == ValueReader::State::done) {
      in_key ? end_key() : end_value(arguments);
    }
    if (streaming_) flush(arguments);
  }
  return i;
}

// Whether the byte was taken, outside of keys and values.
bool ObjectReader::take(char c) {
  const auto expect = [&](char wanted, At next) {
    if (c != wanted) {
      fail();
      return false;
    }
    at_ = next;
    return true;
  };
  const auto begin = [&](At next) {
    reader_ = ValueReader(Notation::json, {}, limits_->depth);
    text_.clear();
    at_ = next;
    return false;
  };
  switch (at_) {
    case At::open:
      return expect('{', At::first_key);
    case At::colon:
      if (!expect(':', At::value)) return false;
      begin(At::value);
      return true;
    case At::comma:
      if (c == '}') {
        state_ = State::done;
        return true;
      }
      return expect(',', At::first_key);
    case At::first_key:
      if (c == '"') return begin(At::key);
      fail();
      return false;
    default:
      fail();
      return false;
  }
}

void ObjectReader::end_key() {
  const std::string key = unquoted(text_);
  text_.clear();
  at_ = At::colon;
  if (key == keys_.name || key == "name") {
    part_ = Part::name;
  } else if (key == keys_.arguments || key == "arguments" || key == "parameters") {
    part_ = Part::arguments;
    if (have_arguments_) fail();
  } else {
    part_ = key == (keys_.id.empty() ? "id" : keys_.id) ? Part::id : Part::other;
    if (strict_ && key != "type" && key != "id") fail();
  }
}

void ObjectReader::end_value(std::string& arguments) {
  at_ = At::comma;
  if (part_ == Part::arguments) {
    have_arguments_ = true;
    if (!streaming_) end_arguments_text();
    flush(arguments);
    streaming_ = false;
    return;
  }
  const bool is_text = text_.starts_with('"');
  if (part_ == Part::name) {
    if (!is_text || begun_) return fail();
    name_ = unquoted(text_);
    if (name_.empty() || name_.size() > limits_->name_bytes) return fail();
    if (strict_ && !tools_.empty() && find_tool(tools_, name_) == nullptr) return fail();
  } else if (part_ == Part::id) {
    id_ = is_text ? unquoted(text_) : text_;
    if (id_.size() > limits_->name_bytes) return fail();
  }
  if (have_arguments_) flush(arguments);
}

// Arguments that are no object: null for none, or an object within a string.
void ObjectReader::end_arguments_text() {
  if (text_ == "null") {
    arguments_ = "{}";
    return;
  }
  if (!text_.starts_with('"')) return fail();
  std::string inner = unquoted(text_);
  if (trim(inner).empty()) inner = "{}";
  if (!trim(inner).starts_with('{') || !is_json(inner, limits_->depth)) return fail();
  arguments_ = std::move(inner);
}

void ObjectReader::end_object(std::string& arguments) {
  if (name_.empty() || (strict_ && !have_arguments_)) return fail();
  if (!have_arguments_) arguments_ = "{}";
  flush(arguments);
}

// Hands over what is known of the arguments, once the name is.
void ObjectReader::flush(std::string& arguments) {
  if (name_.empty()) return;
  begun_ = true;
  arguments += arguments_;
  arguments_.clear();
}

}  // namespace medlar::reply
