// Tool calls as the text in which a model writes them.
#pragma once

#include <span>
#include <string>

#include "text/reply/format.h"
#include "text/reply/reply.h"

namespace medlar::reply {

// Reading the text gives the calls again; where the format has no ids, they come back empty. Throws
// Error(usage) for arguments that are no JSON object, Error(unsupported) for what the format cannot write: a
// value that contains the marker which would end it, or a name of other characters than names have.
std::string render(const CallFormat& format, std::span<const Call> calls);

}  // namespace medlar::reply
