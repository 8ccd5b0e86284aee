// Tool calls as the text in which a model writes them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/reply/format.h"
#include "text/reply/reply.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {

// Reading the text gives the calls again; where the format has no ids, they come back empty. Throws
// Error(usage) for arguments that are no JSON object, Error(unsupported) for what the format cannot write: a
// value that contains the marker which would end it, or a name of other characters than names have.
std::string render(const CallFormat& format, std::span<const Call> calls);

// A JSON value in the notation of $keywords or $pairs. Throws as render().
std::string render_value(std::string_view json, const CallLayout& layout, Notation notation);

}  // namespace medlar::reply
