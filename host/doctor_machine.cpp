// The checks of processor, build, memory, heat and power.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/cpu_features.h"
#include "base/system_text.h"
#include "host/doctor.h"
#include "host/linux_files.h"
#include "host/signals.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using Findings = std::vector<Finding>;

Finding finding(Severity severity, std::string what, std::string to_do = "") {
  return {.id = "", .severity = severity, .what = std::move(what), .to_do = std::move(to_do)};
}
Findings ok(std::string what) { return {finding(Severity::ok, std::move(what))}; }

double gigabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

Findings check_cpu(const Patient& patient) {
  const HostInfo& host = patient.host;
  const std::string what =
      fmt::format("{}, {} cores, {} for work", host.cpu, host.physical_cores(), host.default_threads());
  if (host.cpu_quota > 0 && host.cpu_quota < host.physical_cores())
    return {finding(Severity::note,
                    fmt::format("{}; a control group allows {:.1f} of them", what, host.cpu_quota),
                    "raise the CPU limit of the container or service for more speed")};
  return ok(what);
}

Findings check_vectors(const Patient& patient) {
  const CpuFeatures features = detect_cpu_features();
  const CpuLevel best = best_cpu_level(features);
  const CpuLevel used = choose_cpu_level(features, patient.forced_cpu);
  const std::string what = fmt::format("{} kernels; the processor has {}", name(used), to_string(features));
  if (used != best)
    return {finding(Severity::warning, what,
                    fmt::format("unset MEDLAR_CPU to use {} kernels, which are faster", name(best)))};
  if (used == CpuLevel::scalar)
    return {finding(Severity::warning,
                    "no kernels for this processor's vector instructions: several times slower",
                    "use a processor with AVX2 (x86-64, since 2013) or an AArch64 one")};
  return ok(what);
}

Findings check_translation(const Patient& patient) {
  if (!patient.host.rosetta) return {};
  return {finding(
      Severity::problem, "this is the x86-64 program, translated by Rosetta",
      "install Medlar with the arm64 Homebrew in /opt/homebrew, from a terminal that is not translated")};
}

Findings check_build(const Patient&) {
  std::string sanitizer;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  sanitizer = "with a sanitizer";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  sanitizer = "with a sanitizer";
#endif
#endif
#if !defined(__OPTIMIZE__)
  if (sanitizer.empty()) sanitizer = "without optimization";
#endif
  if (!sanitizer.empty())
    return {finding(Severity::warning, fmt::format("compiled {}: many times slower", sanitizer),
                    "build with \"cmake --preset release\"")};
  return ok("optimized");
}

// Two letters and more of a file's head tell what it was compiled for.
std::string architecture_of(const fs::path& program) {
  const std::string head = sysfs::read_text(program).value_or("").substr(0, 64);
  const auto byte = [&](std::size_t i) { return i < head.size() ? static_cast<unsigned char>(head[i]) : 0U; };
  constexpr unsigned kElfX86 = 62, kElfArm = 183;
  if (head.starts_with("\x7f"
                       "ELF")) {
    const unsigned machine = byte(18) | byte(19) << 8;
    return machine == kElfX86 ? "x86-64" : machine == kElfArm ? "arm64" : "";
  }
  constexpr unsigned kMachX86 = 0x01000007, kMachArm = 0x0100000c;  // universal files have another head
  if (head.starts_with("\xcf\xfa\xed\xfe")) {
    const unsigned type = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24;
    return type == kMachX86 ? "x86-64" : type == kMachArm ? "arm64" : "";
  }
  return "";
}

std::string_view own_architecture() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "arm64";
#else
  return "";
#endif
}

// Packages from PyPI come as wheels for the architecture of the Python that pulls them.
Findings check_python(const Patient& patient) {
  std::string_view rest = patient.search_path;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    const fs::path program = fs::path(rest.substr(0, end)) / "python3";
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::error_code error;
    if (!fs::is_regular_file(program, error)) continue;
    const std::string found = architecture_of(program);
    if (found.empty() || found == own_architecture()) return ok(program.string());
    return {
        finding(Severity::warning,
                fmt::format("{} is for {}, this program for {}", program.string(), found, own_architecture()),
                fmt::format("put a Python for {} first on PATH", own_architecture()))};
  }
  return {};
}

Findings check_gpu(const Patient& patient) {
  Findings findings;
  const bool several = std::ranges::count(patient.gpus, std::string(), &Gpu::problem) > 1;
  for (const Gpu& gpu : patient.gpus) {
    if (!gpu.problem.empty()) {
      findings.push_back(finding(Severity::note, "models run on the processor: " + gpu.problem));
      continue;
    }
    std::string what = fmt::format("{}, --device {}", gpu.name, to_string(gpu.device));
    if (several) what += fmt::format(", number {}", gpu.memory.number);
    if (gpu.memory.available > 0)
      what += fmt::format(", has {:.1f} GB for models",
                          gigabytes(static_cast<std::uint64_t>(gpu.memory.available)));
    findings.push_back(finding(Severity::ok, std::move(what)));
  }
  return findings;
}

Findings check_memory(const Patient& patient) {
  const HostInfo& host = patient.host;
  const std::uint64_t limit =
      host.memory_limit > 0 ? std::min(host.memory_limit, host.memory_bytes) : host.memory_bytes;
  const std::string what = fmt::format(
      "{:.1f} GB of {:.1f} GB free{}", gigabytes(host.available_bytes), gigabytes(limit),
      limit < host.memory_bytes ? fmt::format(", limited by a control group on a machine with {:.1f} GB",
                                              gigabytes(host.memory_bytes))
                                : "");
  if (patient.model_bytes > limit)
    return {finding(Severity::problem,
                    fmt::format("{}; the model has {:.1f} GB", what, gigabytes(patient.model_bytes)),
                    "choose a smaller model or quantization")};
  if (patient.model_bytes > host.available_bytes)
    return {finding(Severity::warning,
                    fmt::format("{}; the model has {:.1f} GB", what, gigabytes(patient.model_bytes)),
                    "close other programs, or choose a smaller model")};
  constexpr double kLittle = 0.1;
  if (static_cast<double>(host.available_bytes) < kLittle * static_cast<double>(limit))
    return {finding(Severity::warning, what, "close other programs")};
  return ok(what);
}

Findings check_swap(const Patient& patient) {
  const HostInfo& host = patient.host;
  if (host.swap_bytes == 0) return ok("none");
  const std::string what =
      fmt::format("{:.1f} GB of {:.1f} GB used", gigabytes(host.swap_used_bytes), gigabytes(host.swap_bytes));
  if (host.swap_used_bytes * 10 > host.memory_bytes)
    return {finding(Severity::warning, what, "other programs were pushed out of memory: close some of them")};
  return ok(what);
}

Findings check_huge_pages(const Patient& patient) {
  const std::string setting = sysfs::read_word(patient.root / "sys/kernel/mm/transparent_hugepage/enabled");
  if (setting.empty()) return {};
  if (setting.find("[never]") == std::string::npos) return ok(setting);
  return {finding(Severity::note, "transparent huge pages are off: the cache's memory is reached more slowly",
                  "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, as root")};
}

// What the machine's sources say of this kind when they are first asked.
template <class Kind>
std::optional<Kind> told(const Patient& patient) {
  for (const auto& source : system_sources({.root = patient.root}))
    for (const Signal& signal : source->read(Clock::now(), 0))
      if (const auto* kind = std::get_if<Kind>(&signal)) return *kind;
  return std::nullopt;
}

Findings check_power(const Patient& patient) {
  const PowerSignal power = told<PowerSignal>(patient).value_or(PowerSignal{});
  const std::string what = describe(power).substr(std::string_view("power ").size());
  if (power.low_power)
    return {finding(Severity::warning, what, "leave the power-saving mode for full speed")};
  if (!power.mains) return {finding(Severity::note, what, "connect the charger for full speed")};
  const fs::path policy = patient.root / "sys/devices/system/cpu/cpufreq/policy0";
  const std::string driver = sysfs::read_word(policy / "scaling_driver");
  // The pstate drivers call their normal mode by that name too.
  if (sysfs::read_word(policy / "scaling_governor") == "powersave" &&
      driver.find("pstate") == std::string::npos)
    return {finding(Severity::warning, "the clock is held at its lowest: the frequency governor is powersave",
                    "cpupower frequency-set -g schedutil, as root")};
  return ok(what);
}

Findings check_heat(const Patient& patient) {
  const auto heat = told<ThermalSignal>(patient);
  if (!heat) return ok("the processor's temperature is not told here");
  std::string what(name(heat->state));
  if (heat->celsius) what = fmt::format("{:.0f} degrees, {}", *heat->celsius, what);
  if (heat->limit) what += fmt::format("; slowed down at {:.0f}", *heat->limit);
  if (heat->state < ThermalState::serious) return ok(what);
  return {finding(Severity::warning, what, "let it cool down, and clear its vents")};
}

// What the governor can hear on this machine.
Findings check_signals(const Patient& patient) {
  std::vector<std::string> missing;
  const Sources sources = system_sources({.root = patient.root, .missing = &missing});
  std::vector<std::string_view> names;
  for (const auto& source : sources) names.push_back(source->name());
  Findings findings = ok(fmt::format("the governor hears {}", fmt::join(names, ", ")));
  for (const std::string& line : missing) findings.push_back(finding(Severity::note, line));
  return findings;
}

constexpr Check kChecks[] = {
    {"cpu", check_cpu},       {"vectors", check_vectors}, {"translation", check_translation},
    {"build", check_build},   {"python", check_python},   {"gpu", check_gpu},
    {"memory", check_memory}, {"swap", check_swap},       {"huge-pages", check_huge_pages},
    {"power", check_power},   {"heat", check_heat},       {"signals", check_signals}};

}  // namespace

std::span<const Check> machine_checks() { return kChecks; }

}  // namespace medlar::host
