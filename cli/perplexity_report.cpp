#include "cli/perplexity_report.h"

#include <string_view>

#include <fmt/format.h>

#include "cli/terminal.h"
#include "cli/units.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;
using eval::Estimate;
using eval::Quantiles;

std::string line(std::string_view what, const std::string& value) {
  return fmt::format("{:<26}{}\n", what, value);
}

std::string with_error(const Estimate& e, int digits) {
  return fmt::format("{:.{}f} ± {:.{}f}", e.value, digits, e.error, digits);
}

std::string percent(const Estimate& e) {
  return fmt::format("{:.3f} ± {:.3f} %", 100 * e.value, 100 * e.error);
}

std::string comparison_text(const eval::Comparison& c) {
  const Quantiles& kl = c.kl_quantiles;
  return line("perplexity of the base", with_error(c.base_perplexity, 4)) +
         line("ratio to the base's", with_error(eval::exponential(c.log_ratio), 5)) +
         line("KL divergence, mean", with_error(c.kl, 6)) +
         line("  median", fmt::format("{:.6f}", kl.median)) + line("  90 %", fmt::format("{:.6f}", kl.p90)) +
         line("  99 %", fmt::format("{:.6f}", kl.p99)) + line("  99.9 %", fmt::format("{:.6f}", kl.p999)) +
         line("  largest", fmt::format("{:.6f}", kl.most)) + line("change of p, mean", percent(c.p_change)) +
         line("  root mean square", percent(c.p_change_rms)) + line("same best token", percent(c.same_best));
}

json::object estimate(const Estimate& e) { return {{"value", e.value}, {"error", e.error}}; }

json::object with_quantiles(const Estimate& mean, const Quantiles& q) {
  return {{"mean", mean.value}, {"error", mean.error}, {"min", q.least},     {"p0.1", q.p001}, {"p1", q.p01},
          {"p5", q.p05},        {"p10", q.p10},        {"median", q.median}, {"p90", q.p90},   {"p95", q.p95},
          {"p99", q.p99},       {"p99.9", q.p999},     {"max", q.most}};
}

json::object comparison_json(const eval::Comparison& c) {
  json::object change = with_quantiles(c.p_change, c.p_change_quantiles);
  change["rms"] = c.p_change_rms.value;
  change["rms_error"] = c.p_change_rms.error;
  return {{"base_perplexity", estimate(c.base_perplexity)},
          {"ratio", estimate(eval::exponential(c.log_ratio))},
          {"log_ratio", estimate(c.log_ratio)},
          {"correlation", c.correlation},
          {"kl", with_quantiles(c.kl, c.kl_quantiles)},
          {"delta_p", std::move(change)},
          {"same_top", estimate(c.same_best)}};
}

}  // namespace

void add_quality(json::object& object, const eval::Quality& q) {
  object["tokens"] = q.tokens;
  object["perplexity"] = q.perplexity.value;
  object["perplexity_error"] = q.perplexity.error;
  object["nll"] = q.nll.value;
  object["nll_error"] = q.nll.error;
  if (!q.comparison) return;
  for (auto& [name, value] : comparison_json(*q.comparison)) object[name] = value;
}

std::string to_text(const PerplexityReport& r) {
  std::string text = fmt::format("{} on {}: {} tokens of {} windows of {}{}{}\n", visible(r.model),
                                 visible(r.file.empty() ? r.base : r.file), r.quality.tokens, r.windows,
                                 r.context, r.stride > 0 ? fmt::format(", every {}", r.stride) : "",
                                 r.complete() ? "" : fmt::format("; stopped, {} there were", r.whole));
  text += line("perplexity", with_error(r.quality.perplexity, 4));
  if (r.quality.comparison) text += comparison_text(*r.quality.comparison);
  return text + line("speed", fmt::format("{} tokens/s", format_rate(r.tokens_per_second)));
}

json::object to_json(const PerplexityReport& r) {
  json::object object{{"model", r.model},         {"file", r.file},
                      {"base", r.base},           {"saved", r.saved},
                      {"context", r.context},     {"stride", r.stride},
                      {"windows", r.windows},     {"windows_total", r.whole},
                      {"complete", r.complete()}, {"running", json::value_from(r.running)},
                      {"seconds", r.seconds},     {"tokens_per_second", r.tokens_per_second}};
  for (const char* name : {"file", "base", "saved"})
    if (object[name].as_string().empty()) object[name] = nullptr;
  add_quality(object, r.quality);
  return object;
}

}  // namespace medlar::cli
