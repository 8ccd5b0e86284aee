// Reading parts of values: value.name, value[key], value[a:b:c].
#pragma once

#include <optional>
#include <string_view>

#include "text/jinja/member.h"
#include "text/jinja/runtime.h"

namespace medlar::jinja {

// value.name: the attribute, else the item of that name, else undefined.
Value get_attribute(Runtime& rt, const Value& value, const Member& member);
// value[key]: the item, else the attribute of that name, else undefined. `member` is the key's, where known.
Value get_item(Runtime& rt, const Value& value, const Value& key, const Member* member = nullptr);
// Unset bounds are None.
Value get_slice(Runtime& rt, const Value& value, const Value& start, const Value& stop, const Value& step);
// The attribute alone; unset when there is none.
Value find_attribute(Runtime& rt, const Value& value, const Member& member);

// Undefined because `value` has no such attribute or item.
Value missing_member(const Value& value, const Value& key);

// A path of names and numbers, as in "user.tags.0": how filters look up attributes of items.
class AttributePath {
 public:
  // `attribute`: a string, an int, or None for the item itself.
  explicit AttributePath(const Value& attribute);
  // Where a step is undefined and `fallback` is neither unset nor None, the walk goes on from that.
  Value of(Runtime& rt, const Value& item, const Value& fallback = {}) const;

 private:
  std::vector<Value> steps_;
};

}  // namespace medlar::jinja
