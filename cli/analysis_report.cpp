#include "cli/analysis_report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/terminal.h"
#include "formats/all.h"
#include "host/admission.h"

namespace medlar::cli {
namespace {

constexpr double kMega = 1e6;
constexpr std::size_t kMostPoints = 160;  // of a panel

std::string megabytes(double bytes) { return fmt::format("{:.1f} MB", bytes / kMega); }

std::string types_of(const EngineOptions& o) {
  const std::string_view k = format_info(*o.k_type).name, v = format_info(*o.v_type).name;
  return k == v ? std::string(k) : fmt::format("{} and {}", k, v);
}

std::string row(std::string_view what, double plan, double peak, double mean) {
  const double difference = peak - plan;
  const std::string share = plan > 0 ? fmt::format(", {:+.1f} %", 100 * difference / plan) : "";
  return fmt::format("| {} | {} | {} | {} | {:+.1f} MB{} |\n", what, megabytes(plan), megabytes(peak),
                     megabytes(mean), difference / kMega, share);
}

std::string refusal(const ContextAnalysis& a) {
  std::vector<std::string> offers;
  for (const host::Configuration& c : a.alternatives) {
    const std::string what = c.model.empty() ? c.flags : c.flags.empty() ? c.model : c.model + " " + c.flags;
    offers.push_back(fmt::format("{} ({})", visible(what), host::bytes_text(c.bytes)));
  }
  return fmt::format(
      "needs {}, which there is no room for. {}\n", host::bytes_text(a.need.total()),
      offers.empty() ? "Nothing like it fits." : fmt::format("These fit: {}.", fmt::join(offers, ", ")));
}

boost::json::object to_json(const tune::MemoryWatch::Extent& extent) {
  boost::json::object object;
  for (std::size_t i = 0; i < tune::kMemoryParts; ++i)
    object[to_string(static_cast<tune::MemoryPart>(i))] = std::llround(extent.parts[i]);
  object["total"] = std::llround(extent.total);
  object["anonymous"] = std::llround(extent.anonymous);
  object["file"] = std::llround(extent.file);
  return object;
}

// Of every few samples the one with the most memory, so that no peak is lost.
std::vector<tune::MemorySample> thinned(const std::vector<tune::MemorySample>& samples) {
  std::vector<tune::MemorySample> few;
  const std::size_t step = samples.size() / kMostPoints + 1;
  for (std::size_t i = 0; i < samples.size(); i += step) {
    const auto end = samples.begin() + static_cast<std::ptrdiff_t>(std::min(i + step, samples.size()));
    few.push_back(*std::max_element(samples.begin() + static_cast<std::ptrdiff_t>(i), end,
                                    [](const auto& a, const auto& b) { return a.total() < b.total(); }));
  }
  return few;
}

}  // namespace

std::array<std::int64_t, tune::kMemoryParts> planned_parts(const host::MemoryNeed& need) {
  return {need.weights_resident, need.kv + need.state, need.activations, need.scratch, need.overhead};
}

boost::json::object to_json(const ContextAnalysis& a) {
  const auto parts = planned_parts(a.need);
  boost::json::object plan;
  for (std::size_t i = 0; i < tune::kMemoryParts; ++i)
    plan[to_string(static_cast<tune::MemoryPart>(i))] = parts[i];
  plan["total"] = a.need.total();
  boost::json::object object{{"context", a.options.context},
                             {"threads", a.options.threads},
                             {"batch", a.options.batch},
                             {"type_k", format_info(*a.options.k_type).name},
                             {"type_v", format_info(*a.options.v_type).name},
                             {"fits", a.fits},
                             {"plan", std::move(plan)}};
  if (!a.fits) {
    boost::json::array alternatives;
    for (const host::Configuration& c : a.alternatives)
      alternatives.push_back({{"flags", c.flags}, {"model", c.model}, {"bytes", c.bytes}});
    object["alternatives"] = std::move(alternatives);
    return object;
  }
  const double planned = static_cast<double>(a.need.total());
  object["peak"] = to_json(a.peak);
  object["average"] = to_json(a.mean);
  object["difference_bytes"] = std::llround(a.peak.total - planned);
  object["difference_percent"] = 100 * (a.peak.total - planned) / planned;
  object["seconds"] = a.samples.empty() ? 0 : a.samples.back().seconds;
  return object;
}

std::string to_text(const std::string& model, const ContextAnalysis& a) {
  std::string text =
      visible(fmt::format("{}, {} tokens in {}", model, a.options.context, types_of(a.options)));
  if (!a.fits) return text + ": " + refusal(a);
  text += "\n\n| | plan | peak | average | peak less plan |\n|---|--:|--:|--:|--:|\n";
  const auto parts = planned_parts(a.need);
  for (std::size_t i = 0; i < tune::kMemoryParts; ++i)
    text += row(to_string(static_cast<tune::MemoryPart>(i)), static_cast<double>(parts[i]), a.peak.parts[i],
                a.mean.parts[i]);
  text += row("all", static_cast<double>(a.need.total()), a.peak.total, a.mean.total);
  return text + fmt::format("\nThe system counts at most {} of the process's own and {} of files.\n",
                            megabytes(a.peak.anonymous), megabytes(a.peak.file));
}

tune::Plot memory_plot(const std::string& model, const std::vector<ContextAnalysis>& analyses) {
  tune::Plot plot{.title = model, .subtitle = "Memory while contexts are filled, of"};
  std::vector<std::string> contexts;
  for (std::size_t i = 0; i <= tune::kMemoryParts; ++i)
    plot.panels.push_back(
        {.title = i < tune::kMemoryParts ? std::string(to_string(static_cast<tune::MemoryPart>(i))) : "all",
         .unit = "MB"});
  for (const ContextAnalysis& a : analyses) {
    if (!a.fits) continue;
    contexts.push_back(std::to_string(a.options.context));
    for (const tune::MemorySample& s : thinned(a.samples)) {
      const auto add = [&](std::size_t panel, std::uint64_t bytes) {
        plot.panels[panel].points.push_back({plot.seconds + s.seconds, static_cast<double>(bytes) / kMega});
      };
      for (std::size_t i = 0; i < tune::kMemoryParts; ++i) add(i, s.bytes[i]);
      add(tune::kMemoryParts, s.total());
    }
    if (!a.samples.empty()) plot.seconds += a.samples.back().seconds;
  }
  plot.subtitle = fmt::format("{} {} tokens", plot.subtitle, fmt::join(contexts, ", then "));
  return plot;
}

}  // namespace medlar::cli
