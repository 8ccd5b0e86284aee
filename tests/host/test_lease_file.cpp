// The file of leases with real processes: who lives is seen, who is killed is not, and nothing that is done
// to the file stops anybody.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "host/lease.h"
#include "host/lease_file.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LeaseRecord record_of(std::uint64_t held) {
  return {.pid = static_cast<std::int32_t>(::getpid()),
          .machine = 5,
          .name = "test",
          .held = held,
          .models = {{.device = 1, .inode = 2, .bytes = 3}}};
}

TEST(LeaseRecord, IsReadAsItWasWritten) {
  LeaseRecord record{.pid = -7,
                     .machine = UINT64_MAX,
                     .name = "an app with a name",
                     .priority = LeasePriority::background,
                     .most = 1,
                     .least = 2,
                     .wanted = 3,
                     .held = UINT64_MAX - 1,
                     .used = 5};
  for (std::uint64_t i = 0; i < LeaseRecord::kMostModels; ++i) record.models.push_back({i, ~i, i << 60});
  EXPECT_EQ(decode(encode(record)), record);
  EXPECT_EQ(decode(encode({})), LeaseRecord{});
}

TEST(LeaseRecord, WhatIsTooLongIsCutOff) {
  LeaseRecord record{.name = std::string(500, 'x')};
  record.models.resize(100);
  const auto read = decode(encode(record));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, std::string(LeaseRecord::kMostName, 'x'));
  EXPECT_EQ(read->models.size(), LeaseRecord::kMostModels);
}

TEST(LeaseRecord, NoFlippedBitIsTakenForARecord) {
  const LeaseBytes good = encode(record_of(1000));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    LeaseBytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_FALSE(decode(bad)) << bit;
  }
  EXPECT_FALSE(decode(LeaseBytes{})) << "a free place";
}

// A process of its own, which does something and then waits to be killed.
class Child {
 public:
  explicit Child(const std::function<void()>& work) {
    int ready[2];
    if (::pipe(ready) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      try {
        work();
      } catch (const std::exception&) {
        ::_exit(1);
      }
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte = 0;
    started_ = ::read(ready[0], &byte, 1) == 1;
    ::close(ready[0]);
  }
  ~Child() { kill(); }
  bool started() const { return started_; }
  pid_t pid() const { return pid_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  bool started_ = false;
};

class LeaseFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / fmt::format("medlar-leases-{}-{}", ::getpid(), std::random_device{}());
    fs::create_directories(folder_);
    path_ = folder_ / "leases";
  }
  void TearDown() override {
    fs::permissions(folder_, fs::perms::owner_all);
    fs::remove_all(folder_);
  }
  // For a child: has a place until it is killed.
  void stay(const LeaseRecord& record) const { std::make_unique<LeaseFile>(path_, record).release(); }
  // Holds so much until it is killed.
  std::unique_ptr<Child> member(std::uint64_t held) {
    return std::make_unique<Child>([this, held] { stay(record_of(held)); });
  }
  void write(std::string_view bytes, std::streamoff offset = 0) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    if (!file) file.open(path_, std::ios::out | std::ios::binary);
    file.seekp(offset);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  static std::vector<std::uint64_t> held(const std::vector<LeaseFile::Entry>& entries) {
    std::vector<std::uint64_t> result;
    for (const auto& entry : entries) result.push_back(entry.record.held);
    return result;
  }

  fs::path folder_, path_;
};

TEST_F(LeaseFileTest, WhoLivesIsSeenAndWhoIsKilledIsNot) {
  const auto a = member(100), b = member(200);
  ASSERT_TRUE(a->started() && b->started());
  {
    LeaseFile own(path_, record_of(300));
    EXPECT_THAT(held(own.exchange(record_of(300))), ::testing::ElementsAre(100, 200, 300));
    a->kill();
    EXPECT_THAT(held(own.exchange(record_of(301))), ::testing::ElementsAre(200, 301));
    const auto c = member(400);  // takes the place that became free
    EXPECT_THAT(held(own.exchange(record_of(301))), ::testing::ElementsAre(400, 200, 301));
  }
  const LeaseFileState state = inspect_lease_file(path_);
  EXPECT_EQ(state.live, 1);
  EXPECT_EQ(state.stale, 1) << "c was killed; this process took its record away";
  EXPECT_EQ(state.damaged, 0);
}

TEST_F(LeaseFileTest, AForkOfAProcessDoesNotKeepItsPlace) {
  // The member forks, tells who the fork is, and is killed while that lives on.
  int fork_is[2];
  ASSERT_EQ(::pipe(fork_is), 0);
  Child parent([&] {
    stay(record_of(100));
    const pid_t fork = ::fork();
    if (fork == 0)
      for (;;) ::pause();
    if (::write(fork_is[1], &fork, sizeof fork) != sizeof fork) ::_exit(1);
  });
  pid_t fork = 0;
  ASSERT_EQ(::read(fork_is[0], &fork, sizeof fork), static_cast<ssize_t>(sizeof fork));
  LeaseFile own(path_, record_of(300));
  EXPECT_THAT(held(own.exchange(record_of(300))), ::testing::ElementsAre(100, 300));
  parent.kill();
  EXPECT_EQ(::kill(fork, 0), 0);
  EXPECT_THAT(held(own.exchange(record_of(300))), ::testing::ElementsAre(300));
  ::kill(fork, SIGKILL);
}

TEST_F(LeaseFileTest, AForkThatEndsLeavesTheRecordAlone) {
  auto own = std::make_unique<LeaseFile>(path_, record_of(1));
  const pid_t fork = ::fork();
  if (fork == 0) {
    own.reset();
    ::_exit(0);
  }
  ::waitpid(fork, nullptr, 0);
  const Child other([&] {
    if (held(LeaseFile(path_, record_of(2)).exchange(record_of(2))).size() != 2) ::_exit(1);
  });
  EXPECT_TRUE(other.started());
}

TEST_F(LeaseFileTest, HundredsOfProcesses) {
  constexpr int kCount = 300;
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < kCount; ++i) children.push_back(member(1));
  LeaseFile own(path_, record_of(1));
  EXPECT_EQ(own.exchange(record_of(1)).size(), kCount + 1u);
  for (int i = 0; i < kCount; i += 2) children[static_cast<std::size_t>(i)]->kill();
  EXPECT_EQ(own.exchange(record_of(1)).size(), kCount / 2 + 1u);
}

TEST_F(LeaseFileTest, OthersOfAnotherMachineAreNotCounted) {
  const Child child([this] {
    LeaseRecord record = record_of(100);
    record.machine = 6;
    stay(record);
  });
  LeaseFile own(path_, record_of(1));
  EXPECT_THAT(held(own.exchange(record_of(1))), ::testing::ElementsAre(1));
}

TEST_F(LeaseFileTest, AFileThatIsNoneBeginsAnew) {
  for (const std::string& garbage :
       {std::string("garbage"), std::string(5000, '\xff'), std::string(512, '\0'),
        std::string("MEDLEASE\7\0\0\0", 12), std::string(3 << 20, 'x')}) {
    fs::remove(path_);
    write(garbage);
    EXPECT_NE(inspect_lease_file(path_).problem, "");
    LeaseFile own(path_, record_of(1));
    EXPECT_TRUE(own.began_anew());
    EXPECT_EQ(own.exchange(record_of(1)).size(), 1u);
    EXPECT_EQ(inspect_lease_file(path_).problem, "");
    EXPECT_LE(fs::file_size(path_), 1u << 20);
  }
  fs::remove(path_);
  const LeaseFile fresh(path_, record_of(1));
  EXPECT_FALSE(fresh.began_anew());
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(LeaseFileTest, AVersionThatIsInUseIsLeftAlone) {
  const auto other = member(1);
  write(std::string_view("\7", 1), 8);
  const std::string before = [&] {
    std::ifstream file(path_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  try {
    const LeaseFile own(path_, record_of(1));
    FAIL() << "took part";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("another version"));
  }
  std::ifstream file(path_, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), before);
}

TEST_F(LeaseFileTest, WhatIsDestroyedIsRestored) {
  const auto other = member(100);
  LeaseFile own(path_, record_of(1));
  const auto both = ::testing::ElementsAre(100, 2);
  EXPECT_THAT(held(own.exchange(record_of(2))), both);
  write(std::string(512, 'x'));  // the head
  EXPECT_THAT(held(own.exchange(record_of(2))), both);
  write(std::string(512, 'x'), 1024);  // the own record
  EXPECT_THAT(held(own.exchange(record_of(2))), both);
  write(std::string(512, 'x'), 512);  // another's: what it said before counts until it is written again
  EXPECT_THAT(held(own.exchange(record_of(2))), both);
  EXPECT_EQ(inspect_lease_file(path_).damaged, 1);
  fs::resize_file(path_, 700);
  EXPECT_EQ(own.exchange(record_of(2)).back().record.held, 2u);
  fs::resize_file(path_, 0);
  EXPECT_EQ(own.exchange(record_of(2)).back().record.held, 2u);
  fs::remove(path_);
  EXPECT_THAT(held(own.exchange(record_of(2))), ::testing::ElementsAre(2));
  const auto newcomer = member(3);
  EXPECT_THAT(held(own.exchange(record_of(2))), ::testing::UnorderedElementsAre(2, 3));
}

TEST_F(LeaseFileTest, WhatIsNoRegularFileIsRefused) {
  fs::create_directory(path_);
  EXPECT_THROW(LeaseFile(path_, record_of(1)), Error);
  fs::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THROW(LeaseFile(path_, record_of(1)), Error);
  EXPECT_THAT(inspect_lease_file(path_).problem, HasSubstr("no regular file"));
  fs::remove(path_);
  fs::create_symlink(folder_ / "elsewhere", path_);
  EXPECT_THROW(LeaseFile(path_, record_of(1)), Error);
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
}

TEST_F(LeaseFileTest, RandomBytesNeverDoMoreThanAnError) {
  std::mt19937 random(1);
  LeaseFile own(path_, record_of(1));
  const auto other = member(100);
  for (int i = 0; i < 500; ++i) {
    std::string bytes(random() % 700, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    write(bytes, static_cast<std::streamoff>(random() % 2048));
    EXPECT_FALSE(own.exchange(record_of(1)).empty());
    inspect_lease_file(path_);
  }
}

// A whole member with its thread.
MemoryLeaseOptions options_for(const fs::path& path, std::uint64_t total) {
  return {.file = path, .name = "test", .total = [total](std::uint64_t) { return total; }};
}

bool comes_true(const std::function<bool()>& what) {
  for (int i = 0; i < 1000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

TEST_F(LeaseFileTest, SharesFollowWhoComesAndGoes) {
  constexpr std::uint64_t kTotal = 8'000'000'000;
  std::atomic<std::uint64_t> told{0};
  MemoryLeaseOptions options = options_for(path_, kTotal);
  options.on_share = [&](std::uint64_t share) { told = share; };
  const MemoryLease lease(std::move(options));
  EXPECT_EQ(told, kTotal) << "before the constructor returned";
  // A bare record: this process already has a thread, and a fork of it may not start another.
  auto other = std::make_unique<Child>([this] {
    LeaseRecord record = record_of(1'000'000'000);
    LeaseBytes bytes{};
    std::ifstream(path_, std::ios::binary).seekg(512).read(reinterpret_cast<char*>(bytes.data()), 512);
    record.machine = decode(bytes)->machine;
    stay(record);
  });
  ASSERT_TRUE(other->started());
  EXPECT_TRUE(comes_true([&] { return told < kTotal / 2; }));
  EXPECT_EQ(lease.report().members.size(), 2u);
  other->kill();
  EXPECT_TRUE(comes_true([&] { return told == kTotal; }));
  EXPECT_EQ(lease.report().members.size(), 1u);
}

TEST_F(LeaseFileTest, AskingMappingAndReservingAreSaid) {
  MemoryLease lease(options_for(path_, 1'000'000));
  const fs::path model = folder_ / "model";
  std::ofstream(model) << std::string(1000, 'x');
  const auto models = [&] {
    for (const MemoryLease::Member& member : lease.report().members)
      if (member.own) return member.models;
    return std::uint64_t{0};
  };
  {
    MemoryLease::Mapping mapping = lease.map(model);
    EXPECT_EQ(models(), 1000u);
    mapping.resize(900);
    EXPECT_EQ(models(), 900u);
    const MemoryLease::Mapping second = lease.map(folder_ / "none");
    EXPECT_EQ(models(), 900u);
  }
  EXPECT_EQ(models(), 0u);
  const MemoryLease::Asking asking = lease.ask();
  EXPECT_EQ(lease.report().share, 1'000'000u);
}

TEST_F(LeaseFileTest, AHomeThatCannotBeUsedStopsNobody) {
  for (const fs::path& path : {fs::path("/proc/none/leases"), folder_ / "file" / "leases"}) {
    std::ofstream(folder_ / "file") << "x";
    std::uint64_t told = 0;
    MemoryLeaseOptions options = options_for(path, 1000);
    options.most = 700;
    options.on_share = [&](std::uint64_t share) { told = share; };
    const MemoryLease lease(std::move(options));
    EXPECT_EQ(told, 700u);
    EXPECT_NE(lease.report().problem, "");
    EXPECT_EQ(lease.report().members.size(), 1u);
  }
}

}  // namespace
}  // namespace medlar::host
