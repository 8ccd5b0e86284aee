#include "host/configurations.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/all.h"
#include "host/memory.h"
#include "store/catalogue.h"
#include "tune/synth.h"

namespace medlar::host {
namespace {

constexpr std::int64_t kContextStep = 256;  // of the contexts that are tried
constexpr std::string_view kSynthetic = "synthetic:";

// Settings of the cache's types, from the one that is wanted down.
struct KvChoice {
  std::optional<DType> type;  // none: as wanted
  double loss = 0;
};

double kv_bits(const EngineOptions& options) {
  return (format_info(*options.k_type).bits_per_weight() + format_info(*options.v_type).bits_per_weight()) /
         2;
}

std::vector<KvChoice> kv_choices(const EngineOptions& settled, const Freedom& may) {
  std::vector<KvChoice> choices = {{}};
  if (!may.kv_type || settled.exact) return choices;
  const double bits = kv_bits(settled);
  if (bits > 9) choices.push_back({DType::q8_0, 0.25});
  if (bits > 5) choices.push_back({DType::q4_0, bits > 9 ? 1.25 : 1.0});
  return choices;
}

// What it takes in all memories if it fits; none where it does not, or cannot be at all.
std::optional<std::int64_t> bytes_if_it_fits(Planner& planner, const Wanted& wanted,
                                             const EngineOptions& options) {
  try {
    const MemoryNeed need = memory_need(planner.plan(options));
    if (!need.fits(wanted.limit - wanted.draft, wanted.more)) return std::nullopt;
    return need.everywhere() + wanted.draft + wanted.more;
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::unsupported || e.kind() == ErrorKind::out_of_memory) return std::nullopt;
    throw;
  }
}

// The largest context up to the wanted one with which `options` fit, and what they take then.
std::optional<std::int64_t> largest_context(Planner& planner, const Wanted& wanted, EngineOptions& options) {
  const auto fits = [&](std::int64_t context) -> std::optional<std::int64_t> {
    options.context = context;
    return bytes_if_it_fits(planner, wanted, options);
  };
  const std::int64_t full = options.context;
  if (const auto bytes = fits(full)) return bytes;
  if (!wanted.may.context || full <= kLeastContext || !fits(kLeastContext)) return std::nullopt;
  std::int64_t low = kLeastContext / kContextStep, high = full / kContextStep + 1;  // low fits, high does not
  while (high - low > 1) {
    const std::int64_t middle = (low + high) / 2;
    (fits(middle * kContextStep) ? low : high) = middle;
  }
  // Round numbers, where that costs little.
  const std::int64_t best = low * kContextStep;
  return fits(best >= 16 * kContextStep ? best / 1024 * 1024 : best);
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

// What configurations are ordered by.
std::pair<double, std::int64_t> distance(const Configuration& c) { return {c.loss, -c.bytes}; }

Configuration configuration(const EngineOptions& wanted, const EngineOptions& options, std::int64_t bytes) {
  std::vector<std::string> changes, flags;
  double loss = 0;
  if (options.context != wanted.context) {
    changes.push_back(fmt::format("a context of {} tokens", options.context));
    flags.push_back(fmt::format("--ctx {}", options.context));
    loss += std::log2(static_cast<double>(wanted.context) / static_cast<double>(options.context));
  }
  if (options.k_type != wanted.k_type || options.v_type != wanted.v_type) {
    const std::string_view type = format_info(*options.k_type).name;
    changes.push_back(fmt::format("keys and values in {}", type));
    flags.push_back(fmt::format("--kv-type {}", type));
  }
  if (options.sequences != wanted.sequences) {
    changes.push_back(fmt::format("{} at once", options.sequences));
    flags.push_back(fmt::format("--parallel {}", options.sequences));
    loss += 0.5 * std::log2(static_cast<double>(wanted.sequences) / options.sequences);
  }
  return {.options = options,
          .change = joined(changes, ", "),
          .flags = joined(flags, " "),
          .bytes = bytes,
          .loss = loss};
}

// Types that models are usually quantized to, as mixes of a base type and one with more bits.
struct Quantization {
  std::string_view name, synthetic;
  DType type, more;
  double share = 0;  // of weights in `more`
};
constexpr std::array<Quantization, 6> kQuantizations = {{
    {"Q8_0", "q8_0", DType::q8_0, DType::q8_0, 0},
    {"Q6_K", "q6_k", DType::q6_k, DType::q6_k, 0},
    {"Q5_K_M", "q5_k", DType::q5_k, DType::q6_k, 0.2},
    {"Q4_K_M", "q4_k_m", DType::q4_k, DType::q6_k, 0.2},
    {"Q3_K_M", "q3_k", DType::q3_k, DType::q5_k, 0.3},
    {"Q2_K", "q2_k", DType::q2_k, DType::q3_k, 0.3},
}};

// The error of a weight doubles with each bit less.
double loss_of_bits(double from, double to) { return 2 * (std::exp2(5 - to) - std::exp2(5 - from)); }

// How the model that is called `reference` is called in another type; empty: nobody knows.
std::string in_type(const std::string& reference, const Quantization& q) {
  if (reference.starts_with(kSynthetic))
    return reference.substr(0, reference.rfind(':') + 1) + std::string(q.synthetic);
  const store::ModelRef ref = store::parse_model_ref(reference);
  if (ref.kind == store::RefKind::hugging_face && ref.file.empty())
    return fmt::format("hf.co/{}:{}", ref.target, q.name);
  const store::CatalogueEntry* entry =
      ref.kind == store::RefKind::catalogue ? store::find_in_catalogue(ref.target) : nullptr;
  if (!entry) return "";
  std::string quant(q.name);
  std::ranges::transform(quant, quant.begin(), [](unsigned char c) { return std::tolower(c); });
  return fmt::format("{}-{}", entry->name, quant);
}

// Adds the best settings of another model that takes `other.bytes` more or less than this one.
void add_model(Planner& planner, Wanted wanted, const Configuration& other, std::vector<Configuration>& to) {
  wanted.more = other.bytes;
  const std::vector<Configuration> settings = fitting_settings(planner, wanted);
  if (settings.empty()) return;
  Configuration best = settings.front();
  best.model = other.model;
  best.change = best.change.empty() ? other.change : other.change + ", " + best.change;
  best.loss += other.loss;
  to.push_back(std::move(best));
}

void add_quantizations(Planner& planner, const Wanted& wanted, const std::string& reference,
                       std::vector<Configuration>& to) {
  const ModelDescription& d = planner.description();
  const double elements = static_cast<double>(std::max<std::int64_t>(d.parameters, 1));
  const double bits = 8 * static_cast<double>(d.file_bytes) / elements;
  for (const Quantization& q : kQuantizations) {
    const double bytes = (1 - q.share) * static_cast<double>(planner.weight_bytes_as(q.type)) +
                         q.share * static_cast<double>(planner.weight_bytes_as(q.more));
    const double new_bits = 8 * bytes / elements;
    const std::string name = in_type(reference, q);
    if (name.empty() || new_bits > bits - 0.3) continue;
    add_model(planner, wanted,
              {.model = name,
               .change = fmt::format("weights in {}", q.name),
               .bytes = static_cast<std::int64_t>(bytes) - d.file_bytes,
               .loss = loss_of_bits(bits, new_bits)},
              to);
  }
}

// Of the same family or architecture. What is not weights is taken to be as large as this model's, which it
// is at most.
void add_siblings(Planner& planner, const Wanted& wanted, const std::string& reference,
                  std::vector<Configuration>& to) {
  const ModelDescription& d = planner.description();
  const store::CatalogueEntry* known =
      reference.starts_with(kSynthetic) ? nullptr
                                        : store::find_in_catalogue(store::parse_model_ref(reference).target);
  const auto family = [](std::string_view name) { return name.substr(0, name.find(':')); };
  for (const store::CatalogueEntry& entry : store::catalogue()) {
    const bool sibling = known && family(entry.name) == family(known->name);
    const auto bytes = static_cast<std::int64_t>(entry.bytes);
    if (!sibling && entry.architecture != d.architecture) continue;
    if (entry.parameters >= d.parameters * 9 / 10 || bytes >= d.file_bytes) continue;
    const double ratio = static_cast<double>(d.parameters) / static_cast<double>(entry.parameters);
    add_model(planner, wanted,
              {.model = std::string(entry.name),
               .change = "a smaller model",
               .bytes = bytes - d.file_bytes,
               .loss = (sibling ? 2.5 : 3.5) + 2 * std::log2(ratio)},
              to);
  }
}

}  // namespace

std::vector<Configuration> fitting_settings(Planner& planner, const Wanted& wanted) {
  const EngineOptions settled = planner.plan(wanted.options).options;
  std::vector<int> sequences = {settled.sequences};
  if (wanted.may.parallel && settled.sequences > 1) sequences.push_back(1);
  std::vector<Configuration> found;
  for (const int count : sequences) {
    for (const KvChoice& kv : kv_choices(settled, wanted.may)) {
      EngineOptions options = settled;
      options.sequences = count;
      if (kv.type) options.k_type = options.v_type = kv.type;
      const auto bytes = largest_context(planner, wanted, options);
      if (!bytes) continue;
      found.push_back(configuration(settled, options, *bytes));
      found.back().loss += kv.loss;
      // Nothing is gained by giving up more.
      if (options.context == settled.context) break;
    }
    if (!found.empty() && found.back().options.context == settled.context) break;
  }
  std::ranges::sort(found, {}, distance);
  return found;
}

std::vector<Configuration> nearest_configurations(Planner& planner, const Wanted& wanted,
                                                  const std::string& reference, std::size_t most) {
  std::vector<Configuration> found = fitting_settings(planner, wanted);
  add_quantizations(planner, wanted, reference, found);
  add_siblings(planner, wanted, reference, found);
  std::ranges::sort(found, {}, distance);
  if (found.size() > most) found.resize(most);
  return found;
}

}  // namespace medlar::host
