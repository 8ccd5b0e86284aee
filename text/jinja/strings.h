// Python's string operations on UTF-8: positions are code points, white space is Unicode's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "text/jinja/text_builder.h"
#include "text/jinja/value.h"

namespace medlar::jinja {

// start, start + step, ...: `count` positions within a sequence.
struct Slice {
  std::int64_t start = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};
// Python's slice.indices; unset bounds are the ends. Throws Error(usage) when step is 0.
Slice resolve_slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                    std::optional<std::int64_t> step, std::size_t length);

// Byte offset of a code point; index <= length.
std::size_t offset_of(const Str& s, std::size_t index);
std::string_view character_at(const Str& s, std::size_t index);
// Code points [first, last).
std::string_view span_of(const Str& s, std::size_t first, std::size_t last);
void append_slice(TextBuilder& out, const Str& s, const Slice& slice);
// The text backwards, character by character.
void append_reversed(TextBuilder& out, std::string_view text);

enum class Side { left, right, both };
// Without `chars`, strips white space; else any of the characters in it.
std::string_view strip(std::string_view text, std::optional<std::string_view> chars, Side side);

inline constexpr std::int64_t kNoLimit = -1;
// The parts go to `each`; functions named from_right deliver them last first.
using EachPart = std::function<void(std::string_view)>;
// Splits at runs of white space, dropping it at the ends.
void split_words(std::string_view text, std::int64_t max_splits, const EachPart& each);
void split_words_from_right(std::string_view text, std::int64_t max_splits, const EachPart& each);
// The separator is not empty.
void split_on(std::string_view text, std::string_view separator, std::int64_t max_splits,
              const EachPart& each);
void split_on_from_right(std::string_view text, std::string_view separator, std::int64_t max_splits,
                         const EachPart& each);
void split_lines(std::string_view text, bool keep_ends, const EachPart& each);

// Occurrences that do not overlap; of the empty string, one around every character.
std::size_t count_of(std::string_view text, std::string_view part);
// At most `max` replacements; any number when it is negative.
void append_replaced(TextBuilder& out, std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t max);

// Fills up to `width` code points with `fill` (one character): `left` puts the text at the left.
void append_justified(TextBuilder& out, std::string_view text, std::int64_t width, std::string_view fill,
                      Side text_side);
std::size_t code_point_count(std::string_view text);

// & < > ' " as HTML character references.
void append_escaped(TextBuilder& out, std::string_view text);

}  // namespace medlar::jinja
