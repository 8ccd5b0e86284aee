#include "host/doctor.h"

#include "base/error.h"

namespace medlar::host {

std::string_view name(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return "ok";
    case Severity::note:
      return "note";
    case Severity::warning:
      return "warning";
    case Severity::problem:
      return "problem";
  }
  return "";
}

std::vector<Finding> examine(const Patient& patient) {
  std::vector<Finding> findings;
  for (const auto checks : {machine_checks(), process_checks(), storage_checks()}) {
    for (const Check& check : checks) {
      try {
        for (Finding& finding : check.run(patient)) {
          finding.id = check.id;
          findings.push_back(std::move(finding));
        }
      } catch (const Error& e) {
        if (e.kind() == ErrorKind::cancelled) throw;
        findings.push_back({.id = std::string(check.id),
                            .severity = Severity::problem,
                            .what = e.what(),
                            .to_do = e.hint()});
      }
    }
  }
  return findings;
}

}  // namespace medlar::host
