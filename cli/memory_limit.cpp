#include "cli/memory_limit.h"

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

MemoryFlag::Loaded MemoryFlag::load(host::AdmissionRequest request, const Console& console) const {
  request.limit = value();
  // What the machine can spare is less already by what this process has.
  if (given() && request.options.ledger)
    request.limit.bytes -= static_cast<std::int64_t>(request.options.ledger->snapshot().total().held);
  host::Admission admission = host::admit(request);
  if (!admission.note.empty())
    console.message(styled(console.messages, Style::dim, "note: " + visible(admission.note)));
  std::shared_ptr<Engine> engine = std::move(admission).load();
  return {std::move(engine), admission.options};
}

}  // namespace medlar::cli
