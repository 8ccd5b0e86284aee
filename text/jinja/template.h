// Chat templates: Jinja as Transformers renders it. Jinja2's language with trim_blocks and lstrip_blocks,
// break and continue, the immutable sandbox, `tojson` as plain json.dumps, `raise_exception`, `strftime_now`
// and the `generation` tag. docs/templates.md says what differs.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/budget.h"
#include "text/jinja/parse_limits.h"
#include "text/jinja/value.h"

namespace medlar::jinja {

struct RenderOptions {
  Limits limits;
  std::optional<std::tm> now;  // what strftime_now shows; calling it without is an error
};

struct Rendered {
  std::string text;
  // Bytes [first, last) of the text that `generation` blocks made: what the assistant says.
  std::vector<std::pair<std::size_t, std::size_t>> generated;
};

struct Program;

// Parsed once; rendering changes nothing in it, so threads may share one.
class Template {
 public:
  // Throws Error(bad_file) naming the line, Error(limit) past the limits.
  static Template parse(std::string_view source, const ParseLimits& limits = {});

  // `context` is a dict of the variables. Throws Error(usage) naming the line for what Jinja2 would raise,
  // with raise_exception's message as it is; Error(limit) past the limits; Error(unsupported) for what
  // docs/templates.md lists.
  std::string render(const Value& context, const RenderOptions& options = {}) const;
  Rendered render_marked(const Value& context, const RenderOptions& options = {}) const;

 private:
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

  std::shared_ptr<const Program> program_;
};

}  // namespace medlar::jinja
