// llama-server's GET and POST /lora-adapters.
#include "server/adapters.h"

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/routes.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

struct Scale {
  int id = 0;
  float scale = 0;
};
const Form<Scale>& scale_form() {
  static const Form<Scale> form =
      Form<Scale>()
          .field("id", &Scale::id, {.about = "of an adapter", .min = 0, .required = true})
          .field("scale", &Scale::scale,
                 {.about = "0: it is off", .min = -1e3, .max = 1e3, .required = true});
  return form;
}

void list(const Call& call) {
  call.model();
  call.reply(json::array());
}

void set_scales(const Call& call) {
  call.model();
  JsonType<LoraScales>::read(parse_body(call.request().body), {}, {});
  call.reply({{"success", true}});
}

}  // namespace

LoraScales JsonType<LoraScales>::read(const json::value& v, const Path& path, const FieldSpec& spec) {
  std::size_t i = 0;
  for (const json::value& item : form_detail::read_array(v, path, {.max_items = spec.max_items})) {
    const Path here = path[i++];
    if (const Scale scale = scale_form().read(item, here); scale.scale != 0)
      throw ApiError(404, fmt::format("{}: there is no adapter {}", (here / "id").text(), scale.id),
                     {.param = (here / "id").text(), .hint = "this server has no adapters"});
  }
  return {};
}

json::object JsonType<LoraScales>::schema(const FieldSpec& spec) {
  json::object result = form_detail::schema_of("array", {.about = spec.about});
  result["items"] = scale_form().schema();
  result["maxItems"] = spec.max_items;
  return result;
}

std::span<const Route> adapter_routes() {
  static const std::vector<Route> routes{
      {.path = "/lora-adapters",
       .dialect = Dialect::llama,
       .handler = list,
       .about = "The adapters; there are none yet"},
      {.method = Method::post,
       .path = "/lora-adapters",
       .dialect = Dialect::llama,
       .handler = set_scales,
       .about = "Set the scales of adapters",
       .body = [] { return JsonType<LoraScales>::schema({.about = "the scales"}); }},
  };
  return routes;
}

}  // namespace medlar::server
