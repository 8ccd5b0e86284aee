#include "cli/tune_report.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "cli/terminal.h"
#include "cli/tuned_flag.h"
#include "formats/all.h"
#include "tune/statistics.h"

namespace medlar::cli {
namespace {

// The settings with types in place of what was left to the engine.
struct Named {
  int threads, batch;
  std::string_view k_type, v_type;
  int gpu_layers;
};

Named named(const TuneReport& r, const tune::Settings& s) {
  return {.threads = s.threads,
          .batch = s.batch,
          .k_type = format_info(s.kv_type.value_or(r.k_type)).name,
          .v_type = format_info(s.kv_type.value_or(r.v_type)).name,
          .gpu_layers = s.gpu_layers.value_or(r.gpu_layers)};
}

boost::json::object to_json(const Named& n) {
  return {{"threads", n.threads},
          {"batch", n.batch},
          {"type_k", n.k_type},
          {"type_v", n.v_type},
          {"gpu_layers", n.gpu_layers}};
}

std::string row(std::string_view what, const Named& n, double seconds) {
  const std::string types =
      n.k_type == n.v_type ? std::string(n.k_type) : fmt::format("{} / {}", n.k_type, n.v_type);
  const std::string time = seconds > 0 ? fmt::format("{:.3g} s", seconds) : "";
  return fmt::format("| {} | {} | {} | {} | {} | {} |\n", what, n.threads, n.batch, types, n.gpu_layers,
                     time);
}

// Seconds of the best settings, round by round.
std::vector<double> best_seconds(const tune::SearchResult& r) {
  std::vector<double> seconds;
  for (std::size_t i = 0; i < r.ratios.size(); ++i) seconds.push_back(r.default_seconds[i] / r.ratios[i]);
  return seconds;
}

double median(const std::vector<double>& values) {
  return values.empty() ? 0 : tune::summarize(values).median;
}

std::string verdict(const TuneReport& r) {
  const std::string_view stopped = r.result.complete ? "" : "Stopped early. ";
  const std::string count = fmt::format("{} measurements", r.result.measurements);
  if (!r.gained())
    return fmt::format("{}Nothing was faster than the defaults beyond the noise, so they stay ({}).\n",
                       stopped, count);
  if (r.result.ratios.empty())
    return fmt::format(
        "{}Each step was a gain, but all together were not measured beside the defaults ({}).\n", stopped,
        count);
  const tune::Summary gain = tune::summarize(r.result.ratios);
  return fmt::format("{}{:.2f} times as fast as the defaults: {:.2f} to {:.2f} in {} pairs ({}).\n", stopped,
                     gain.median, gain.min, gain.max, r.result.ratios.size(), count);
}

}  // namespace

boost::json::object to_json(const TuneReport& r) {
  boost::json::array too_large;
  for (const tune::Settings& s : r.result.too_large) too_large.push_back(to_json(named(r, s)));
  boost::json::object object{{"model", r.model},
                             {"machine", r.machine},
                             {"model_key", r.model_key},
                             {"machine_key", r.machine_key},
                             {"n_prompt", r.request.prompt},
                             {"n_gen", r.request.gen},
                             {"context", r.context},
                             {"device", to_string(r.device)},
                             {"gpu", r.gpu ? boost::json::value(to_string(*r.gpu)) : nullptr},
                             {"complete", r.result.complete},
                             {"measurements", r.result.measurements},
                             {"defaults", to_json(named(r, r.defaults))},
                             {"best", to_json(named(r, r.result.best))},
                             {"gained", r.gained()},
                             {"gain", nullptr},
                             {"too_large", std::move(too_large)},
                             {"kept", r.kept}};
  if (r.result.ratios.empty()) return object;
  const tune::Summary gain = tune::summarize(r.result.ratios);
  object["gain"] = {{"median", gain.median},
                    {"min", gain.min},
                    {"max", gain.max},
                    {"ratios", boost::json::value_from(r.result.ratios)},
                    {"default_seconds", median(r.result.default_seconds)},
                    {"best_seconds", median(best_seconds(r.result))}};
  return object;
}

std::string to_text(const TuneReport& r) {
  std::string text = visible(fmt::format("{} on {}: {} tokens read, {} written\n\n", r.model, r.machine,
                                         r.request.prompt, r.request.gen));
  text +=
      "| | threads | at once | keys and values | layers on a GPU | seconds |\n|---|--:|--:|---|--:|--:|\n";
  text += row("defaults", named(r, r.defaults), median(r.result.default_seconds));
  if (r.gained()) text += row("best", named(r, r.result.best), median(best_seconds(r.result)));
  text += "\n" + verdict(r);
  if (!r.gpu && r.asked != Device::cpu)
    text += "There is no GPU that could have layers (medlar doctor says why).\n";
  if (!r.result.too_large.empty())
    text += fmt::format("Not tried, for memory: {}.\n", r.result.too_large.size());
  if (r.kept) text += "Kept: run, chat, serve and bench use it for this model (--no-tuned ignores it).\n";
  return text;
}

std::string shell_quoted(std::string_view word) {
  std::string quoted = "'";
  for (const char c : word) {
    if (c == '\'') {
      quoted += R"('\'')";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string launch_script(const TuneReport& r) {
  const tune::Settings& s = r.result.best;
  std::string flags = fmt::format("--threads {} --batch-size {}", s.threads, s.batch);
  if (s.kv_type) flags += fmt::format(" --kv-type {}", format_info(*s.kv_type).name);
  if (r.asked != Device::automatic) flags += fmt::format(" --device {}", to_string(r.asked));
  if (s.gpu_layers) flags += fmt::format(" --gpu-layers {}", *s.gpu_layers);
  return fmt::format(
      "#!/bin/sh\n"
      "# {} with the settings that medlar tune found on {}.\n"
      "# Its arguments are run, chat or serve, and what these take.\n"
      "command=${{1:-chat}}\n"
      "[ $# -eq 0 ] || shift\n"
      "exec \"${{MEDLAR:-medlar}}\" \"$command\" {} {} \"$@\"\n",
      printable(r.model), printable(r.machine), shell_quoted(r.reference), flags);
}

}  // namespace medlar::cli
