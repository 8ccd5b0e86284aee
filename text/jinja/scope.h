// Which variable a name means. Jinja decides that before a template runs: every frame (the template, the body
// of a loop, a macro, ...) owns the names assigned in it, starting from the value around it; names that no
// frame around assigns come from the context. Variables become slots of an activation; macros keep the
// activation they were made in, and see its later assignments.
#pragma once

#include "text/jinja/ast.h"

namespace medlar::jinja {

// Resolves every name of the program to a slot and fills in its frames.
// Throws Error(bad_file) for what only shows now: filters and tests that do not exist where Jinja would
// notice without running, break and continue outside loops, assignments to a loop's `loop`.
void bind_names(Program& program);

}  // namespace medlar::jinja
