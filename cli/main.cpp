// The medlar program.
#include <clocale>
#include <span>

#include "cli/app.h"

int main(int argc, char** argv) {
  // Only the character set: numbers keep their points.
  std::setlocale(LC_CTYPE, "");
  const auto console = medlar::cli::Console::probe();
  return medlar::cli::run(std::span<const char* const>(argv, static_cast<std::size_t>(argc)).subspan(1),
                          console);
}
