#include "cli/tuned_flag.h"

#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "cli/models.h"
#include "formats/all.h"
#include "host/memory.h"
#include "host/tuned.h"

namespace medlar::cli {
namespace {

std::string threads_text(int threads) { return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s"); }
std::string batch_text(int batch) { return fmt::format("{} tokens at once", batch); }
std::string layers_text(int layers) {
  return layers == 0 ? "no layers on the GPU"
                     : fmt::format("{} layer{} on the GPU", layers, layers == 1 ? "" : "s");
}
std::string kv_text(DType type) { return fmt::format("{} keys and values", format_info(type).name); }

void tell(const Console& console, const std::string& what) {
  console.message(styled(console.messages, Style::dim, "note: " + visible(what)));
}

// False also where what was found cannot be had any more, as a GPU that is gone.
bool fits(const TunedFlag::Model& model, const EngineOptions& options) {
  try {
    return host::memory_need(Planner(model.path).plan(options)).fits(model.limit.bytes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::device && error.kind() != ErrorKind::unsupported) throw;
    return false;
  }
}

}  // namespace

void TunedFlag::add_to(CLI::App& command) {
  command.add_flag("--no-tuned", ignored, "Do not use the settings that medlar tune found")
      ->group("Model and machine");
}

EngineOptions TunedFlag::apply(EngineOptions options, const Model& model, const Console& console) const {
  if (ignored || options.exact) return options;
  const host::KeptSettings kept =
      host::kept_settings(open_store().options().root, model.path, options.device);
  if (!kept.problem.empty())
    tell(console,
         fmt::format("the settings of medlar tune cannot be read, so they are not used: {}", kept.problem));
  if (!kept.settings) return options;
  const tune::Settings& s = *kept.settings;
  std::vector<std::string> used;
  if (model.open.threads && !options.team) {
    options.threads = s.threads;
    used.push_back(threads_text(s.threads));
  }
  EngineOptions whole = options;
  std::vector<std::string> more;
  if (model.open.batch) {
    whole.batch = s.batch;
    more.push_back(batch_text(s.batch));
  }
  if (model.open.kv_type && s.kv_type) {
    whole.k_type = whole.v_type = s.kv_type;
    more.push_back(kv_text(*s.kv_type));
  }
  if (model.open.gpu_layers && s.gpu_layers) {
    whole.gpu_layers = s.gpu_layers;
    more.push_back(layers_text(*s.gpu_layers));
  }
  if (!more.empty() && fits(model, whole)) {
    options = whole;
    used.insert(used.end(), more.begin(), more.end());
  }
  if (!used.empty())
    tell(console, fmt::format("{}, as medlar tune found (--no-tuned ignores it)", fmt::join(used, ", ")));
  return options;
}

std::string settings_text(const tune::Settings& s) {
  std::string text = threads_text(s.threads) + ", " + batch_text(s.batch);
  if (s.kv_type) text += ", " + kv_text(*s.kv_type);
  if (s.gpu_layers) text += ", " + layers_text(*s.gpu_layers);
  return text;
}

}  // namespace medlar::cli
