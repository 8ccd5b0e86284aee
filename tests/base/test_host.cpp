// Host facts read from invented Linux trees, and this machine's own against what the C library says.
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/host.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kGiB = 1ULL << 30;

// A tree of small files that looks like /proc and /sys; removed at the end.
class LinuxTree {
 public:
  LinuxTree() {
    std::string name = (fs::temp_directory_path() / "medlar-host-XXXXXX").string();
    root_ = mkdtemp(name.data());
    write("proc/meminfo", "MemTotal:       16777216 kB\nMemFree:  100 kB\nMemAvailable:   8388608 kB\n");
  }
  ~LinuxTree() { fs::remove_all(root_); }
  LinuxTree(const LinuxTree&) = delete;
  LinuxTree& operator=(const LinuxTree&) = delete;

  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void cpu(int i, const std::string& file, const std::string& text) {
    write("sys/devices/system/cpu/cpu" + std::to_string(i) + "/" + file, text);
  }
  void online(const std::string& list) { write("sys/devices/system/cpu/online", list); }
  void allowed(const std::string& list) {
    write("proc/self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + list + "\n");
  }
  HostInfo read() const { return read_linux_host(root_); }

 private:
  fs::path root_;
};

TEST(LinuxHost, EmptyTreeGivesOneCore) {
  const HostInfo host = read_linux_host("/nonexistent");
  EXPECT_EQ(host.physical_cores(), 1);
  EXPECT_EQ(host.default_threads(), 1);
  EXPECT_EQ(host.memory_bytes, 0U);
  EXPECT_EQ(host.os, "Linux");
  EXPECT_EQ(host.cpu, "unknown");
}

TEST(LinuxHost, Swap) {
  LinuxTree tree;
  EXPECT_EQ(tree.read().swap_bytes, 0U);
  tree.write("proc/meminfo", "MemTotal: 16777216 kB\nSwapTotal:  2097152 kB\nSwapFree:  1048576 kB\n");
  EXPECT_EQ(tree.read().swap_bytes, 2 * kGiB);
  EXPECT_EQ(tree.read().swap_used_bytes, kGiB);
}

TEST(LinuxHost, SmtSiblingsAreOneCore) {
  LinuxTree tree;
  tree.online("0-7\n");
  for (int i = 0; i < 8; ++i) {
    tree.cpu(i, "topology/thread_siblings_list",
             std::to_string(i % 4) + "," + std::to_string(i % 4 + 4) + "\n");
  }
  const HostInfo host = tree.read();
  ASSERT_EQ(host.cores.size(), 1U);
  EXPECT_EQ(host.cores[0].physical, 4);
  EXPECT_EQ(host.cores[0].logical, 8);
  EXPECT_EQ(host.cores[0].cpus, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(host.default_threads(), 4);
}

TEST(LinuxHost, AffinityKeepsOnlyAllowedCores) {
  LinuxTree tree;
  tree.online("0-7\n");
  tree.allowed("3,5-7");
  for (int i = 0; i < 8; ++i) {
    tree.cpu(i, "topology/core_cpus_list", std::to_string(i & ~1) + "-" + std::to_string(i | 1) + "\n");
  }
  const HostInfo host = tree.read();
  EXPECT_EQ(host.physical_cores(), 3);  // {2,3}, {4,5}, {6,7}
  EXPECT_EQ(host.cores[0].logical, 4);
  EXPECT_EQ(host.cores[0].cpus, (std::vector<int>{3, 5, 6}));  // threads it may run on
}

TEST(LinuxHost, BigLittleByCapacity) {
  LinuxTree tree;
  tree.online("0-8");
  const int capacity[9] = {250, 250, 250, 250, 870, 870, 870, 870, 1024};
  for (int i = 0; i < 9; ++i) tree.cpu(i, "cpu_capacity", std::to_string(capacity[i]) + "\n");
  const HostInfo host = tree.read();
  ASSERT_EQ(host.cores.size(), 3U);
  EXPECT_EQ(host.cores[0].cpus, std::vector<int>{8});
  EXPECT_TRUE(host.cores[1].performance);
  EXPECT_FALSE(host.cores[2].performance);
  EXPECT_EQ(host.performance_cores(), 5);
  EXPECT_EQ(host.default_threads(), 5);
}

TEST(LinuxHost, OnlyLittleCoresAllowedAreAllUsed) {
  LinuxTree tree;
  tree.online("0-3");
  tree.allowed("0-1");
  for (int i = 0; i < 4; ++i) tree.cpu(i, "cpu_capacity", i < 2 ? "250" : "1024");
  EXPECT_EQ(tree.read().default_threads(), 2);
}

TEST(LinuxHost, HybridX86CountsPerformanceCores) {
  LinuxTree tree;
  tree.online("0-11");
  tree.write("sys/devices/cpu_core/cpus", "0-3\n");
  tree.write("sys/devices/cpu_atom/cpus", "4-11\n");
  for (int i = 0; i < 4; ++i) {
    tree.cpu(i, "topology/core_cpus_list", std::to_string(i & ~1) + "-" + std::to_string(i | 1));
  }
  for (int i = 4; i < 12; ++i) tree.cpu(i, "topology/core_cpus_list", std::to_string(i));
  const HostInfo host = tree.read();
  EXPECT_EQ(host.performance_cores(), 2);
  EXPECT_EQ(host.physical_cores(), 10);
  EXPECT_EQ(host.default_threads(), 2);
}

TEST(LinuxHost, Caches) {
  LinuxTree tree;
  tree.online("0");
  const char* entries[4][4] = {{"1", "Data", "48K", "0-1"},
                               {"1", "Instruction", "32K", "0-1"},
                               {"2", "Unified", "2048K", "0-1"},
                               {"3", "Unified", "36M", "0-15"}};
  for (int i = 0; i < 4; ++i) {
    const std::string dir = "cache/index" + std::to_string(i) + "/";
    tree.cpu(0, dir + "level", entries[i][0]);
    tree.cpu(0, dir + "type", entries[i][1]);
    tree.cpu(0, dir + "size", entries[i][2]);
    tree.cpu(0, dir + "shared_cpu_list", entries[i][3]);
  }
  const HostInfo host = tree.read();
  EXPECT_EQ(host.l1d.bytes, 48U << 10);
  EXPECT_EQ(host.l2.bytes, 2U << 20);
  EXPECT_EQ(host.l2.sharers, 2);
  EXPECT_EQ(host.l3.bytes, 36U << 20);
  EXPECT_EQ(host.l3.sharers, 16);
}

TEST(LinuxHost, NamesAndMemory) {
  LinuxTree tree;
  tree.write("etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  tree.write("proc/cpuinfo", "processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some CPU @ 3.2 GHz: fast\n");
  const HostInfo host = tree.read();
  EXPECT_EQ(host.os, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(host.cpu, "Some CPU @ 3.2 GHz: fast");
  EXPECT_EQ(host.memory_bytes, 16 * kGiB);
  EXPECT_EQ(host.available_bytes, 8 * kGiB);
  EXPECT_EQ(host.memory_limit, 0U);
}

TEST(LinuxHost, BoardNameWhereTheProcessorHasNone) {
  LinuxTree tree;
  tree.write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n");
  tree.write("proc/device-tree/model", std::string("Raspberry Pi 5\0", 15));
  EXPECT_EQ(tree.read().cpu, "Raspberry Pi 5");
}

TEST(LinuxHost, CgroupV2TakesTheTightestAncestor) {
  LinuxTree tree;
  tree.online("0-7");
  tree.write("proc/self/cgroup", "0::/user.slice/job\n");
  tree.write("proc/self/mountinfo", "30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n");
  tree.write("sys/fs/cgroup/user.slice/job/memory.max", "max\n");
  tree.write("sys/fs/cgroup/user.slice/job/memory.high", "6442450944\n");
  tree.write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  tree.write("sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
  tree.write("sys/fs/cgroup/user.slice/memory.current", "2147483648\n");
  tree.write("sys/fs/cgroup/user.slice/memory.stat", "anon 1\ninactive_file 1073741824\nactive_file 5\n");
  tree.write("sys/fs/cgroup/user.slice/cpu.max", "250000 100000\n");
  const HostInfo host = tree.read();
  EXPECT_EQ(host.memory_limit, 4 * kGiB);
  EXPECT_EQ(host.available_bytes, 3 * kGiB);  // 4 - (2 - 1)
  EXPECT_DOUBLE_EQ(host.cpu_quota, 2.5);
  EXPECT_EQ(host.default_threads(), 2);
}

TEST(LinuxHost, CgroupV2InsideAContainer) {
  LinuxTree tree;  // its own namespace: the path is / and the mount's root is the group
  tree.write("proc/self/cgroup", "0::/\n");
  tree.write("proc/self/mountinfo", "30 20 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  tree.write("sys/fs/cgroup/memory.max", "1073741824\n");
  tree.write("sys/fs/cgroup/memory.current", "0\n");
  tree.write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  const HostInfo host = tree.read();
  EXPECT_EQ(host.memory_limit, kGiB);
  EXPECT_EQ(host.available_bytes, kGiB);
  EXPECT_EQ(host.default_threads(), 1);
}

TEST(LinuxHost, CgroupV1) {
  LinuxTree tree;
  tree.online("0-7");
  tree.write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n");
  tree.write("proc/self/mountinfo",
             "31 20 0:27 /docker/abc /sys/fs/cgroup/memory ro shared:1 - cgroup cgroup rw,memory\n"
             "32 20 0:28 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  tree.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
  tree.write("sys/fs/cgroup/memory/memory.stat", "inactive_file 3\ntotal_inactive_file 536870912\n");
  tree.write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "300000\n");
  tree.write("sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  tree.write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  const HostInfo host = tree.read();
  EXPECT_EQ(host.memory_limit, 2 * kGiB);
  EXPECT_EQ(host.available_bytes, kGiB + kGiB / 2);
  EXPECT_DOUBLE_EQ(host.cpu_quota, 3.0);
}

TEST(LinuxHost, CgroupV1WithoutLimit) {
  LinuxTree tree;
  tree.write("proc/self/cgroup", "5:memory:/\n");
  tree.write("proc/self/mountinfo", "31 20 0:27 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  tree.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(tree.read().memory_limit, 0U);
}

TEST(LinuxHost, OddFilesAreIgnored) {
  LinuxTree tree;
  tree.online("x,,5-2,-1,99999999999,1");
  tree.allowed("");
  tree.write("proc/self/cgroup", "garbage\n:::\n0::\n");
  tree.write("proc/self/mountinfo", "\n- - -\n30 20 0:26 / /sys/fs/cgroup rw - cgroup2\n");
  tree.write("proc/meminfo", "MemTotal: lots\n");
  const HostInfo host = tree.read();
  EXPECT_EQ(host.memory_bytes, 0U);
  EXPECT_EQ(host.physical_cores(), 1);
}

TEST(Probe, AgreesWithTheCLibrary) {
  const HostInfo host = probe();
  EXPECT_EQ(host.page_bytes, static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
  EXPECT_GT(host.memory_bytes, 0U);
  EXPECT_GT(host.available_bytes, 0U);
  EXPECT_LE(host.available_bytes, host.memory_bytes);
  EXPECT_GE(host.default_threads(), 1);
  EXPECT_LE(host.default_threads(), host.physical_cores());
  EXPECT_FALSE(host.os.empty());
  EXPECT_FALSE(host.cpu.empty());
#if defined(__linux__)
  int logical = 0;
  for (const CoreClass& c : host.cores) logical += c.logical;
  EXPECT_EQ(static_cast<unsigned>(logical), std::thread::hardware_concurrency());
  const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
  EXPECT_NEAR(static_cast<double>(host.memory_bytes), static_cast<double>(pages * host.page_bytes),
              1e-3 * kGiB);
#endif
}

}  // namespace
}  // namespace medlar
