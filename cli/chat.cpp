// medlar chat: a conversation on the terminal.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/app.h"
#include "cli/commands.h"
#include "cli/conversation.h"
#include "cli/engine_options.h"
#include "cli/generation_options.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/memory_limit.h"
#include "cli/models.h"
#include "cli/stats.h"
#include "cli/tuned_flag.h"

namespace medlar::cli {
namespace {

constexpr std::string_view kHelp =
    "/system TEXT   what the model is told before the conversation; without TEXT, show it\n"
    "/reset         forget the conversation\n"
    "/save FILE     keep the conversation in a file\n"
    "/load FILE     go on with a conversation from a file\n"
    "/stats         what the last answer cost\n"
    "/help          this list\n"
    "/exit          leave; Ctrl-D does too\n"
    "A line that ends in \\ goes on in the next one, and text between two lines \"\"\" is taken as it is.\n"
    "Ctrl-C stops an answer.\n";

// Messages after an optional system message, which is always the first.
class Chat {
 public:
  Chat(std::shared_ptr<Engine> engine, GenerateOptions options, const Console& console)
      : engine_(std::move(engine)),
        session_(engine_->open_session()),
        options_(std::move(options)),
        console_(console) {
    options_.on_text = [this](std::string_view text) { console_.write_foreign(text); };
  }

  void set_system(const std::string& text) {
    const bool present = !messages_.empty() && messages_[0].role == "system";
    if (text.empty()) {
      console_.message(present ? visible(messages_[0].content) : "There is no system message.");
    } else if (present) {
      messages_[0].content = text;
    } else {
      messages_.insert(messages_.begin(), {"system", text});
    }
  }

  void reset() {
    std::erase_if(messages_, [](const Message& message) { return message.role != "system"; });
  }

  void save(const std::string& path) const {
    write_file(path, to_json(messages_));
    console_.message(fmt::format("saved {} messages to {}", messages_.size(), visible(path)));
  }

  void load(const std::string& path) {
    messages_ = messages_from_json(read_input(path), path);
    console_.message(fmt::format("loaded {} messages from {}", messages_.size(), visible(path)));
  }

  void print_stats() const {
    console_.message(last_ ? stats_line(*engine_, *last_) : "There is no answer yet.");
  }

  // A question whose answer fails is forgotten; a stopped answer stays as far as it came.
  void ask(const std::string& text) {
    messages_.push_back({"user", text});
    try {
      last_ = session_.generate(to_tokens(*engine_, messages_), options_);
    } catch (...) {
      messages_.pop_back();
      throw;
    }
    console_.write(last_->text.ends_with('\n') ? "" : "\n");
    messages_.push_back({"assistant", last_->text});
    if (last_->finish == FinishReason::cancelled) console_.message("(stopped)");
    if (last_->finish == FinishReason::length && !last_->message.empty())
      console_.message("note: " + visible(last_->message));
  }

 private:
  static void write_file(const std::string& path, std::string_view content) {
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(content)));
    file.commit();
  }

  std::shared_ptr<Engine> engine_;
  Session session_;
  GenerateOptions options_;
  const Console& console_;
  std::vector<Message> messages_;
  std::optional<Generation> last_;
};

std::string trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) return "";
  return std::string(text.substr(start, text.find_last_not_of(" \t\r") - start + 1));
}

// False when the conversation is over.
bool obey(Chat& chat, const std::string& line, const Console& console) {
  const std::string name = line.substr(0, line.find(' '));
  const std::string argument = trimmed(std::string_view(line).substr(name.size()));
  const auto need_file = [&] {
    if (argument.empty())
      throw Error(ErrorKind::usage, name + " needs a file", "as in " + name + " chat.json");
  };
  if (name == "/exit" || name == "/quit" || name == "/bye") return false;
  if (name == "/help") {
    console.message(kHelp.substr(0, kHelp.size() - 1));
  } else if (name == "/system") {
    chat.set_system(argument);
  } else if (name == "/reset") {
    chat.reset();
    console.message("The conversation is forgotten.");
  } else if (name == "/stats") {
    chat.print_stats();
  } else if (name == "/save") {
    need_file();
    chat.save(argument);
  } else if (name == "/load") {
    need_file();
    chat.load(argument);
  } else {
    throw Error(ErrorKind::usage, fmt::format("there is no {}", name), "/help lists what there is");
  }
  return true;
}

// One message, which may be several lines; nothing at the end of the input.
std::optional<std::string> read_message(LineEditor& editor, const Console& console) {
  constexpr std::string_view kFence = "\"\"\"";
  const std::string prompt = console.input.interactive ? ">>> " : "",
                    more = console.input.interactive ? "... " : "";
  std::string message;
  bool fenced = false, first = true;
  while (true) {
    auto [outcome, line] = editor.read(first ? prompt : more);
    if (outcome == LineEditor::Outcome::interrupted) {
      console.message(first ? "\n(Ctrl-D or /exit leaves)" : "");
      return "";
    }
    if (outcome == LineEditor::Outcome::end) return first ? std::nullopt : std::optional(message);
    editor.remember(line);
    if (trimmed(line) == kFence) {
      if (fenced) return message;
      fenced = true;
    } else {
      const bool continues = !fenced && line.ends_with('\\');
      if (continues) line.pop_back();
      message += message.empty() ? line : "\n" + line;
      if (!fenced && !continues) return message;
    }
    first = false;
  }
}

struct ChatCommand {
  std::string model, system;
  EngineFlags engine;
  MemoryFlag memory;
  TunedFlag tuned;
  GenerationFlags generation;

  void run(const Console& console) const {
    const EngineOptions engine_options = engine.options();
    GenerateOptions options = generation.options();
    store::Store store = open_store();
    const std::string wanted = model.empty() ? best_model(store) : model;
    const store::ResolvedModel resolved = resolve_or_pull(store, wanted, console);
    const TunedFlag::Model model{.path = resolved.path, .open = engine.open(), .limit = memory.value()};
    const auto loaded = memory
                            .load({.path = resolved.path,
                                   .reference = wanted,
                                   .options = tuned.apply(engine_options, model, console)},
                                  Program{.home = store.options().root, .name = "medlar chat"}, console)
                            .engine;
    if (!loaded->chat_template())
      throw Error(ErrorKind::unsupported,
                  fmt::format("{}: a model without a chat template cannot chat", resolved.name),
                  "medlar run --raw continues a text with it");
    Interrupt interrupt;
    options.cancel = &interrupt.flag();
    Chat chat(loaded, options, console);
    if (!system.empty()) chat.set_system(system);
    if (console.input.interactive)
      console.message(
          styled(console.messages, Style::dim,
                 fmt::format("{}. /help lists commands, Ctrl-D leaves.", visible(resolved.name))));
    LineEditor editor(store.options().root / "history");
    while (const auto message = read_message(editor, console)) {
      interrupt.clear();
      const std::string text = trimmed(*message);
      if (text.empty()) continue;
      try {
        if (!text.starts_with('/')) {
          chat.ask(*message);
        } else if (!obey(chat, text, console)) {
          break;
        }
      } catch (const Error& e) {
        console.message(failure_line(e));
      }
      interrupt.clear();
    }
    if (console.input.interactive) console.message("");
  }
};

}  // namespace

void add_chat(CLI::App& program, const Console& console) {
  auto options = std::make_shared<ChatCommand>();
  CLI::App* command = add_command(program, "chat", "Talk with a model", "medlar chat smollm2:135m");
  command
      ->add_option("model", options->model,
                   "Which model, pulled if it is not here; without it the best one that is here")
      ->type_name("MODEL");
  command->add_option("--system", options->system, "What the model is told before the conversation")
      ->type_name("TEXT");
  options->generation.add_to(*command);
  options->engine.add_to(*command);
  options->memory.add_to(*command);
  options->tuned.add_to(*command);
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
