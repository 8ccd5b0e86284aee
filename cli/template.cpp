// medlar template: a conversation as the model reads it.
#include <memory>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "text/chat_template.h"

namespace medlar::cli {
namespace {

struct TemplateCommand {
  std::string model, file, messages, tools, variables;
  bool no_generation_prompt = false;

  void run(const Console& console) const {}
};

}  // namespace

void add_template(CLI::App& program, const Console& console) {
  auto options = std::make_shared<TemplateCommand>();
  CLI::App* command = add_command(program, "template", "Print a conversation as the model reads it",
                                  "medlar template -m smollm2:135m --messages messages.json");
  CLI::Option* model = command->add_option("-m,--model", options->model, "Whose template");
  model->type_name("MODEL");
  command->add_option("--template", options->file, "A Jinja template instead of a model's own")
      ->type_name("FILE")
      ->excludes(model);
  command->add_option("--messages", options->messages, "The messages, a JSON list")
      ->required()
      ->type_name("FILE");
  command->add_option("--tools", options->tools, "The tools, a JSON list")->type_name("FILE");
  command->add_option("--vars", options->variables, "Further variables of the template, a JSON object")
      ->type_name("FILE");
  command->add_flag("--no-generation-prompt", options->no_generation_prompt, "End after the last message");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
