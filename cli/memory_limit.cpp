#include "cli/memory_limit.h"

#include <algorithm>
#include <utility>

#include "base/ledger.h"
#include "cli/units.h"

namespace medlar::cli {

void MemoryFlag::add_to(CLI::App& command) {
  command
      .add_option("--memory-limit", limit,
                  "Memory that may be taken (10G, 512M); what the machine can spare if not given")
      ->type_name("SIZE")
      ->group("Model and machine");
}

host::Limit MemoryFlag::value() const {
  if (given()) return {.bytes = parse_bytes("--memory-limit", limit), .reason = "--memory-limit"};
  const host::Machine machine = host::this_machine();
  return {.bytes = static_cast<std::int64_t>(machine.limit_bytes), .reason = machine.limit_reason};
}

host::Limit MemoryFlag::room(const EngineOptions& options) const {
  host::Limit limit = value();
  // What the machine can spare is less already by what this process has.
  if (given() && options.ledger)
    limit.bytes -= static_cast<std::int64_t>(options.ledger->snapshot().total().held);
  return limit;
}

std::shared_ptr<host::MemoryLease> MemoryFlag::join(host::MemoryLeaseOptions options) const {
  if (given()) options.most = static_cast<std::uint64_t>(value().bytes);
  return std::make_shared<host::MemoryLease>(std::move(options));
}

MemoryFlag::Loaded MemoryFlag::load(host::AdmissionRequest request,
                                    const std::shared_ptr<host::MemoryLease>& lease,
                                    const Console& console) const {
  host::MemoryLease::Mapping mapping = lease->map(request.path);
  const host::MemoryLease::Asking asking = lease->ask();
  const std::uint64_t held = request.options.ledger ? request.options.ledger->snapshot().total().held : 0;
  request.limit = room(request.options);
  const host::MemoryLease::Report report = lease->report();
  const auto left = static_cast<std::int64_t>(report.share - std::min(report.share, held));
  if (left < request.limit.bytes && report.members.size() > 1)
    request.limit = {.bytes = left, .reason = "what other programs of Medlar leave"};
  host::Admission admission = host::admit(request);
  if (!admission.note.empty())
    console.message(styled(console.messages, Style::dim, "note: " + visible(admission.note)));
  // In this order, from below, they end.
  struct Kept {
    std::shared_ptr<host::MemoryLease> lease;
    host::MemoryLease::Mapping mapping;
    std::shared_ptr<Engine> engine;
  };
  const auto kept = std::make_shared<Kept>(lease, std::move(mapping), std::move(admission).load());
  if (const std::string_view where = kept->engine->placement(); !where.empty())
    console.message(styled(console.messages, Style::dim, visible(std::string(where))));
  const runtime::MemoryPlan& plan = kept->engine->memory_plan();
  kept->mapping.resize(static_cast<std::uint64_t>(plan.weights));
  return {std::shared_ptr<Engine>(kept, kept->engine.get()), admission.options};
}

MemoryFlag::Loaded MemoryFlag::load(host::AdmissionRequest request, const Program& program,
                                    const Console& console) const {
  const auto lease = join({.file = program.home / host::kLeaseFileName, .name = program.name});
  Loaded loaded = load(std::move(request), lease, console);
  // Not what is in a GPU's own memory, nor the file's pages.
  const Ledger::Snapshot books = loaded.engine->ledger().snapshot();
  lease->hold(books[MemoryUse::kv].held + books[MemoryUse::activations].held +
              books[MemoryUse::scratch].held);
  return loaded;
}

}  // namespace medlar::cli
