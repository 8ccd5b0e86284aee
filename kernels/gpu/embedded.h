// The text of the kernels' sources, put into the program by the build (embed.cmake).
#pragma once

#include <string_view>

namespace medlar::gpu {

// By path from the repository's root. The file must be one that the build embeds; its text ends with a
// newline.
std::string_view embedded_file(std::string_view path);

}  // namespace medlar::gpu
