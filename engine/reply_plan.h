// What an answer is made of, for an engine that takes it apart as it is written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/reply/parser.h"

namespace medlar {

struct ReplyPlan {
  reply::ReplyFormat format;
  reply::ReplyOptions options = {};
  // The grammar holds once one of these has been said outside of reasoning, and begins with it; none: it
  // holds from the start. Special tokens are spelled as grammar::token_bytes().
  std::vector<std::string> triggers = {};
  bool trigger_at_start = false;  // only where the content begins
  // Tokens of reasoning after which `reasoning_end` is said for the model; -1: no limit.
  std::int64_t reasoning_budget = -1;
  std::vector<std::int32_t> reasoning_end = {};
};

}  // namespace medlar
