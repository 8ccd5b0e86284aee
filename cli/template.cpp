// medlar template: a conversation as the model reads it.
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/models.h"
#include "huggingface/open.h"
#include "models/tokenizer_spec.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace medlar::cli {
namespace {

boost::json::array read_list(const std::string& path, std::string_view field) {
  boost::json::value value = parse_json(read_input(path), path);
  if (value.is_array()) return std::move(value.as_array());
  boost::json::value* list = value.is_object() ? value.as_object().if_contains(field) : nullptr;
  if (!list || !list->is_array())
    fail(ErrorKind::bad_file, "{}: neither a list nor an object with \"{}\"", path, field);
  return std::move(list->as_array());
}

// A model's own template with the texts of its special tokens.
text::ChatTemplate model_template(const std::string& model) {
  const store::ResolvedModel resolved = open_store().resolve(model);
  const gguf::File file = huggingface::open_model(resolved.path);
  const auto source = file.metadata().get_or<std::string>("tokenizer.chat_template", "");
  if (source.empty())
    throw Error(ErrorKind::unsupported, resolved.name + ": the model has no chat template",
                "give one with --template");
  const text::Tokenizer tokenizer(models::tokenizer_spec(file.metadata()));
  const auto name = [&](text::TokenId token) {
    return token == text::kNoToken ? "" : std::string(tokenizer.piece(token, {.special = true}));
  };
  const text::SpecialTokens& special = tokenizer.special();
  return text::ChatTemplate(source, {.bos = name(special.bos),
                                     .eos = name(special.eos),
                                     .unk = name(special.unk),
                                     .pad = name(special.pad)});
}

struct TemplateCommand {
  std::string model, file, messages, tools, variables;
  bool no_generation_prompt = false;

  void run(const Console& console) const {
    if (model.empty() && file.empty())
      throw Error(ErrorKind::usage, "there is no template", "give --model or --template");
    text::ChatRequest request{.messages = read_list(messages, "messages"),
                              .add_generation_prompt = !no_generation_prompt};
    if (!tools.empty()) request.tools = read_list(tools, "tools");
    if (!variables.empty()) {
      boost::json::value value = parse_json(read_input(variables), variables);
      if (!value.is_object()) fail(ErrorKind::bad_file, "{}: not a JSON object", variables);
      request.variables = std::move(value.as_object());
    }
    const text::ChatTemplate chat =
        file.empty() ? model_template(model) : text::ChatTemplate(read_input(file));
    console.write_foreign(chat.render(request));
  }
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
