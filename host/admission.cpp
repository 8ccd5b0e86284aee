#include "host/admission.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/log.h"
#include "host/memory.h"

namespace medlar::host {
namespace {

constexpr std::int64_t kLongEnough = 4096;  // tokens of context, for a conversation

std::string offer(const Configuration& c) {
  const std::string what = c.model.empty() ? c.flags : c.flags.empty() ? c.model : c.model + " " + c.flags;
  return fmt::format("{} ({})", what, bytes_text(c.bytes));
}

// The best of those that fit. A context nobody asked for is given up before the quality of the cache, as long
// as it stays long enough for a conversation.
const Configuration& choose(const std::vector<Configuration>& fitting, const ModelPlan& whole) {
  for (const Configuration& c : fitting)
    if (c.options.k_type == whole.options.k_type && c.options.v_type == whole.options.v_type &&
        c.options.context >= std::min(kLongEnough, whole.options.context))
      return c;
  return fitting.front();
}

// "cuda", or which of several.
std::string device_text(const MemoryNeed& need, const MemoryNeed::OnDevice& device) {
  return need.devices.size() > 1 ? fmt::format("{} {}", to_string(device.device), device.room.number)
                                 : std::string(to_string(device.device));
}

// What to type so that a GPU has as many layers as it has room for; empty: nothing helps.
std::string fewer_layers(Planner& planner, EngineOptions options) {
  try {
    options.gpu_layers = kFittingLayers;
    return fmt::format("; --gpu-layers {} leaves the other layers to the processor",
                       *planner.plan(options).options.gpu_layers);
  } catch (const Error&) {
    return {};
  }
}

// What does not fit, where, and what would.
Error too_large(Planner& planner, const AdmissionRequest& request, const ModelPlan& plan, std::string hint) {
  const MemoryNeed need = memory_need(plan);
  const std::string what = printable(request.reference);
  if (const auto [device, lacks] = need.fullest(); lacks > 0)
    return {ErrorKind::out_of_memory,
            fmt::format("{} needs {} of memory on device {}, which has {} for it", what,
                        bytes_text(device->needed), device_text(need, *device),
                        bytes_text(device->room.available)),
            hint + fewer_layers(planner, plan.options) + "; --device cpu runs it on the processor"};
  return {ErrorKind::out_of_memory,
          fmt::format("{} needs {} of memory, but {} is {}", what, bytes_text(need.total()),
                      request.limit.reason, bytes_text(request.limit.bytes)),
          hint + "; --memory-limit sets another limit"};
}

[[noreturn]] void refuse(Planner& planner, Wanted wanted, const AdmissionRequest& request,
                         const ModelPlan& whole) {
  constexpr std::int64_t kMoves = 32;  // what the machine can spare is a little less the next moment
  wanted.may = {};                     // a refusal names whatever would do
  wanted.limit -= wanted.limit / kMoves;
  std::vector<std::string> offers;
  for (const Configuration& c : nearest_configurations(planner, wanted, request.reference))
    offers.push_back(offer(c));
  throw too_large(
      planner, request, whole,
      offers.empty() ? "choose a smaller model" : fmt::format("these fit: {}", fmt::join(offers, ", ")));
}

// Options that fit on the device that they name.
struct Fitting {
  EngineOptions options;
  std::string note;
  std::int64_t bytes = 0;  // of the machine's memory

  Admission with(Planner planner) && {
    return {std::move(options), std::move(note), bytes, std::move(planner)};
  }
};

std::optional<Fitting> fitting(Planner& planner, const Wanted& wanted, const AdmissionRequest& request,
                               const ModelPlan& whole) {
  const MemoryNeed need = memory_need(whole);
  EngineOptions options = request.options;
  options.device = wanted.options.device, options.gpus = wanted.options.gpus;
  options.gpu_layers = wanted.options.gpu_layers;
  if (need.fits(wanted.limit)) return Fitting{.options = options, .bytes = need.total()};
  if (!request.may_reduce) return std::nullopt;
  const std::vector<Configuration> settings = fitting_settings(planner, wanted);
  if (settings.empty()) return std::nullopt;
  const Configuration& best = choose(settings, whole);
  options.context = best.options.context;
  options.k_type = best.options.k_type, options.v_type = best.options.v_type;
  options.sequences = best.options.sequences;
  const auto [device, lacks] = need.fullest();
  const std::string room =
      lacks <= 0
          ? fmt::format("{} is {}", request.limit.reason, bytes_text(request.limit.bytes))
          : fmt::format("device {} has {}", device_text(need, *device), bytes_text(device->room.available));
  return Fitting{.options = options,
                 .note = fmt::format("{}, so that {} instead of {} are enough ({})", best.change,
                                     bytes_text(best.bytes), bytes_text(need.everywhere()), room),
                 .bytes = memory_need(planner.plan(options)).total()};
}

// On a GPU nobody asked for by name: only if what fits is enough for a conversation.
std::optional<Fitting> fitting_on_gpu(Planner& planner, const Wanted& wanted,
                                      const AdmissionRequest& request) {
  try {
    const ModelPlan whole = planner.plan(wanted.options);
    std::optional<Fitting> found = fitting(planner, wanted, request, whole);
    const bool enough = found && (found->note.empty() ||
                                  found->options.context >= std::min(kLongEnough, whole.options.context));
    return enough ? std::move(found) : std::nullopt;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    return std::nullopt;
  }
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
  const double mega = static_cast<double>(bytes) / 1e6;
  return mega < 1000 ? fmt::format("{:.0f} MB", mega) : fmt::format("{:.2f} GB", mega / 1000);
}

Admission admit(const AdmissionRequest& request) {
  Planner planner(request.path);
  const EngineOptions& o = request.options;
  Wanted wanted{.options = o,
                .limit = request.limit.bytes,
                .may = {.context = o.context == 0,
                        .kv_type = !o.k_type && !o.v_type && !o.exact,
                        .parallel = request.parallel_is_open}};
  const std::vector<EngineOptions> choices = planner.choices(o);
  for (const EngineOptions& choice : choices) {
    wanted.options = choice;
    if (&choice == &choices.back()) break;
    if (std::optional<Fitting> found = fitting_on_gpu(planner, wanted, request))
      return std::move(*found).with(std::move(planner));
  }
  const ModelPlan whole = planner.plan(wanted.options);
  if (std::optional<Fitting> found = fitting(planner, wanted, request, whole))
    return std::move(*found).with(std::move(planner));
  if (!request.may_reduce) throw too_large(planner, request, whole, "a smaller context may do");
  refuse(planner, wanted, request, whole);
}

}  // namespace medlar::host
