#include "cli/line_editor.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string_view>
#include <system_error>

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

namespace medlar::cli {
namespace {

constexpr int kHistoryLines = 1000;

struct CloseEditor {
  void operator()(EditLine* editor) const { el_end(editor); }
};
struct CloseHistory {
  void operator()(History* history) const { history_end(history); }
};

}  // namespace

struct LineEditor::Impl {
  std::filesystem::path path;
  std::string prompt;
  bool interrupted = false;
  std::unique_ptr<History, CloseHistory> history;  // outlives the editor that reads it
  std::unique_ptr<EditLine, CloseEditor> editor;   // null: input is no terminal
};

namespace {

LineEditor::Impl& owner(EditLine* editor) {
  void* data = nullptr;
  el_get(editor, EL_CLIENTDATA, &data);
  return *static_cast<LineEditor::Impl*>(data);
}

char* current_prompt(EditLine* editor) { return owner(editor).prompt.data(); }

unsigned char interrupt(EditLine* editor, int) {
  owner(editor).interrupted = true;
  return CC_EOF;
}

unsigned char suspend(EditLine* editor, int) {
  el_set(editor, EL_PREP_TERM, 0);
  std::raise(SIGTSTP);
  el_set(editor, EL_PREP_TERM, 1);
  return CC_REDISPLAY;
}

}  // namespace

LineEditor::LineEditor(const std::filesystem::path& history) : impl_(std::make_unique<Impl>()) {
  impl_->path = history;
  if (isatty(STDIN_FILENO) != 1) return;
  impl_->history.reset(history_init());
  impl_->editor.reset(el_init("medlar", stdin, stdout, stderr));
  if (!impl_->editor || !impl_->history) {
    impl_->editor.reset();
    return;
  }
  HistEvent event;
  ::history(impl_->history.get(), &event, H_SETSIZE, kHistoryLines);
  ::history(impl_->history.get(), &event, H_SETUNIQUE, 1);
  ::history(impl_->history.get(), &event, H_LOAD, impl_->path.c_str());
  el_set(impl_->editor.get(), EL_CLIENTDATA, impl_.get());
  el_set(impl_->editor.get(), EL_PROMPT, current_prompt);
  el_set(impl_->editor.get(), EL_EDITOR, "emacs");
  el_set(impl_->editor.get(), EL_HIST, ::history, impl_->history.get());
  el_set(impl_->editor.get(), EL_SIGNAL, 0);
  // While a line is edited Ctrl-C is a key: a signal that comes just before the read would not end it.
  el_set(impl_->editor.get(), EL_SETTY, "-d", "-isig", nullptr);
  el_set(impl_->editor.get(), EL_ADDFN, "interrupt", "Give the line up", interrupt);
  el_set(impl_->editor.get(), EL_ADDFN, "suspend", "Stop the program until it is continued", suspend);
  el_set(impl_->editor.get(), EL_BIND, "^C", "interrupt", nullptr);
  el_set(impl_->editor.get(), EL_BIND, "^Z", "suspend", nullptr);
}

LineEditor::~LineEditor() = default;

LineEditor::Input LineEditor::read(const std::string& prompt) {
  if (!impl_->editor) {
    Input input;
    if (std::getline(std::cin, input.line)) input.outcome = Outcome::line;
    return input;
  }
  impl_->prompt = prompt;
  impl_->interrupted = false;
  // Before the prompt is drawn, which it otherwise follows: what is typed at a prompt is for the editor.
  el_set(impl_->editor.get(), EL_PREP_TERM, 1);
  int length = 0;
  errno = 0;
  const char* text = el_gets(impl_->editor.get(), &length);
  if (!text) {
    const bool interrupted = impl_->interrupted || errno == EINTR;
    el_reset(impl_->editor.get());
    return {interrupted ? Outcome::interrupted : Outcome::end, {}};
  }
  std::string_view line(text, static_cast<std::size_t>(length));
  if (line.ends_with('\n')) line.remove_suffix(1);
  return {Outcome::line, std::string(line)};
}

void LineEditor::remember(const std::string& line) {
  if (!impl_->editor || line.empty()) return;
  HistEvent event;
  ::history(impl_->history.get(), &event, H_ENTER, line.c_str());
  // What people ask is theirs alone. A history that cannot be kept is no reason to stop.
  std::error_code ignored;
  std::filesystem::create_directories(impl_->path.parent_path(), ignored);
  const mode_t before = umask(0077);
  ::history(impl_->history.get(), &event, H_SAVE, impl_->path.c_str());
  umask(before);
}

}  // namespace medlar::cli
