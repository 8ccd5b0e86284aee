// String operations. Where a text is all ASCII, code points are bytes.
#include "text/jinja/strings.h"

#include <algorithm>
#include <vector>

#include "text/jinja/chars.h"

namespace medlar::jinja {
namespace {

using text::CodePoint;
using text::decode_utf8;

bool starts_character(char c) { return (c & 0xC0) != 0x80; }

// Start of the character that ends before `end`.
std::size_t previous(std::string_view text, std::size_t end) {
  do --end;
  while (end > 0 && !starts_character(text[end]));
  return end;
}

std::size_t advance(std::string_view text, std::size_t at, std::size_t characters) {
  while (characters > 0 && at < text.size()) {
    ++at;
    while (at < text.size() && !starts_character(text[at])) ++at;
    --characters;
  }
  return at;
}

bool strippable(std::string_view character, std::optional<std::string_view> chars) {
  if (!chars) return is_space(decode_utf8(character, 0).value);
  return chars->find(character) != std::string_view::npos;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint c = decode_utf8(text, at);
    if (!is_space(c.value)) break;
    at += c.length;
  }
  return at;
}

std::size_t skip_word(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint c = decode_utf8(text, at);
    if (is_space(c.value)) break;
    at += c.length;
  }
  return at;
}

std::size_t skip_back(std::string_view text, std::size_t end, bool spaces) {
  while (end > 0) {
    const std::size_t at = previous(text, end);
    if (is_space(decode_utf8(text, at).value) != spaces) break;
    end = at;
  }
  return end;
}

}  // namespace

Slice resolve_slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                    std::optional<std::int64_t> step, std::size_t length) {
  const std::int64_t stride = step.value_or(1);
  if (stride == 0) fail(ErrorKind::usage, "slice step cannot be zero");
  const auto size = static_cast<std::int64_t>(length);
  const std::int64_t low = stride > 0 ? 0 : -1;
  const std::int64_t high = stride > 0 ? size : size - 1;
  const auto bound = [&](std::optional<std::int64_t> v, std::int64_t otherwise) {
    if (!v) return otherwise;
    return *v < 0 ? std::max(*v + size, low) : std::min(*v, high);
  };
  const std::int64_t first = bound(start, stride > 0 ? low : high);
  const std::int64_t last = bound(stop, stride > 0 ? high : low);
  const std::int64_t distance = stride > 0 ? last - first : first - last;
  if (distance <= 0) return {.start = first, .step = stride, .count = 0};
  // |step| as unsigned: the most negative step has no positive counterpart.
  const std::uint64_t size_of_step =
      stride > 0 ? static_cast<std::uint64_t>(stride) : 0 - static_cast<std::uint64_t>(stride);
  const auto count = static_cast<std::int64_t>((static_cast<std::uint64_t>(distance) - 1) / size_of_step + 1);
  return {.start = first, .step = stride, .count = count};
}

std::size_t offset_of(const Str& s, std::size_t index) {
  return s.ascii() ? index : advance(s.text, 0, index);
}

std::string_view character_at(const Str& s, std::size_t index) {
  const std::size_t at = offset_of(s, index);
  return std::string_view(s.text).substr(at, advance(s.text, at, 1) - at);
}

std::string_view span_of(const Str& s, std::size_t first, std::size_t last) {
  if (first >= last) return {};
  const std::size_t begin = offset_of(s, first);
  const std::size_t end = s.ascii() ? last : advance(s.text, begin, last - first);
  return std::string_view(s.text).substr(begin, end - begin);
}

void append_slice(TextBuilder& out, const Str& s, const Slice& slice) {
  if (slice.count == 0) return;
  const auto first = static_cast<std::size_t>(slice.start);
  const auto count = static_cast<std::size_t>(slice.count);
  if (slice.step == 1) {
    out.append(span_of(s, first, first + count));
  } else if (s.ascii()) {
    for (std::int64_t i = 0; i < slice.count; ++i) {
      out.append(s.text[static_cast<std::size_t>(slice.start + i * slice.step)]);
    }
  } else {
    std::vector<std::size_t> offsets;
    offsets.reserve(s.length);
    for (std::size_t at = 0; at < s.text.size(); at = advance(s.text, at, 1)) offsets.push_back(at);
    for (std::int64_t i = 0; i < slice.count; ++i) {
      const std::size_t at = offsets[static_cast<std::size_t>(slice.start + i * slice.step)];
      out.append(std::string_view(s.text).substr(at, advance(s.text, at, 1) - at));
    }
  }
}

void append_reversed(TextBuilder& out, std::string_view text) {
  for (std::size_t end = text.size(); end > 0;) {
    const std::size_t at = previous(text, end);
    out.append(text.substr(at, end - at));
    end = at;
  }
}

std::string_view strip(std::string_view text, std::optional<std::string_view> chars, Side side) {
  while (side != Side::right && !text.empty()) {
    const std::size_t length = advance(text, 0, 1);
    if (!strippable(text.substr(0, length), chars)) break;
    text.remove_prefix(length);
  }
  while (side != Side::left && !text.empty()) {
    const std::size_t at = previous(text, text.size());
    if (!strippable(text.substr(at), chars)) break;
    text = text.substr(0, at);
  }
  return text;
}

void split_words(std::string_view text, std::int64_t max_splits, const EachPart& each) {
  std::size_t at = skip_space(text, 0);
  for (std::int64_t splits = 0; at < text.size(); ++splits) {
    if (splits == max_splits) {
      each(strip(text.substr(at), std::nullopt, Side::right));
      return;
    }
    const std::size_t end = skip_word(text, at);
    each(text.substr(at, end - at));
    at = skip_space(text, end);
  }
}

void split_words_from_right(std::string_view text, std::int64_t max_splits, const EachPart& each) {
  std::size_t end = skip_back(text, text.size(), true);
  for (std::int64_t splits = 0; end > 0; ++splits) {
    if (splits == max_splits) {
      each(strip(text.substr(0, end), std::nullopt, Side::left));
      return;
    }
    const std::size_t at = skip_back(text, end, false);
    each(text.substr(at, end - at));
    end = skip_back(text, at, true);
  }
}

void split_on(std::string_view text, std::string_view separator, std::int64_t max_splits,
              const EachPart& each) {
  for (std::int64_t splits = 0; splits != max_splits; ++splits) {
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos) break;
    each(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  each(text);
}

void split_on_from_right(std::string_view text, std::string_view separator, std::int64_t max_splits,
                         const EachPart& each) {
  for (std::int64_t splits = 0; splits != max_splits; ++splits) {
    const std::size_t at = text.rfind(separator);
    if (at == std::string_view::npos) break;
    each(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  each(text);
}

void split_lines(std::string_view text, bool keep_ends, const EachPart& each) {
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    if (!is_line_end(c.value)) {
      at += c.length;
      continue;
    }
    const bool pair = c.value == '\r' && at + 1 < text.size() && text[at + 1] == '\n';
    const std::size_t next = at + (pair ? 2 : c.length);
    each(text.substr(start, (keep_ends ? next : at) - start));
    start = at = next;
  }
  if (start < text.size()) each(text.substr(start));
}

std::size_t count_of(std::string_view text, std::string_view part) {
  if (part.empty()) return code_point_count(text) + 1;
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

void append_replaced(TextBuilder& out, std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t max) {
  std::int64_t done = 0;
  const auto more = [&] { return max < 0 || done < max; };
  if (from.empty()) {
    while (more()) {
      out.append(to);
      ++done;
      if (text.empty()) return;
      const std::size_t length = advance(text, 0, 1);
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
    out.append(text);
    return;
  }
  while (more()) {
    const std::size_t at = text.find(from);
    if (at == std::string_view::npos) break;
    out.append(text.substr(0, at));
    out.append(to);
    text.remove_prefix(at + from.size());
    ++done;
  }
  out.append(text);
}

void append_justified(TextBuilder& out, std::string_view text, std::int64_t width, std::string_view fill,
                      Side text_side) {
  const auto length = static_cast<std::int64_t>(code_point_count(text));
  const std::int64_t missing = std::max<std::int64_t>(0, width - length);
  // Of an odd number of fill characters, the extra one goes left when the width is odd.
  const std::int64_t centred = missing / 2 + (missing & width & 1);
  const std::int64_t before = text_side == Side::left ? 0 : (text_side == Side::right ? missing : centred);
  out.repeat(fill, static_cast<std::size_t>(before));
  out.append(text);
  out.repeat(fill, static_cast<std::size_t>(missing - before));
}

std::size_t code_point_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

void append_escaped(TextBuilder& out, std::string_view text) {
  for (std::size_t at = 0;;) {
    const std::size_t special = text.find_first_of("&<>'\"", at);
    out.append(text.substr(at, special - at));
    if (special == std::string_view::npos) return;
    switch (text[special]) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.append("&#34;");
    }
    at = special + 1;
  }
}

}  // namespace medlar::jinja
