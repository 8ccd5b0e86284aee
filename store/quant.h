// Names of quantizations as they stand in file names: "Q4_K_M", "IQ4_XS", "BF16", "UD-Q4_K_XL".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace medlar::store {

// The name in upper case, or nothing when `text` is not one.
std::optional<std::string> parse_quant(std::string_view text);

// The quantization a file name tells, looking from its end: "m-7b.Q4_K_M.gguf", "M-Q8_0-00001-of-00002.gguf".
std::optional<std::string> quant_in_file_name(std::string_view file_name);

// What to take where the user did not say, best first: the usual balance of size and quality, then better,
// then smaller.
std::span<const std::string_view> preferred_quants();

}  // namespace medlar::store
