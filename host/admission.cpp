#include "host/admission.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "host/memory.h"

namespace medlar::host {
namespace {

std::string offer(const Configuration& c) {
  const std::string what = c.model.empty() ? c.flags : c.flags.empty() ? c.model : c.model + " " + c.flags;
  return fmt::format("{} ({})", what, bytes_text(c.bytes));
}

// The best of those that fit. A context nobody asked for is given up before the quality of the cache, as long
// as it stays long enough for a conversation.
const Configuration& choose(const std::vector<Configuration>& fitting, const ModelPlan& whole) {
  constexpr std::int64_t kLongEnough = 4096;
  for (const Configuration& c : fitting)
    if (c.options.k_type == whole.options.k_type && c.options.v_type == whole.options.v_type &&
        c.options.context >= std::min(kLongEnough, whole.options.context))
      return c;
  return fitting.front();
}

Error too_large(const AdmissionRequest& request, std::int64_t bytes, std::string hint) {
  return {ErrorKind::out_of_memory,
          fmt::format("{} needs {} of memory, but {} is {}", printable(request.reference), bytes_text(bytes),
                      request.limit.reason, bytes_text(request.limit.bytes)),
          std::move(hint)};
}

[[noreturn]] void refuse(Planner& planner, Wanted wanted, const AdmissionRequest& request,
                         std::int64_t bytes) {
  constexpr std::int64_t kMoves = 32;  // what the machine can spare is a little less the next moment
  wanted.may = {};                     // a refusal names whatever would do
  wanted.limit -= wanted.limit / kMoves;
  std::vector<std::string> offers;
  for (const Configuration& c : nearest_configurations(planner, wanted, request.reference))
    offers.push_back(offer(c));
  throw too_large(request, bytes,
                  offers.empty() ? "choose a smaller model; --memory-limit sets another limit"
                                 : fmt::format("these fit: {}; --memory-limit sets another limit",
                                               fmt::join(offers, ", ")));
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
  const double mega = static_cast<double>(bytes) / 1e6;
  return mega < 1000 ? fmt::format("{:.0f} MB", mega) : fmt::format("{:.2f} GB", mega / 1000);
}

Admission admit(const AdmissionRequest& request) {
  Planner planner(request.path);
  const EngineOptions& o = request.options;
  const Wanted wanted{.options = o,
                      .limit = request.limit.bytes,
                      .may = {.context = o.context == 0,
                              .kv_type = !o.k_type && !o.v_type && !o.exact,
                              .parallel = request.parallel_is_open}};
  const ModelPlan whole = planner.plan(o);
  const std::int64_t bytes = memory_need(whole).total();
  if (bytes <= wanted.limit) return {.options = o, .bytes = bytes, .model = std::move(planner)};
  if (!request.may_reduce) throw too_large(request, bytes, "a smaller context may do");
  const std::vector<Configuration> fitting = fitting_settings(planner, wanted);
  if (fitting.empty()) refuse(planner, wanted, request, bytes);
  const Configuration& best = choose(fitting, whole);
  EngineOptions options = o;
  options.context = best.options.context;
  options.k_type = best.options.k_type, options.v_type = best.options.v_type;
  options.sequences = best.options.sequences;
  return {.options = options,
          .note = fmt::format("{}, so that {} instead of {} are enough ({} is {})", best.change,
                              bytes_text(best.bytes), bytes_text(bytes), request.limit.reason,
                              bytes_text(request.limit.bytes)),
          .bytes = best.bytes,
          .model = std::move(planner)};
}

}  // namespace medlar::host
