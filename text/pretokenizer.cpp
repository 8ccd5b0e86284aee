// Splitting by PCRE2's compiled patterns. PCRE2 is only ever shown well-formed UTF-8.
#include "text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <string>
#include <utility>

#include <pcre2.h>
#include <utf8proc.h>

#include "base/assert.h"
#include "base/error.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

struct FreePattern {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
struct FreeContext {
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
using Pattern = std::unique_ptr<pcre2_code, FreePattern>;

// What one thread needs to match.
struct Matcher {
  std::unique_ptr<pcre2_match_data, FreeMatch> data{pcre2_match_data_create(1, nullptr)};
  std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};

  Matcher() {
    if (!data || !context) fail(ErrorKind::out_of_memory, "no memory to split text into words");
    // The patterns are linear; the limit counts every character of a long word that one gives back.
    pcre2_set_match_limit(context.get(), UINT32_MAX);
  }
};

// PCRE2's own \s also takes U+180E, which has not been white space since Unicode 6.3.
std::string with_white_space(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out.push_back(pattern[i]);
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's') {
      out += "\\p{wspace}";
    } else if (escaped == 'S') {
      out += "\\P{wspace}";
    } else {
      out.push_back('\\');
      out.push_back(escaped);
    }
  }
  return out;
}

Pattern compile(std::string_view pattern) {
  const std::string source = with_white_space(pattern);
  int error = 0;
  PCRE2_SIZE at = 0;
  Pattern code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                             PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
  if (!code)
    fail(ErrorKind::unsupported, "this PCRE2 cannot compile '{}': error {} at {}", source, error, at);
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it matching still works, several times slower
  return code;
}

bool is_digit(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}

// A character of \w in the engines that these tokenizers come from: letters, marks, digits, connectors.
bool is_word(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return false;
  }
}

// Appends the end of each piece, each once.
class Ends {
 public:
  Ends(std::vector<std::uint32_t>& out, std::size_t begin) : out_(out), last_(begin) {}
  void add(std::size_t end) {
    if (end == last_) return;
    out_.push_back(static_cast<std::uint32_t>(end));
    last_ = end;
  }

 private:
  std::vector<std::uint32_t>& out_;
  std::size_t last_;
};

// Cuts text[begin, end) around each match.
void split_at_matches(const pcre2_code* code, const Matcher& matcher, std::string_view piece,
                      std::size_t begin, Ends& ends) {
  const auto match_from = [&](std::size_t at, std::uint32_t options) {
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), at,
                       PCRE2_NO_UTF_CHECK | options, matcher.data.get(), matcher.context.get());
  };
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer(matcher.data.get());
  std::size_t at = 0;
  while (at < piece.size()) {
    int found = match_from(at, 0);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match_from(at, PCRE2_NO_JIT);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0)
      fail(ErrorKind::limit, "splitting {} bytes of text into words failed: PCRE2 error {}", piece.size(),
           found);
    MEDLAR_ASSERT(span[1] > at);  // no pattern of ours matches the empty string
    ends.add(begin + span[0]);
    ends.add(begin + span[1]);
    at = span[1];
  }
  ends.add(begin + piece.size());
}

// Cuts every run of digits into threes from the right; with `whole_words` only runs that no word character
// follows.
void split_triples(std::string_view piece, std::size_t begin, bool whole_words, Ends& ends) {
  std::vector<std::size_t> digits;  // offsets of the run's digits
  for (std::size_t at = 0; at <= piece.size();) {
    const CodePoint c = at < piece.size() ? decode_utf8(piece, at) : CodePoint{};
    const bool inside = at < piece.size();
    if (inside && is_digit(c.value)) {
      digits.push_back(at);
      at += c.length;
      continue;
    }
    if (!digits.empty() && !(whole_words && inside && is_word(c.value))) {
      // The published patterns differ: word_triples match whole groups, triples the empty string before a
      // group.
      std::size_t i = digits.size() % 3;
      if (i != 0 && whole_words) ends.add(begin + digits[0]);
      for (; i < digits.size(); i += 3) ends.add(begin + digits[i]);
      if (whole_words) ends.add(begin + at);
    }
    digits.clear();
    at += inside ? c.length : 1;
  }
  ends.add(begin + piece.size());
}

}  // namespace

struct PreTokenizer::Step {
  SplitStep::Kind kind;
  Pattern pattern;
};

PreTokenizer::PreTokenizer(std::span<const SplitStep> steps) {
  for (const SplitStep& step : steps) {
    steps_.push_back({step.kind, step.kind == SplitStep::Kind::pattern ? compile(step.pattern) : nullptr});
  }
}

PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;

void PreTokenizer::split_valid(std::string_view text, std::vector<std::uint32_t>& ends) const {
  ends.assign(1, static_cast<std::uint32_t>(text.size()));
  const Matcher matcher;
  std::vector<std::uint32_t> next;
  for (const Step& step : steps_) {
    next.clear();
    Ends out(next, 0);
    std::size_t begin = 0;
    for (const std::uint32_t end : ends) {
      const std::string_view piece = text.substr(begin, end - begin);
      if (step.pattern) {
        split_at_matches(step.pattern.get(), matcher, piece, begin, out);
      } else {
        split_triples(piece, begin, step.kind == SplitStep::Kind::word_triples, out);
      }
      begin = end;
    }
    std::swap(ends, next);
  }
}

void PreTokenizer::split(std::string_view text, std::vector<std::uint32_t>& ends) const {
  ends.clear();
  if (text.empty()) return;
  std::size_t valid = valid_utf8_prefix(text);
  if (valid == text.size()) return split_valid(text, ends);

  std::string repaired(text.substr(0, valid));
  std::vector<std::uint32_t>
      repairs;  // offsets in `repaired` of characters that stand for one byte of `text`
  while (valid < text.size()) {
    repairs.push_back(static_cast<std::uint32_t>(repaired.size()));
    repaired += kReplacementUtf8;
    const std::string_view rest = text.substr(valid + 1);
    const std::size_t more = valid_utf8_prefix(rest);
    repaired += rest.substr(0, more);
    valid += 1 + more;
    if (repaired.size() > UINT32_MAX / 2) {
      fail(ErrorKind::limit, "{} bytes of text that is not UTF-8: too much to split into words", text.size());
    }
  }
  split_valid(repaired, ends);
  std::size_t before = 0;  // repairs before the end being mapped back
  for (std::uint32_t& end : ends) {
    while (before < repairs.size() && repairs[before] < end) ++before;
    end -= static_cast<std::uint32_t>(before * (kReplacementUtf8.size() - 1));
  }
}

}  // namespace medlar::text
