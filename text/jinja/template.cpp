// Parsing and rendering, with errors that say where in the template they arose.
#include "text/jinja/template.h"

#include <fmt/format.h>

#include "text/jinja/interpreter.h"
#include "text/jinja/parser.h"
#include "text/jinja/scope.h"

namespace medlar::jinja {

Template Template::parse(std::string_view source, const ParseLimits& limits) {
  auto program = std::make_shared<Program>(parse_program(source, limits));
  bind_names(*program);
  return Template(std::move(program));
}

Rendered Template::render_marked(const Value& context, const RenderOptions& options) const {
  if (!context.is(Kind::dict)) fail(ErrorKind::usage, "a template's context must be a dict");
  Runtime rt(options.limits, options.now);
  TextBuilder out(rt.budget(), options.limits.output_bytes);
  Interpreter interpreter(*program_, context, rt, out);
  try {
    interpreter.run();
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("chat template, line {}: {}", rt.line, error.what()), error.hint());
  }
  return {.text = out.take(), .generated = interpreter.generated()};
}

std::string Template::render(const Value& context, const RenderOptions& options) const {
  return render_marked(context, options).text;
}

}  // namespace medlar::jinja
