#include "cli/models.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "base/host.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"

namespace medlar::cli {

store::Store open_store() { return store::Store(store::options_from_environment()); }

store::ProgressFn progress_on(const Console& console) {
  auto bar = std::make_shared<ProgressBar>(console.messages, stderr);
  return [bar](const store::ProgressEvent& event) {
    bar->show({.what = std::string(store::name(event.phase)),
               .done = event.bytes_done,
               .total = event.bytes_total,
               .per_second = event.bytes_per_second,
               .seconds_left = event.seconds_left});
  };
}

store::PullResult pull_model(store::Store& store, const std::string& reference, const Console& console) {
  const Interrupt interrupt;
  try {
    store::PullResult result =
        store.pull(reference, {.progress = progress_on(console), .cancel = &interrupt.flag()});
    for (const std::string& note : result.notes) console.message("note: " + visible(note));
    return result;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::cancelled) throw;
    throw Error(ErrorKind::cancelled, fmt::format("{}: stopped by Ctrl-C", reference),
                fmt::format("medlar pull {} goes on where it stopped", reference));
  }
}

store::ResolvedModel resolve_or_pull(store::Store& store, const std::string& reference,
                                     const Console& console) {
  if (store.can_pull(reference)) {
    console.message(styled(console.messages, Style::dim, fmt::format("pulling {}", visible(reference))));
    pull_model(store, reference, console);
  }
  return store.resolve(reference);
}

std::string best_installed(const store::Store& store) {
  const std::uint64_t room = probe().available_bytes / 2;
  const store::CatalogueEntry* best = nullptr;
  for (const store::InstalledModel& model : store.list()) {
    const store::CatalogueEntry* entry = store::find_in_catalogue(model.name);
    if (!entry || !model.problem.empty() || model.bytes > room) continue;
    if (!best || entry->parameters > best->parameters) best = entry;
  }
  return std::string(best ? best->name : "");
}

std::string best_model(const store::Store& store) {
  const std::string best = best_installed(store);
  return best.empty() ? std::string(kDefaultModel) : best;
}

}  // namespace medlar::cli
