#include "cli/compare_report.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/perplexity_report.h"
#include "cli/terminal.h"
#include "cli/units.h"
#include "eval/frontier.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;
using eval::Estimate;

constexpr std::string_view kBase = "base";

double divergence(const ComparedModel& m) {
  return m.quality && m.quality->comparison ? m.quality->comparison->kl.value : 0;
}

std::string short_name(const ComparedModel& m) {
  const std::string file = std::filesystem::path(m.name).filename().string();
  return visible(file.empty() ? m.name : file);
}

std::string rate(double per_second) { return per_second > 0 ? format_rate(per_second) : ""; }

// Cells of what a text gives.
std::string quality_cells(const ComparedModel& m) {
  const eval::Quality& q = *m.quality;
  std::string cells = fmt::format(" {:.4f} ± {:.4f} |", q.perplexity.value, q.perplexity.error);
  if (!q.comparison) return cells + fmt::format(" {} | | |", m.base ? kBase : "");
  const eval::Comparison& c = *q.comparison;
  return cells + fmt::format(" {:.6f} ± {:.6f} | {:.6f} | {:.2f} % |", c.kl.value, c.kl.error,
                             c.kl_quantiles.p99, 100 * c.same_best.value);
}

std::string row(const ComparedModel& m) {
  const auto file_bytes = static_cast<std::uint64_t>(m.description.file_bytes);
  std::string text =
      fmt::format("| {} | {} | {:.2f} |", short_name(m), format_bytes(file_bytes), m.bits_per_weight());
  if (m.quality) text += quality_cells(m);
  text +=
      fmt::format(" {} | {} | {} |", rate(m.prompt_rate), rate(m.answer_rate),
                  m.anonymous_bytes + m.file_bytes > 0 ? format_bytes(m.anonymous_bytes + m.file_bytes) : "");
  if (m.quality) text += m.frontier ? " yes |" : " |";
  return text + "\n";
}

json::object model_json(const ComparedModel& m) {
  const auto or_null = [](double value) { return value > 0 ? json::value(value) : json::value(nullptr); };
  json::object object{
      {"model", m.name},
      {"path", m.path.string()},
      {"bytes", m.description.file_bytes},
      {"parameters", m.description.parameters},
      {"bits_per_weight", m.bits_per_weight()},
      {"prompt_tps", or_null(m.prompt_rate)},
      {"decode_tps", or_null(m.answer_rate)},
      {"memory", {{"resident_anonymous", m.anonymous_bytes}, {"resident_file", m.file_bytes}}}};
  if (!m.quality) return object;
  object["base"] = m.base;
  object["frontier"] = m.frontier;
  add_quality(object, *m.quality);
  return object;
}

}  // namespace

double ComparedModel::bits_per_weight() const {
  std::int64_t bytes = 0;
  for (const ModelDescription::Type& type : description.types) bytes += type.bytes;
  return description.parameters > 0
             ? 8 * static_cast<double>(bytes) / static_cast<double>(description.parameters)
             : 0;
}

void mark_frontier(std::vector<ComparedModel>& models) {
  std::vector<eval::SizedLoss> files;
  for (const ComparedModel& m : models) files.push_back({m.description.file_bytes, divergence(m)});
  const std::vector<bool> on = eval::frontier(files);
  for (std::size_t i = 0; i < models.size(); ++i) models[i].frontier = on[i];
}

std::string to_text(const CompareReport& r) {
  const bool quality = !r.file.empty();
  std::string text = "| model | size | bits per weight |";
  if (quality) text += " perplexity | mean KL | 99 % | same best token |";
  text +=
      fmt::format(" pp{} | tg{} | memory |{}\n|---|--:|--:|", r.prompt, r.gen, quality ? " frontier |" : "");
  if (quality) text += "--:|--:|--:|--:|";
  text += quality ? "--:|--:|--:|---|\n" : "--:|--:|--:|\n";
  for (const ComparedModel& m : r.models) text += row(m);
  return text;
}

json::object to_json(const CompareReport& r) {
  json::array models;
  for (const ComparedModel& m : r.models) models.push_back(model_json(m));
  return {{"file", r.file.empty() ? json::value(nullptr) : json::value(r.file)},
          {"context", r.context},
          {"n_prompt", r.prompt},
          {"n_gen", r.gen},
          {"models", std::move(models)}};
}

tune::Scatter to_plot(const CompareReport& r) {
  const auto base = std::ranges::find(r.models, true, &ComparedModel::base);
  tune::Scatter plot{.title = "Size and quality",
                     .subtitle = fmt::format("KL divergence from {} on {}", short_name(*base),
                                             visible(std::filesystem::path(r.file).filename().string())),
                     .x_title = "file size, MB",
                     .y_title = "mean KL divergence, nats a token",
                     .points = {}};
  for (const ComparedModel& m : r.models)
    plot.points.push_back(
        {.x = static_cast<double>(m.description.file_bytes) / 1e6,
         .y = divergence(m),
         .label = short_name(m),
         .detail = fmt::format("{}, {:.2f} bits per weight, divergence {:.6f}",
                               format_bytes(static_cast<std::uint64_t>(m.description.file_bytes)),
                               m.bits_per_weight(), divergence(m)),
         .highlighted = m.frontier});
  return plot;
}

}  // namespace medlar::cli
