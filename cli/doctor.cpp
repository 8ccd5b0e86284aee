// medlar doctor: what stands in the way of running models well here, and what to do about it.
#include "host/doctor.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "engine/engine.h"

namespace medlar::cli {
namespace {

std::string or_empty(const char* value) { return value == nullptr ? "" : value; }

Style style_of(host::Severity severity) {
  switch (severity) {
    case host::Severity::ok:
      return Style::dim;
    case host::Severity::note:
      return Style::plain;
    case host::Severity::warning:
      return Style::bold;
    case host::Severity::problem:
      return Style::red;
  }
  return Style::plain;
}

struct DoctorCommand {
  std::string model;
  bool json = false, verify = false;

  void run(const Console& console) const {
    store::Store store = open_store();
    const Interrupt interrupt;
    host::Patient patient{.host = probe(),
                          .gpus = find_gpus(),
                          .search_path = or_empty(std::getenv("PATH")),
                          .forced_cpu = or_empty(std::getenv("MEDLAR_CPU")),
                          .store = &store,
                          .verify = verify,
                          .cancel = &interrupt.flag()};
    store::ResolvedModel resolved;  // in use until the end
    if (!model.empty()) {
      resolved = store.resolve(model);
      patient.model = resolved.path;
      patient.model_bytes = static_cast<std::uint64_t>(describe(resolved.path).file_bytes);
      if (const auto installed = store.find(model)) patient.model_bytes = installed->bytes;
    }
    const std::vector<host::Finding> findings = host::examine(patient);
    const auto problems = std::ranges::count(findings, host::Severity::problem, &host::Finding::severity);
    if (json) {
      console.write(to_line(as_json(findings, problems)));
    } else {
      print(findings, console);
    }
    if (problems > 0)
      throw Error(ErrorKind::unsupported, problems == 1 ? "1 problem" : fmt::format("{} problems", problems),
                  "what to do stands below each");
  }

  static boost::json::object as_json(const std::vector<host::Finding>& findings, std::ptrdiff_t problems) {
    boost::json::array array;
    for (const host::Finding& finding : findings) {
      array.push_back({{"id", finding.id},
                       {"severity", host::name(finding.severity)},
                       {"what", finding.what},
                       {"to_do", finding.to_do}});
    }
    return {{"problems", problems}, {"findings", std::move(array)}};
  }

  static void print(const std::vector<host::Finding>& findings, const Console& console) {
    constexpr std::size_t kSeverity = 7;  // the longest, "warning"
    std::size_t width = 0;
    for (const host::Finding& finding : findings) width = std::max(width, finding.id.size());
    for (const host::Finding& finding : findings) {
      const std::string severity = fmt::format("{:<{}}", host::name(finding.severity), kSeverity);
      console.write(fmt::format("{}  {:<{}}  {}\n",
                                styled(console.output, style_of(finding.severity), severity), finding.id,
                                width, visible(finding.what)));
      if (!finding.to_do.empty())
        console.write(fmt::format("{:{}}-> {}\n", "", kSeverity + width + 4, visible(finding.to_do)));
    }
  }
};

}  // namespace

void add_doctor(CLI::App& program, const Console& console) {
  auto options = std::make_shared<DoctorCommand>();
  CLI::App* command = add_command(program, "doctor", "Find what keeps models from running well here",
                                  "medlar doctor smollm2:135m");
  command->add_option("model", options->model, "A model to judge the machine by")->type_name("MODEL");
  command->add_flag("--verify", options->verify, "Read and hash every file of the store");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &console] { options->run(console); });
}

}  // namespace medlar::cli
