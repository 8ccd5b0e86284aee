// Ollama's routes that change which models there are. POST /api/pull is in model_routes.cpp.
#include <array>
#include <boost/json/serialize.hpp>
#include <utility>

#include <fmt/format.h>

#include "server/models.h"
#include "server/ollama.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

struct CopyBody {
  std::string source, destination;
};
const Form<CopyBody>& copy_form() {
  static const Form<CopyBody> form =
      Form<CopyBody>()
          .field("source", &CopyBody::source, {.about = "the name that it has", .required = true})
          .field("destination", &CopyBody::destination, {.about = "a further name", .required = true});
  return form;
}

void copy(const Call& call) {
  const CopyBody body = read_body(call, copy_form());
  call.service.models->loads().run(call, [body](const Call& c) {
    c.service.models->copy(body.source, body.destination);
    c.reply(json::object());
  });
}

struct DeleteBody {
  std::string model, name;
};
const Form<DeleteBody>& delete_form() {
  static const Form<DeleteBody> form =
      Form<DeleteBody>()
          .field("model", &DeleteBody::model, {.about = "the name of the model"})
          .field("name", &DeleteBody::name, {.about = "an older spelling of \"model\""});
  return form;
}

void remove(const Call& call) {
  const DeleteBody body = read_body(call, delete_form());
  const std::string name = body.model.empty() ? body.name : body.model;
  if (name.empty()) fail_at({.name = "model"}, "is required");
  call.service.models->loads().run(call, [name](const Call& c) {
    c.service.models->remove(name);
    c.reply(json::object());
  });
}

struct CreateBody {
  std::string model, name, from;
  bool stream = true;
  json::value files, adapters, template_text, license, system, parameters, messages, quantize, modelfile;
};
const Form<CreateBody>& create_form() {
  constexpr std::string_view kNot = "not served: models are files as they are";
  static const Form<CreateBody> form =
      Form<CreateBody>()
          .field("model", &CreateBody::model, {.about = "the new name"})
          .field("name", &CreateBody::name, {.about = "an older spelling of \"model\""})
          .field("from", &CreateBody::from, {.about = "the model that gets it as well", .required = true})
          .field("stream", &CreateBody::stream, {.about = "answer with lines of JSON"})
          .field("files", &CreateBody::files, {.about = kNot})
          .field("adapters", &CreateBody::adapters, {.about = kNot})
          .field("template", &CreateBody::template_text, {.about = kNot})
          .field("license", &CreateBody::license, {.about = kNot})
          .field("system", &CreateBody::system, {.about = kNot})
          .field("parameters", &CreateBody::parameters, {.about = kNot})
          .field("messages", &CreateBody::messages, {.about = kNot})
          .field("quantize", &CreateBody::quantize, {.about = kNot})
          .field("modelfile", &CreateBody::modelfile, {.about = kNot});
  return form;
}

void create(const Call& call) {
  const CreateBody body = read_body(call, create_form());
  const std::array<std::pair<std::string_view, const json::value*>, 9> parts{
      {{"files", &body.files},
       {"adapters", &body.adapters},
       {"template", &body.template_text},
       {"license", &body.license},
       {"system", &body.system},
       {"parameters", &body.parameters},
       {"messages", &body.messages},
       {"quantize", &body.quantize},
       {"modelfile", &body.modelfile}}};
  for (const auto& [name, value] : parts)
    if (!value->is_null())
      throw ApiError(400, fmt::format("{}: a model cannot be made of this here", name),
                     {.param = std::string(name),
                      .hint = "\"medlar pull\" installs files; settings go with each request"});
  const std::string name = body.model.empty() ? body.name : body.model;
  if (name.empty()) fail_at({.name = "model"}, "is required");
  call.service.models->loads().run(call, [body, name](const Call& c) {
    c.service.models->copy(body.from, name);
    c.exchange->reply({.content_type = body.stream ? "application/x-ndjson" : "application/json",
                       .body = json::serialize(json::object{{"status", "success"}}) + "\n"});
  });
}

void find_blob(const Call& call) {
  call.service.models->reads().run(call, [](const Call& c) {
    if (!c.service.models->has_blob(std::string(c.rest)))
      throw ApiError(404, "there is no such file", {.code = "not_found"});
    c.reply(json::object());
  });
}

void push(const Call&) { throw ApiError(400, "this server sends models to nobody"); }

template <auto kForm>
json::object schema() {
  return kForm().schema();
}

Route route(Method method, std::string_view path, Handler handler, std::string_view about,
            json::object (*body)() = nullptr) {
  return {.method = method,
          .path = path,
          .dialect = Dialect::ollama,
          .handler = handler,
          .about = about,
          .body = body};
}

}  // namespace

std::span<const Route> ollama_model_routes() {
  static const std::vector<Route> routes{
      route(Method::post, "/api/copy", copy, "Give a model another name as well", schema<copy_form>),
      route(Method::del, "/api/delete", remove, "Delete a model", schema<delete_form>),
      route(Method::post, "/api/create", create, "As copy, from a model that is here", schema<create_form>),
      route(Method::get, "/api/blobs/{digest}", find_blob, "Whether a file of a model is here"),
      route(Method::post, "/api/push", push, "Not served: 400", schema<delete_form>),
  };
  return routes;
}

}  // namespace medlar::server
