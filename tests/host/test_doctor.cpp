// The doctor's checks on invented machines and stores.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "host/doctor.h"
#include "store/store.h"
#include "tests/host/linux_tree.h"

namespace medlar::host {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kGB = 1'000'000'000;

class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    patient_.root = tree_.root();
    patient_.host = {.cpu = "Test CPU", .memory_bytes = 16 * kGB, .available_bytes = 8 * kGB};
  }
  std::vector<Finding> all(std::string_view id) {
    std::vector<Finding> found = examine(patient_);
    std::erase_if(found, [&](const Finding& f) { return f.id != id; });
    return found;
  }
  Finding one(std::string_view id) {
    const std::vector<Finding> found = all(id);
    if (found.size() != 1) throw std::runtime_error("not one finding of " + std::string(id));
    EXPECT_FALSE(found[0].what.empty());
    EXPECT_EQ(found[0].what.find('\n'), std::string::npos);
    if (found[0].severity >= Severity::warning) {
      EXPECT_FALSE(found[0].to_do.empty()) << "says nothing to do: " << found[0].what;
    }
    return found[0];
  }
  Severity severity(std::string_view id) { return one(id).severity; }
  store::Store& open_store() {
    patient_.store = &store_;
    return store_;
  }
  void process(int id, const std::string& words, long resident_kb) {
    const std::string folder = "proc/" + std::to_string(id) + "/";
    std::string line = words + " ";
    std::ranges::replace(line, ' ', '\0');
    tree_.write(folder + "cmdline", line);
    tree_.write(folder + "status", "Name:\tx\nVmRSS:\t " + std::to_string(resident_kb) + " kB\n");
  }

  LinuxTree tree_;
  LinuxTree home_;
  store::Store store_{{.root = home_.root()}};
  Patient patient_;
};

TEST_F(DoctorTest, AnEmptyMachineHasNoProblem) {
  for (const Finding& finding : examine(patient_)) {
    EXPECT_NE(finding.severity, Severity::problem) << finding.id << ": " << finding.what;
    EXPECT_FALSE(finding.id.empty());
  }
}

TEST_F(DoctorTest, IdsAreUnique) {
  std::vector<std::string_view> ids;
  for (const auto checks : {machine_checks(), process_checks(), storage_checks()})
    for (const Check& check : checks) ids.push_back(check.id);
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
}

TEST_F(DoctorTest, MemoryAgainstTheModel) {
  EXPECT_EQ(severity("memory"), Severity::ok);
  patient_.model_bytes = 10 * kGB;
  EXPECT_EQ(severity("memory"), Severity::warning);
  patient_.model_bytes = 20 * kGB;
  EXPECT_EQ(severity("memory"), Severity::problem);
  patient_.model_bytes = 3 * kGB;
  patient_.host.memory_limit = 2 * kGB;
  patient_.host.available_bytes = kGB;
  EXPECT_EQ(severity("memory"), Severity::problem);
  EXPECT_THAT(one("memory").what, HasSubstr("control group"));
  patient_.model_bytes = 0;
  patient_.host.available_bytes = kGB / 10;
  EXPECT_EQ(severity("memory"), Severity::warning);
}

TEST_F(DoctorTest, Gpus) {
  EXPECT_TRUE(all("gpu").empty());
  patient_.gpus = {{.name = "Test GPU", .memory = {.apart = true, .available = 12 * kGB}},
                   {.device = Device::metal, .problem = "there is no such thing", .to_do = "buy one"}};
  const std::vector<Finding> found = all("gpu");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].what, "Test GPU, --device cuda, has 12.0 GB for models");
  EXPECT_EQ(found[1].severity, Severity::note);
  EXPECT_THAT(found[1].what, HasSubstr("there is no such thing"));
  patient_.gpus[1] = {.name = "Other GPU", .memory = {.apart = true, .number = 1, .available = 8 * kGB}};
  EXPECT_EQ(all("gpu")[0].what, "Test GPU, --device cuda, number 0, has 12.0 GB for models");
  EXPECT_EQ(all("gpu")[1].what, "Other GPU, --device cuda, number 1, has 8.0 GB for models");
}

TEST_F(DoctorTest, Swap) {
  EXPECT_EQ(one("swap").what, "none");
  patient_.host.swap_bytes = 8 * kGB;
  patient_.host.swap_used_bytes = kGB / 10;
  EXPECT_EQ(severity("swap"), Severity::ok);
  patient_.host.swap_used_bytes = 7 * kGB;
  EXPECT_EQ(severity("swap"), Severity::warning);
}

TEST_F(DoctorTest, ForcedKernels) {
  EXPECT_LE(severity("vectors"), Severity::warning);
  patient_.forced_cpu = "scalar";
  EXPECT_EQ(severity("vectors"), Severity::warning);
  EXPECT_THAT(one("vectors").to_do, HasSubstr("MEDLAR_CPU"));
  patient_.forced_cpu = "abacus";
  EXPECT_EQ(severity("vectors"), Severity::problem) << "an Error is a finding";
}

TEST_F(DoctorTest, RosettaAndQuota) {
  EXPECT_TRUE(all("translation").empty());
  patient_.host.rosetta = true;
  EXPECT_EQ(severity("translation"), Severity::problem);
  patient_.host.cores = {{.name = "Performance", .physical = 8, .logical = 8}};
  EXPECT_EQ(severity("cpu"), Severity::ok);
  patient_.host.cpu_quota = 2;
  EXPECT_EQ(severity("cpu"), Severity::note);
}

TEST_F(DoctorTest, PythonOfAnotherArchitecture) {
  EXPECT_TRUE(all("python").empty());
  patient_.search_path = "/nonexistent:" + (tree_.root() / "bin").string();
  std::string elf(
      "\x7f"
      "ELF");
  elf.resize(64);
#if defined(__aarch64__)
  elf[18] = 62;
#else
  elf[18] = static_cast<char>(183);
#endif
  tree_.write("bin/python3", elf);
  EXPECT_EQ(severity("python"), Severity::warning);
  tree_.write("bin/python3", "#!/bin/sh\n");
  EXPECT_EQ(severity("python"), Severity::ok);
  tree_.write("bin/python3", "");
  EXPECT_EQ(severity("python"), Severity::ok);
}

TEST_F(DoctorTest, HugePages) {
  EXPECT_TRUE(all("huge-pages").empty());
  tree_.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  EXPECT_EQ(severity("huge-pages"), Severity::ok);
  tree_.write("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  EXPECT_EQ(severity("huge-pages"), Severity::note);
}

TEST_F(DoctorTest, PowerAndClock) {
  EXPECT_EQ(one("power").what, "mains");
  tree_.write("sys/class/power_supply/BAT0/type", "Battery\n");
  tree_.write("sys/class/power_supply/BAT0/status", "Discharging\n");
  EXPECT_EQ(severity("power"), Severity::note);
  tree_.write("sys/firmware/acpi/platform_profile", "low-power\n");
  EXPECT_EQ(severity("power"), Severity::warning);
  tree_.write("sys/firmware/acpi/platform_profile", "balanced\n");
  tree_.write("sys/class/power_supply/BAT0/status", "Full\n");
  tree_.write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n");
  tree_.write("sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "intel_pstate\n");
  EXPECT_EQ(severity("power"), Severity::ok);
  tree_.write("sys/devices/system/cpu/cpufreq/policy0/scaling_driver", "acpi-cpufreq\n");
  EXPECT_EQ(severity("power"), Severity::warning);
}

TEST_F(DoctorTest, Heat) {
  EXPECT_EQ(severity("heat"), Severity::ok);
  tree_.write("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n");
  tree_.write("sys/class/thermal/thermal_zone0/temp", "50000\n");
  EXPECT_THAT(one("heat").what, HasSubstr("50 degrees, nominal"));
  tree_.write("sys/class/thermal/thermal_zone0/temp", "96000\n");
  EXPECT_EQ(severity("heat"), Severity::warning);
}

TEST_F(DoctorTest, OtherRuntimes) {
  process(10, "/usr/bin/vim /home/x/ollama/notes", 900'000);  // only a folder has such a name
  process(11, "/usr/local/bin/ollama serve", 50'000);         // little
  process(12, "", 900'000);                                   // a thread of the kernel
  EXPECT_EQ(severity("runtimes"), Severity::ok);
  process(13, "/usr/local/bin/ollama runner --model x", 4'000'000);
  process(14, "/usr/bin/python3 /opt/venv/bin/mlx_lm.server", 2'000'000);
  process(15, "/opt/llama-server -m x.gguf", 1'000'000);
  const std::vector<Finding> found = all("runtimes");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].what, "ollama (process 13) holds 4.1 GB");
  EXPECT_EQ(found[1].what, "mlx_lm (process 14) holds 2.0 GB");
  EXPECT_EQ(found[2].severity, Severity::warning);
}

TEST_F(DoctorTest, SignalsSayWhatIsMissing) {
  const std::vector<Finding> found = all("signals");
  EXPECT_GT(found.size(), 1U);
  EXPECT_EQ(found[0].severity, Severity::ok);
  for (const Finding& finding : found) EXPECT_LE(finding.severity, Severity::note);
}

TEST_F(DoctorTest, BrokenStoreEntries) {
  EXPECT_TRUE(all("store").empty());
  open_store();
  EXPECT_EQ(one("store").what, "0 models");
  home_.write("models/some.json", "{ no json");
  EXPECT_EQ(severity("store"), Severity::problem);
}

TEST_F(DoctorTest, Databases) {
  open_store();
  EXPECT_EQ(severity("databases"), Severity::ok);
  home_.write("history.db", "");
  EXPECT_EQ(severity("databases"), Severity::ok) << "new";
  home_.write("history.db", "this is no database, but long enough to look");
  EXPECT_EQ(severity("databases"), Severity::problem);
  std::string database("SQLite format 3\0\x02\x00", 18);  // pages of 512 bytes
  database.resize(1024);
  home_.write("history.db", database);
  EXPECT_EQ(severity("databases"), Severity::ok);
  database.resize(1000);
  home_.write("history.db", database);
  EXPECT_THAT(one("databases").what, HasSubstr("is cut short"));
  home_.write("history.db", "");
  home_.write("history.damaged-20260102.db", "x");
  EXPECT_EQ(severity("databases"), Severity::note);
}

TEST_F(DoctorTest, DiskSpeedOfAModel) {
  EXPECT_TRUE(all("disk-speed").empty());
  home_.write("model.gguf", std::string(std::size_t{16} << 20, 'x'));
  patient_.model = home_.root() / "model.gguf";
  patient_.model_bytes = std::uint64_t{16} << 20;
  EXPECT_LE(one("disk-speed").severity, Severity::warning);
  patient_.model = home_.root() / "missing.gguf";
  EXPECT_EQ(one("disk-speed").what, "cannot be told here");
  EXPECT_LE(one("file-system").severity, Severity::warning);
}

TEST_F(DoctorTest, VerifyCanBeCancelled) {
  const std::atomic<bool> cancelled = true;
  open_store();
  patient_.verify = true;
  patient_.cancel = &cancelled;
  EXPECT_NO_THROW(examine(patient_)) << "nothing to verify";
}

}  // namespace
}  // namespace medlar::host
