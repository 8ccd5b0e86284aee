// The streamed text of an answer in, its parts out.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/reply/format.h"
#include "text/reply/reply.h"
#include "text/reply/run_reader.h"

namespace medlar::reply {

// How one model writes its answers; detect() finds it.
struct ReplyFormat {
  const CallFormat* calls;
  const ReasoningFormat* reasoning;
  // Texts of the vocabulary's special tokens: what push() is told to be special. A marker that is one of them
  // counts only where it was sampled as that token; one that is not counts wherever it is spelled.
  std::vector<std::string> special_tokens = {};
  bool template_has_tools = false;  // the chat template describes tools itself
  bool template_has_calls = false;  // and writes the calls of earlier turns
};

struct ReplyOptions {
  std::vector<Tool> tools = {};
  bool parse_calls = true;      // otherwise calls are content
  bool split_reasoning = true;  // otherwise reasoning is content, with its markers
  std::string opened = {};      // what opened_by() found at the prompt's end
  Limits limits = {};
};

// What of the prompt's end belongs to the answer: the marker of reasoning that is open, or of a first part.
std::string opened_by(const ReplyFormat& format, std::string_view prompt);

// However a text is cut into pieces, the deltas of each kind concatenate to the same texts, and reply() is
// the same. Time is linear in the text. White space next to markers belongs to neither content nor reasoning,
// and special tokens that are no markers are left out of both.
class ReplyParser {
 public:
  explicit ReplyParser(const ReplyFormat& format, ReplyOptions options = {});
  ReplyParser(const ReplyParser&) = delete;
  ReplyParser& operator=(const ReplyParser&) = delete;

  // `piece` is whole UTF-8; `special`: it is the text of one special token.
  std::vector<Delta> push(std::string_view piece, bool special = false);
  // The end of the answer.
  std::vector<Delta> finish();

  // So far; whole after finish().
  const Reply& reply() const { return reply_; }
  // Of all that was pushed.
  bool in_reasoning() const { return in_reasoning_; }
  bool in_calls() const { return run_.has_value(); }

 private:
  struct Marker {
    enum class Kind { reasoning, end_of_reasoning, calls, dropped };
    std::string_view text;
    Kind kind;
    std::size_t program = 0;    // of calls
    bool in_reasoning = false;  // looked for within reasoning too
    bool only_special = false;
  };
  enum class Match { none, undecided, entered };
  // A special token's place in text_.
  struct Special {
    std::size_t begin, end;
  };

  void add_marker(Marker marker);
  void add_markers(const ReplyFormat& format);
  void advance(bool last);
  bool scan(bool last);
  Match match(std::size_t at, bool last);
  bool matches(const Marker& marker, std::size_t at) const;
  bool looked_for(const Marker& marker) const;
  void enter(const Marker& marker, std::size_t at);
  bool try_unmarked(std::size_t at);
  void end_reasoning();
  void next_attempt();
  bool run(bool last);
  void handle(const RunReader::Event& event);
  void end_run();
  void fail_run(bool at_end);

  void emit(std::size_t end);
  void content(std::string_view text);
  void reasoning(std::string_view text);
  void put(Delta::Kind kind, std::string text);

  ReplyOptions options_;
  std::vector<std::string> special_tokens_;
  std::vector<Program> programs_;
  std::vector<Marker> markers_;        // longest first
  std::array<bool, 256> starts_ = {};  // first bytes of markers

  Reply reply_;
  std::vector<Delta> out_;
  std::string text_;        // all, after what the prompt had opened
  std::size_t hidden_ = 0;  // bytes of the latter
  std::size_t pos_ = 0;     // all before it has been dealt with
  std::vector<Special> specials_;
  std::size_t next_special_ = 0;

  bool in_reasoning_ = false;
  bool at_start_ = true;       // nothing but white space and calls so far: a call needs no marker
  bool trim_content_ = false;  // white space before the content is dropped
  std::string content_gap_;    // white space that is content only if more follows
  bool trim_reasoning_ = false;
  std::string reasoning_gap_;

  std::optional<RunReader> run_;
  std::size_t run_begin_ = 0;
  std::vector<std::size_t> attempts_;  // programs still to be tried at run_begin_, the last one first
  bool marked_ = false;                // the run began at a marker
  bool announced_ = false;             // the call being read
  std::size_t next_index_ = 0;
};

}  // namespace medlar::reply
