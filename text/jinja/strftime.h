// strftime of the C locale.
#pragma once

#include <ctime>
#include <string_view>

#include "text/jinja/text_builder.h"

namespace medlar::jinja {

// Conversions of C and POSIX, and glibc's flags "-" (no padding), "_" (spaces) and "0". Unknown ones stay as
// they are. %z and %Z are empty: the time names no zone.
void append_time(TextBuilder& out, std::string_view format, const std::tm& time);

}  // namespace medlar::jinja
