// Mapped files under deletion, overwriting and truncation, and files that appear whole or not at all.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;

const std::size_t kPage = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

// A fresh folder for each test.
class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    std::string pattern = (fs::temp_directory_path() / "medlar-test-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FileTest() override { fs::remove_all(folder_); }

  fs::path make(const std::string& name, const std::string& contents) const {
    const fs::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << contents;
    return path;
  }
  // `pages` pages, each filled with its own letter.
  fs::path make_pages(const std::string& name, std::size_t pages) const {
    std::string contents;
    for (std::size_t i = 0; i < pages; ++i) contents.append(kPage, static_cast<char>('a' + i % 26));
    return make(name, contents);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_)) all.push_back(entry.path().filename());
    return all;
  }

  fs::path folder_;
};

class MappedFileTest : public FileTest {};
class AtomicFileTest : public FileTest {};

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// The kind of error that f throws; fails the test when it throws none.
template <class F>
ErrorKind kind_of(F f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::cancelled;
}

TEST_F(MappedFileTest, ShowsTheContents) {
  const MappedFile file(make("x", "hello"));
  EXPECT_EQ(text(file.bytes()), "hello");
  EXPECT_FALSE(file.damaged());
  EXPECT_FALSE(file.changed());
  EXPECT_EQ(file.identity().size, 5u);
  EXPECT_NO_THROW(file.check());
}

TEST_F(MappedFileTest, AnEmptyFileHasNoBytes) {
  const MappedFile file(make("x", ""));
  EXPECT_TRUE(file.bytes().empty());
  EXPECT_FALSE(file.changed());
  file.advise(file.bytes(), Advice::willneed);
}

TEST_F(MappedFileTest, MovesWithoutMovingTheBytes) {
  static_assert(!std::is_copy_constructible_v<MappedFile> &&
                std::is_nothrow_move_constructible_v<MappedFile>);
  MappedFile a(make("x", "hello"));
  const std::byte* at = a.bytes().data();
  MappedFile b(std::move(a));
  MappedFile c;
  c = std::move(b);
  EXPECT_EQ(c.bytes().data(), at);
  EXPECT_EQ(text(c.bytes()), "hello");
}

TEST_F(MappedFileTest, RefusesWhatIsNoRegularFile) {
  EXPECT_EQ(kind_of([&] { MappedFile{folder_}; }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { MappedFile{"/dev/zero"}; }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { MappedFile{folder_ / "missing"}; }), ErrorKind::not_found);

  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { MappedFile{pipe}; }), ErrorKind::usage)
      << "opening a pipe must not wait for a writer";

  sockaddr_un address = {.sun_family = AF_UNIX};
  const std::string name = (folder_ / "socket").string();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(kind_of([&] { MappedFile{name}; }), ErrorKind::usage);
}

TEST_F(MappedFileTest, ErrorsNameThePathEscaped) {
  try {
    MappedFile file(folder_ / "no\nsuch\x1b[31m");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("no\\nsuch\\x1b[31m"));
  }
}

TEST_F(MappedFileTest, KeepsServingADeletedFile) {
  const fs::path path = make_pages("x", 3);
  const MappedFile file(path);
  fs::remove(path);
  EXPECT_EQ(text(file.bytes()), std::string(kPage, 'a') + std::string(kPage, 'b') + std::string(kPage, 'c'));
  EXPECT_FALSE(file.changed());
}

TEST_F(MappedFileTest, KeepsServingTheOldContentsAfterARenameOverIt) {
  const fs::path path = make("x", "old");
  const MappedFile file(path);
  fs::rename(make("y", "new"), path);
  EXPECT_EQ(text(file.bytes()), "old");
  EXPECT_FALSE(file.changed());
}

TEST_F(MappedFileTest, NoticesOverwritingInPlace) {
  const fs::path path = make("x", "first");
  const MappedFile file(path);
  make("x", "other");
  fs::last_write_time(path,
                      fs::last_write_time(path) + std::chrono::seconds(1));  // whatever the clock's grain
  EXPECT_TRUE(file.changed());
  EXPECT_FALSE(MappedFile(path).changed());
}

TEST_F(MappedFileTest, NoticesATruncationInsideAPage) {
  const fs::path path = make_pages("x", 1);
  const MappedFile file(path);
  fs::resize_file(path, kPage - 1);
  EXPECT_TRUE(file.changed());
}

TEST_F(MappedFileTest, LostPagesReadAsZerosAndAreReported) {
  const fs::path path = make_pages("x", 8);
  const MappedFile file(path);
  fs::resize_file(path, 2 * kPage + 10);
  const std::string now = text(file.bytes());
  EXPECT_EQ(now.substr(0, kPage), std::string(kPage, 'a'));
  EXPECT_EQ(now.substr(2 * kPage, 10), "cccccccccc");
  EXPECT_EQ(now.substr(3 * kPage), std::string(5 * kPage, '\0'));
  EXPECT_TRUE(file.damaged());
  try {
    file.check();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::io);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("was truncated while in use"));
  }
}

TEST_F(MappedFileTest, DamageStaysWithTheFileThatHasIt) {
  const fs::path path = make_pages("x", 4);
  const MappedFile good(make_pages("y", 4));
  {
    const MappedFile file(path);
    fs::resize_file(path, 0);
    EXPECT_EQ(text(file.bytes()), std::string(4 * kPage, '\0'));
    EXPECT_TRUE(file.damaged());
  }
  EXPECT_FALSE(good.damaged());
  const MappedFile next(make_pages("z", 4));  // may take the place of the first in the registry
  EXPECT_FALSE(next.damaged());
}

TEST_F(MappedFileTest, TruncationUnderManyReadersIsContained) {
  constexpr std::size_t kPages = 2048;
  const fs::path path = make_pages("x", kPages);
  const MappedFile file(path);
  const MappedFile other(make_pages("y", 16));
  std::atomic<bool> stop = false;
  std::atomic<int> ready = 0;
  std::vector<std::thread> readers;
  readers.reserve(8);
  for (std::size_t t = 0; t < 8; ++t) {
    readers.emplace_back([&, t] {
      const auto* bytes = reinterpret_cast<const volatile char*>(file.bytes().data());
      for (std::size_t page = t; !stop; page = (page + 17) % kPages) {
        const char c = bytes[page * kPage];
        if (c != 0 && c != static_cast<char>('a' + page % 26))
          ADD_FAILURE() << "page " << page << " reads " << c;
        if (page == t) ++ready;
      }
    });
  }
  while (ready < 8) std::this_thread::yield();
  fs::resize_file(path, 5 * kPage);
  while (!file.damaged()) std::this_thread::yield();
  EXPECT_EQ(file.bytes()[kPages * kPage - 1], std::byte{0});
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(file.bytes()[0], std::byte{'a'});
  EXPECT_FALSE(other.damaged());
}

TEST_F(MappedFileTest, OpeningAndClosingInManyThreadsLeavesNoTrace) {
  const fs::path path = make_pages("x", 2);
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        MappedFile file(path);
        if (text(file.bytes().first(3)) != "aaa" || file.damaged()) ADD_FAILURE();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const MappedFile file(path);  // 4,000 mappings later there is still room
  EXPECT_EQ(text(file.bytes().first(3)), "aaa");
}

TEST_F(MappedFileTest, AdviceKeepsTheContents) {
  const MappedFile file(make_pages("x", 8));
  const std::string before = text(file.bytes());
  for (Advice advice : {Advice::willneed, Advice::sequential, Advice::random, Advice::dontneed})
    file.advise(file.bytes().subspan(kPage / 2, 3 * kPage), advice);
  EXPECT_EQ(text(file.bytes()), before);
}

TEST_F(MappedFileTest, DontneedReleasesResidentPages) {
  const MappedFile file(make_pages("x", 64));
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    long size = 0, pages = 0;
    statm >> size >> pages;
    return pages;
  };
  if (resident() == 0) GTEST_SKIP() << "no /proc/self/statm here";
  EXPECT_EQ(text(file.bytes()).size(), 64 * kPage);
  const long before = resident();
  file.advise(file.bytes(), Advice::dontneed);
  EXPECT_LE(resident(), before - 48);
}

// An access to a mapping that is not ours must end the process as if there were no handler.
void read_a_lost_page_of_a_foreign_mapping(const fs::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDWR));
  void* at = ::mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED || ::ftruncate(fd.get(), 0) != 0) std::exit(77);
  const char lost = static_cast<volatile char*>(at)[kPage];
  std::exit(lost == 0 ? 78 : 79);
}

using MappedFileDeathTest = MappedFileTest;

TEST_F(MappedFileDeathTest, AForeignSigbusStillKills) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const fs::path ours = make_pages("x", 1), foreign = make_pages("y", 2);
  EXPECT_DEATH(
      {
        const MappedFile file(ours);
        read_a_lost_page_of_a_foreign_mapping(foreign);
      },
      "");
}

TEST_F(MappedFileDeathTest, AnEarlierHandlerGetsForeignFaults) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const fs::path ours = make_pages("x", 1), foreign = make_pages("y", 2);
  EXPECT_EXIT(
      {
        struct sigaction earlier = {};
        earlier.sa_sigaction = [](int, siginfo_t*, void*) { ::_exit(42); };
        earlier.sa_flags = SA_SIGINFO;
        ::sigaction(SIGBUS, &earlier, nullptr);
        const MappedFile file(ours);
        read_a_lost_page_of_a_foreign_mapping(foreign);
      },
      ::testing::ExitedWithCode(42), "");
}

TEST_F(MappedFileDeathTest, ASigbusSentByAProcessStillKills) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const fs::path ours = make_pages("x", 1);
  EXPECT_DEATH(
      {
        const MappedFile file(ours);
        ::kill(::getpid(), SIGBUS);
        std::exit(78);
      },
      "");
}

TEST_F(MappedFileTest, RunningOutOfDescriptorsIsAnError) {
  const fs::path path = make("x", "hello");
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const ErrorKind kind = kind_of([&] { MappedFile{path}; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(kind, ErrorKind::limit);
}

TEST_F(AtomicFileTest, AppearsOnCommit) {
  const fs::path path = folder_ / "x";
  AtomicFile file(path);
  file.write(bytes_of("hello "));
  file.write(bytes_of("world"));
  EXPECT_EQ(file.size(), 11u);
  EXPECT_FALSE(fs::exists(path));
  file.commit();
  EXPECT_EQ(read(path), "hello world");
  EXPECT_THAT(names(), ::testing::ElementsAre("x"));
}

TEST_F(AtomicFileTest, WithoutCommitNothingRemainsAndTheOldFileStays) {
  const fs::path path = make("x", "old");
  {
    AtomicFile file(path);
    file.write(bytes_of("half"));
    AtomicFile moved = std::move(file);
    moved.write(bytes_of("more"));
  }
  EXPECT_EQ(read(path), "old");
  EXPECT_THAT(names(), ::testing::ElementsAre("x"));
}

TEST_F(AtomicFileTest, ReplacesWhileTheOldContentsAreMapped) {
  const fs::path path = make("x", "old");
  const MappedFile mapped(path);
  AtomicFile file(path);
  file.write(bytes_of("new"));
  file.commit();
  EXPECT_EQ(read(path), "new");
  EXPECT_EQ(text(mapped.bytes()), "old");
}

TEST_F(AtomicFileTest, RefusesTargetsThatAreNoFiles) {
  EXPECT_EQ(kind_of([&] { AtomicFile{folder_}; }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { AtomicFile{"/dev/null"}; }), ErrorKind::usage);
  EXPECT_EQ(kind_of([&] { AtomicFile{folder_ / "missing" / "x"}; }), ErrorKind::not_found);
}

// Runs f in a child process and returns its exit status, so that limits and mounts stay there.
template <class F>
int in_child(F f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

TEST_F(AtomicFileTest, ASizeLimitInTheMiddleOfAWriteIsAnErrorAndLeavesTheOldFile) {
  const fs::path path = make("x", "old");
  const int status = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 10000, .rlim_max = RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    try {
      AtomicFile file(path);
      const std::string chunk(4096, 'x');
      for (int i = 0; i < 10; ++i) file.write(bytes_of(chunk));
      return 3;
    } catch (const Error& e) {
      return e.kind() == ErrorKind::no_space ? 0 : 4;
    }
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read(path), "old");
  EXPECT_THAT(names(), ::testing::ElementsAre("x"));
}

TEST_F(AtomicFileTest, KillingTheProcessLeavesTheOldFile) {
  const fs::path path = make("x", "old");
  in_child([&] {
    AtomicFile file(path);
    file.write(bytes_of("half of the new contents"));
    return ::raise(SIGKILL);
  });
  EXPECT_EQ(read(path), "old");
  EXPECT_EQ(names().size(), 2u);  // and the temporary, which only a living process can remove
}

TEST_F(AtomicFileTest, AFullDiskIsAnErrorAndLeavesTheOldFile) {
#ifdef __linux__
  constexpr int kCannotMount = 77;
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return kCannotMount;
    if (::mount("none", folder_.c_str(), "tmpfs", 0, "size=64k") != 0) return kCannotMount;
    const fs::path path = make("x", "old");
    try {
      AtomicFile file(path);
      const std::string chunk(4096, 'x');
      for (int i = 0; i < 32; ++i) file.write(bytes_of(chunk));
      file.commit();
      return 3;
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::no_space) return 4;
    }
    if (read(path) != "old") return 5;
    return names() == std::vector<std::string>{"x"} ? 0 : 6;
  });
  if (status == kCannotMount) GTEST_SKIP() << "this user may not mount a small disk";
  EXPECT_EQ(status, 0);
#else
  GTEST_SKIP() << "small disks are mounted on Linux only";
#endif
}

}  // namespace
}  // namespace medlar
