// Which of a few special names a body reads before assigning them: whether a macro uses `caller`, a loop
// `loop`.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"

namespace medlar::jinja {

// Those of `names` that the statements read, nested macros included, where no assignment stands before.
std::vector<std::string_view> mentioned(const Body& body, std::span<const std::string_view> names);

// Whether anything in the loop assigns to a variable called `loop`.
bool assigns_loop(const Loop& loop);
// Whether a scoped block stands anywhere in it.
bool has_scoped_block(const Body& body);

}  // namespace medlar::jinja
