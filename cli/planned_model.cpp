#include "cli/planned_model.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/models.h"
#include "cli/units.h"
#include "store/quant.h"

namespace medlar::cli {
namespace {

constexpr std::string_view kSynthetic = "synthetic:";

PlannedModel planned_shape(const std::string& name, const tune::SynthModel& model) {
  auto file = std::make_shared<tune::SynthFile>(model, tune::SynthOptions{.weights = false});
  return {.name = name, .path = file->path(), .shape = file};
}

// The shape of a catalogue model in its type, where both are known.
std::optional<tune::SynthModel> shape_of(const store::CatalogueEntry& entry, std::string quant) {
  if (quant.empty()) quant = entry.quant;
  std::ranges::transform(quant, quant.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto shapes = tune::synth_shapes();
  const auto shape = std::ranges::find(shapes, entry.name, &tune::SynthShape::catalogue);
  const auto mixes = tune::synth_mixes();
  const auto mix = std::ranges::find(mixes, quant, &tune::SynthMix::name);
  if (shape == shapes.end() || mix == mixes.end()) return std::nullopt;
  return tune::SynthModel{.shape = *shape, .mix = *mix};
}

}  // namespace

PlannedModel planned_model(const std::string& reference) {
  if (reference.starts_with(kSynthetic))
    return planned_shape(reference, tune::parse_synth(reference.substr(kSynthetic.size())));
  store::Store store = open_store();
  if (!store.can_pull(reference)) {
    store::ResolvedModel resolved = store.resolve(reference);
    return {.name = resolved.name, .path = resolved.path, .in_use = std::move(resolved.in_use)};
  }
  const store::ModelRef ref = store::parse_model_ref(reference);
  const store::CatalogueEntry* entry =
      ref.kind == store::RefKind::catalogue ? store::find_in_catalogue(ref.target) : nullptr;
  if (entry) {
    if (const auto shape = shape_of(*entry, ref.quant)) {
      PlannedModel model = planned_shape(std::string(entry->name), *shape);
      model.note = "not pulled yet: planned from the shape that is published";
      return model;
    }
    if (ref.quant.empty())
      throw Error(ErrorKind::not_found,
                  fmt::format("{} is not here, and of it the catalogue knows only that its weights take {}",
                              entry->name, format_bytes(entry->bytes)),
                  fmt::format("medlar pull {}", entry->name));
  }
  throw Error(ErrorKind::not_found, fmt::format("{} is not here, so nothing is known of it", reference),
              fmt::format("medlar pull {}", reference));
}

}  // namespace medlar::cli
