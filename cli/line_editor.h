// One line of input at a time: edited with history on a terminal, plain elsewhere.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace medlar::cli {

class LineEditor {
 public:
  // History is read from and kept in `history`, which is made when it does not exist. One editor at a time.
  explicit LineEditor(const std::filesystem::path& history);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class Outcome { line, end, interrupted };
  struct Input {
    Outcome outcome = Outcome::end;
    std::string line;  // without its newline
  };

  // Shows `prompt` and waits. Ctrl-D on an empty line is the end; Ctrl-C interrupts.
  Input read(const std::string& prompt);
  void remember(const std::string& line);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace medlar::cli
