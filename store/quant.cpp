#include "store/quant.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace medlar::store {
namespace {

constexpr std::array<std::string_view, 47> kQuants = {
    "F32",     "F16",     "BF16",   "Q8_0",    "Q4_0",   "Q4_1",   "Q5_0",    "Q5_1",    "Q2_K",   "Q2_K_S",
    "Q2_K_L",  "Q2_K_XL", "Q3_K",   "Q3_K_S",  "Q3_K_M", "Q3_K_L", "Q3_K_XL", "Q4_K",    "Q4_K_S", "Q4_K_M",
    "Q4_K_L",  "Q4_K_XL", "Q5_K",   "Q5_K_S",  "Q5_K_M", "Q5_K_L", "Q5_K_XL", "Q6_K",    "Q6_K_L", "Q6_K_XL",
    "Q8_K_XL", "IQ1_S",   "IQ1_M",  "IQ2_XXS", "IQ2_XS", "IQ2_S",  "IQ2_M",   "IQ3_XXS", "IQ3_XS", "IQ3_S",
    "IQ3_M",   "IQ4_XS",  "IQ4_NL", "TQ1_0",   "TQ2_0",  "MXFP4",  "NVFP4",
};

constexpr std::array<std::string_view, 14> kPreferred = {
    "Q4_K_M", "Q4_K_S", "Q4_K_XL", "UD-Q4_K_XL", "Q4_1", "Q4_0", "MXFP4",
    "IQ4_XS", "Q5_K_M", "Q6_K",    "Q8_0",       "BF16", "F16",  "Q3_K_M",
};

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

}  // namespace

std::optional<std::string> parse_quant(std::string_view text) {
  if (text.size() > 16) return std::nullopt;
  std::string name = upper(text);
  std::string_view base = name;
  if (base.starts_with("UD-")) base.remove_prefix(3);
  if (std::ranges::find(kQuants, base) == kQuants.end()) return std::nullopt;
  return name;
}

std::optional<std::string> quant_in_file_name(std::string_view file_name) {
  constexpr std::string_view kBoundaries = "-._/ ";
  // Every start after a boundary, to every end before one: the last start, then the longest name, wins.
  for (std::size_t start = file_name.size(); start-- > 0;) {
    if (start > 0 && kBoundaries.find(file_name[start - 1]) == std::string_view::npos) continue;
    const std::string_view rest = file_name.substr(start);
    std::optional<std::string> longest;
    for (std::size_t end = 1; end <= std::min<std::size_t>(rest.size(), 16); ++end) {
      if (end < rest.size() && kBoundaries.find(rest[end]) == std::string_view::npos) continue;
      if (auto quant = parse_quant(rest.substr(0, end))) longest = std::move(quant);
    }
    if (!longest) continue;
    const bool dynamic = start >= 3 && upper(file_name.substr(start - 3, 3)) == "UD-";
    return dynamic ? "UD-" + *longest : *longest;
  }
  return std::nullopt;
}

std::span<const std::string_view> preferred_quants() { return kPreferred; }

}  // namespace medlar::store
