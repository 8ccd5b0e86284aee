// Ollama's API: the routes that tell about models.
#include "server/ollama.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include <fmt/format.h>

#include "formats/all.h"
#include "server/chat.h"
#include "server/models.h"
#include "text/reply/detect.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// The release of Ollama whose API this is: clients refuse to speak to older ones.
constexpr std::string_view kSpokenVersion = "0.12.6";
constexpr std::string_view kNever = "2318-01-01T00:00:00Z";

struct ModelBody {
  std::string model, name;
  std::string wanted() const { return model.empty() ? name : model; }
};
const Form<ModelBody>& model_form() {
  static const Form<ModelBody> form =
      Form<ModelBody>()
          .field("model", &ModelBody::model, {.about = "the name of the model"})
          .field("name", &ModelBody::name, {.about = "an older spelling of \"model\""});
  return form;
}

std::string parameter_size(std::int64_t parameters) {
  const auto count = static_cast<double>(parameters);
  return parameters < 1'000'000'000 ? fmt::format("{:.2f}M", count / 1e6)
                                    : fmt::format("{:.1f}B", count / 1e9);
}

std::int64_t planned_bytes(const Engine& engine) {
  const runtime::MemoryPlan& plan = engine.memory_plan();
  return plan.weights + plan.cache() + plan.activations + plan.scratch;
}

json::object details(const ModelDescription& about) {
  const std::string type(about.types.empty() ? "" : format_info(about.types.front().type).name);
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", about.architecture},
          {"families", json::array{json::value(about.architecture)}},
          {"parameter_size", parameter_size(about.parameters)},
          {"quantization_level", type}};
}

json::object listed(const Model& model, const std::string& name) {
  return {{"name", name},
          {"model", name},
          {"modified_at", ollama_time()},
          {"size", model.engine->description().file_bytes},
          {"digest", ""},
          {"details", details(model.engine->description())}};
}

// What clients ask before they send tools or expect thinking. Of a model in memory the vocabulary has a say,
// too.
json::array capabilities(const Call& call, const std::string& name, const ModelDescription& about) {
  json::array result{"completion"};
  if (about.chat_template.empty()) return result;
  result.push_back("tools");
  reply::ReplyFormat format = reply::detect(about.chat_template);
  for (const Shelf::Lease& model : call.service.shelf.all())
    if (model->has_name(name)) format = model->chat->format();
  if (!format.reasoning->open.empty()) result.push_back("thinking");
  return result;
}

void version(const Call& call) { call.reply({{"version", kSpokenVersion}}); }

json::object listed(const store::InstalledModel& model) {
  json::object details{
      {"parent_model", ""},           {"format", "gguf"},
      {"family", model.architecture}, {"families", json::array{json::value(model.architecture)}},
      {"parameter_size", ""},         {"quantization_level", model.quant}};
  if (const store::CatalogueEntry* known = store::find_in_catalogue(model.name))
    details["parameter_size"] = parameter_size(known->parameters);
  return {{"name", model.name},
          {"model", model.name},
          {"modified_at", model.created},
          {"size", model.bytes},
          {"digest", model.files.empty() ? "" : model.files.front().digest.hex()},
          {"details", std::move(details)}};
}

// Those in memory first; the others are loaded when they are asked.
void tags(const Call& call) {
  call.service.models->reads().run(call, [](const Call& c) {
    json::array models;
    const std::vector<store::InstalledModel> installed = c.service.models->installed();
    const std::vector<Shelf::Lease> loaded = c.service.shelf.all();
    for (const Shelf::Lease& model : loaded)
      for (const std::string& name : model->names)
        if (std::ranges::find(installed, name, &store::InstalledModel::name) == installed.end())
          models.push_back(listed(*model, name));
    for (const store::InstalledModel& model : installed) models.push_back(listed(model));
    c.reply({{"models", std::move(models)}});
  });
}

void ps(const Call& call) {
  json::array models;
  for (const Shelf::Lease& model : call.service.shelf.all()) {
    json::object entry = listed(*model, model->name());
    const auto leaves = model.leaves();
    entry["expires_at"] = leaves ? ollama_time(*leaves) : kNever;
    entry["size"] = planned_bytes(*model->engine);
    entry["size_vram"] = 0;
    entry["context_length"] = model->engine->context();
    models.push_back(std::move(entry));
  }
  call.reply({{"models", std::move(models)}});
}

json::object shown(const Call& call, const std::string& name) {
  const auto [path, about] = call.service.models->file(name);
  const auto key = [&](std::string_view field) { return fmt::format("{}.{}", about.architecture, field); };
  return {{"modelfile", fmt::format("FROM {}\n", path.string())},
          {"parameters", ""},
          {"template", about.chat_template},
          {"details", details(about)},
          {"model_info",
           {{"general.architecture", about.architecture},
            {"general.basename", about.name},
            {"general.parameter_count", about.parameters},
            {key("block_count"), about.layers},
            {key("context_length"), about.trained_context},
            {key("embedding_length"), about.dim},
            {key("attention.head_count"), about.heads},
            {key("attention.head_count_kv"), about.kv_heads}}},
          {"capabilities", capabilities(call, name, about)},
          {"modified_at", ollama_time()}};
}

// Clients ask this of many models: none is loaded for it.
void show(const Call& call) {
  call.service.models->reads().run(
      call, [name = read_body(call, model_form()).wanted()](const Call& c) { c.reply(shown(c, name)); });
}

}  // namespace

std::string ollama_time(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() % 1'000'000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:06}Z", text, micros);
}

std::span<const Route> ollama_routes() {
  const auto get = [](std::string_view path, Handler handler, std::string_view about) {
    return Route{.path = path, .dialect = Dialect::ollama, .handler = handler, .about = about};
  };
  const auto post = [](
                        std::string_view path, Handler handler, std::string_view about,
                        json::object (*body)() = [] { return model_form().schema(); }) {
    return Route{.method = Method::post,
                 .path = path,
                 .dialect = Dialect::ollama,
                 .handler = handler,
                 .about = about,
                 .body = body};
  };
  static const std::vector<Route> routes{
      get("/api/version", version, "The version of the API"),
      get("/api/tags", tags, "The models that can be asked"),
      get("/api/ps", ps, "The models in memory"),
      post("/api/show", show, "One model"),
      post("/api/generate", ollama_generate, "Answer a prompt", ollama_generate_schema),
      post("/api/chat", ollama_chat, "Answer a conversation", ollama_chat_schema),
  };
  return routes;
}

}  // namespace medlar::server
