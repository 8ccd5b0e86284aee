// llama-server's GET and POST /lora-adapters.
#include "server/adapters.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/routes.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

using Item = LoraScales::Item;

const Form<Item>& item_form() {
  static const Form<Item> form =
      Form<Item>()
          .field("id", &Item::id, {.about = "of an adapter", .min = 0, .required = true})
          .field("scale", &Item::scale, {.about = "0: it is off", .min = -1e3, .max = 1e3, .required = true});
  return form;
}

void list(const Call& call) {
  json::array all;
  for (const AdapterOptions& adapter : call.model().engine->adapters())
    all.push_back({{"id", all.size()}, {"path", adapter.path.string()}, {"scale", adapter.scale}});
  call.reply(all);
}

void set_scales(const Call& call) {
  const Engine& engine = *call.model().engine;
  check_scales(engine, JsonType<LoraScales>::read(parse_body(call.request().body), {}, {}), {});
  call.reply({{"success", true}});
}

}  // namespace

void check_scales(const Engine& engine, const LoraScales& wanted, const Path& path) {
  const auto adapters = engine.adapters();
  std::vector<float> scales(adapters.size(), 0);
  for (std::size_t i = 0; i < wanted.items.size(); ++i) {
    const auto [id, scale] = wanted.items[i];
    if (static_cast<std::size_t>(id) < scales.size()) {
      scales[static_cast<std::size_t>(id)] = scale;
    } else if (scale != 0) {
      const Path item = path[i];
      const std::string place = (item / "id").text();
      throw ApiError(404, fmt::format("{}: there is no adapter {}", place, id),
                     {.param = place, .hint = fmt::format("this model has {}", adapters.size())});
    }
  }
  for (std::size_t id = 0; id < scales.size(); ++id)
    if (scales[id] != adapters[id].scale)
      throw ApiError(400,
                     fmt::format("adapter {} has the scale {} and cannot have {} while it is loaded", id,
                                 adapters[id].scale, scales[id]),
                     {.param = "lora", .hint = "start the server with --lora FILE=SCALE"});
}

LoraScales JsonType<LoraScales>::read(const json::value& v, const Path& path, const FieldSpec& spec) {
  LoraScales scales;
  std::size_t i = 0;
  for (const json::value& item : form_detail::read_array(v, path, {.max_items = spec.max_items}))
    scales.items.push_back(item_form().read(item, path[i++]));
  return scales;
}

json::object JsonType<LoraScales>::schema(const FieldSpec& spec) {
  json::object result = form_detail::schema_of("array", {.about = spec.about});
  result["items"] = item_form().schema();
  result["maxItems"] = spec.max_items;
  return result;
}

std::span<const Route> adapter_routes() {
  static const std::vector<Route> routes{
      {.path = "/lora-adapters",
       .dialect = Dialect::llama,
       .handler = list,
       .about = "The adapters of the model, with their scales"},
      {.method = Method::post,
       .path = "/lora-adapters",
       .dialect = Dialect::llama,
       .handler = set_scales,
       .about = "Ask for scales of adapters; they are those that the model was loaded with",
       .body = [] { return JsonType<LoraScales>::schema({.about = "the scales"}); }},
  };
  return routes;
}

}  // namespace medlar::server
