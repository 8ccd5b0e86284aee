// The checks of other processes, and of what the system allows this one.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/system_text.h"
#include "host/awake.h"
#include "host/doctor.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using Findings = std::vector<Finding>;

// Other runtimes of models, by a part of their command's first two words.
constexpr std::array<std::string_view, 11> kRuntimes = {
    "ollama",    "llama-server", "llama-cli",       "LM Studio", "lm-studio", "mlx_lm",
    "koboldcpp", "vllm",         "text-generation", "gpt4all",   "llamafile"};
constexpr std::uint64_t kMuch = 100'000'000;  // bytes

// The program and its first argument, as in "python3 mlx_lm.server".
std::string first_words(const fs::path& process) {
  std::string line = sysfs::read_text(process / "cmdline").value_or("");
  const auto first = line.find('\0');
  if (first != std::string::npos) line.resize(std::min(line.find('\0', first + 1), line.size()));
  std::ranges::replace(line, '\0', ' ');
  return line;
}

// The last part of its path, or "": what runs under `process` is no runtime.
std::string_view runtime_of(const fs::path& process) {
  const std::string words = first_words(process);
  if (words.empty()) return {};
  // Only what follows the folders: somebody's folder may have such a name.
  std::string names;
  for (std::string_view rest = words; !rest.empty();) {
    const auto end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    names += fmt::format("{} ", word.substr(word.rfind('/') + 1));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto known = std::ranges::find_if(kRuntimes, [&](auto n) { return names.find(n) != names.npos; });
  return known == kRuntimes.end() ? std::string_view() : *known;
}

Findings check_runtimes(const Patient& patient) {
  Findings findings;
  for (const fs::path& process : sysfs::entries(patient.root / "proc")) {
    const std::string id = process.filename().string();
    if (id.empty() || !std::ranges::all_of(id, [](char c) { return c >= '0' && c <= '9'; })) continue;
    const std::string_view runtime = runtime_of(process);
    if (runtime.empty()) continue;
    const std::string status = sysfs::read_text(process / "status").value_or("");
    const std::uint64_t resident =
        sysfs::leading_number(sysfs::field(status, "VmRSS:").value_or("0")).value_or(0) * 1024;
    if (resident < kMuch) continue;
    findings.push_back({.severity = Severity::warning,
                        .what = fmt::format("{} (process {}) holds {:.1f} GB", runtime, id,
                                            static_cast<double>(resident) / 1e9),
                        .to_do = "unload its models, or stop it"});
  }
  if (findings.empty()) findings.push_back({.what = "no other runtime holds memory"});
  return findings;
}

Findings check_descriptors(const Patient&) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  if (limit.rlim_cur == RLIM_INFINITY) return {{.what = "unlimited"}};
  constexpr rlim_t kFew = 1024;
  Finding found{.what = fmt::format("{} may be open", limit.rlim_cur)};
  if (limit.rlim_cur < kFew) {
    found.severity = Severity::warning;
    found.to_do = "raise it for a server of many clients: ulimit -n 4096";
  }
  return {found};
}

Findings check_address_space(const Patient&) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  return {{.severity = Severity::warning,
           .what = fmt::format("the address space is limited to {:.1f} GB",
                               static_cast<double>(limit.rlim_cur) / 1e9),
           .to_do = "mapped models need address space, not memory: ulimit -v unlimited"}};
}

Findings check_sleep(const Patient&) {
  Awake awake("trying whether it can");
  const Awake::Hold hold = awake.hold();
  if (awake.locked()) return {{.what = "the machine stays awake while it answers"}};
  return {{.severity = Severity::note,
           .what = "no way to keep the machine awake while it answers: logind does not answer",
           .to_do = "a machine that falls asleep by itself needs a longer time until it does"}};
}

constexpr Check kChecks[] = {{"runtimes", check_runtimes},
                             {"descriptors", check_descriptors},
                             {"address-space", check_address_space},
                             {"sleep", check_sleep}};

}  // namespace

std::span<const Check> process_checks() { return kChecks; }

}  // namespace medlar::host
