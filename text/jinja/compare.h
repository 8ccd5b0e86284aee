// Python's ==, ordering, hashing and truth.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/jinja/value.h"

namespace medlar::jinja {

enum class Ordering { lt, le, gt, ge };

bool equal(const Value& a, const Value& b);
// Throws Error(usage) for types that have no order.
bool ordered(Ordering op, const Value& a, const Value& b);
inline bool less(const Value& a, const Value& b) { return ordered(Ordering::lt, a, b); }

// Equal values have equal hashes. Throws Error(usage) for lists and dictionaries.
std::size_t hash_of(const Value& value);
std::size_t hash_of(std::string_view text);

bool truthy(Runtime& rt, const Value& value);

}  // namespace medlar::jinja
