// What a terminal can do, and text that is safe and narrow enough to show on it.
#pragma once

#include <string>
#include <string_view>

namespace medlar::cli {

// Facts about one output. Colours need a terminal that has them and no NO_COLOR (no-color.org).
struct Terminal {
  bool interactive = false;
  bool colour = false;
  int columns = 80;
};
Terminal probe_terminal(int descriptor);

enum class Style { plain, bold, dim, red };
// The text in that style; the text itself where the terminal has no colours.
std::string styled(const Terminal& terminal, Style style, std::string_view text);

// The text with nothing in it that drives a terminal: controls other than newline and tab become their
// Unicode pictures (U+2400 and up) or U+FFFD, as do broken UTF-8 and bidirectional overrides. The input is
// whole characters.
std::string visible(std::string_view text);

// Columns that valid UTF-8 text takes: wide characters two, combining ones none.
int display_width(std::string_view text);
// The text cut to at most `columns`, ending in "…" where something was cut.
std::string fit(std::string_view text, int columns);

}  // namespace medlar::cli
