// The format of a model's answers, told from its chat template.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/reply/parser.h"

namespace medlar::reply {

// `special_tokens`: the texts of the vocabulary's special tokens, which decide where the template says
// nothing.
ReplyFormat detect(std::string_view template_source, std::span<const std::string> special_tokens = {});

}  // namespace medlar::reply
