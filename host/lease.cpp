#include "host/lease.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include "base/error.h"
#include "base/host.h"
#include "base/process_memory.h"
#include "base/system_text.h"
#include "host/lease_file.h"
#include "host/lease_shares.h"
#include "host/machine.h"

namespace medlar::host {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kRound = 250ms;                 // between two looks at the file
constexpr auto kRetry = 5s;                    // after the file could not be used
constexpr auto kMeasureAnew = 2s;              // after somebody came or left
constexpr auto kMeasure = 1s;                  // else
constexpr std::uint64_t kStep = 8;             // an eighth: smaller changes of the total are let pass
constexpr std::uint64_t kUsedStep = 16 << 20;  // so that a record is not written for each page

// Of processes that take their memory from the same stock: another one after each start of a machine, on each
// machine that has the folder of a network, and in each group with a limit of its own.
std::uint64_t machine_id() {
  std::string text(256, '\0');
  ::gethostname(text.data(), text.size() - 1);
#ifdef __APPLE__
  char session[64] = {};
  std::size_t size = sizeof session - 1;
  if (::sysctlbyname("kern.bootsessionuuid", session, &size, nullptr, 0) == 0) text += session;
#else
  text += sysfs::read_text("/proc/sys/kernel/random/boot_id").value_or("");
  const HostInfo host = probe();
  if (host.memory_limit > 0 && host.memory_limit < host.memory_bytes)
    text += sysfs::read_text("/proc/self/cgroup").value_or("");
#endif
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::uint64_t machine_total(std::uint64_t used) {
  const HostInfo host = probe();
  const Machine machine = machine_of(host);
  // Without a word of what is available the limit is a share of all memory.
  return host.available_bytes == 0 ? machine.limit_bytes : sum_of(machine.limit_bytes, used);
}

}  // namespace

struct MemoryLease::Impl {
  MemoryLeaseOptions options;
  const std::int64_t owner = ::getpid();  // a fork has no thread
  mutable std::mutex mutex;
  std::condition_variable wake;
  bool ending = false;
  std::thread thread;

  // What follows under the mutex.
  LeaseRecord own;
  std::vector<LeasedModel> mapped;  // more, perhaps, than the record has room for
  int asking = 0;
  std::uint64_t reserved = 0;
  std::optional<std::uint64_t> held;  // said by hold()
  std::optional<LeaseFile> file;
  Clock::time_point retry{}, changed{}, measured{};
  std::vector<LeaseFile::Entry> entries;
  Report report;

  explicit Impl(MemoryLeaseOptions o) : options(std::move(o)) {
    if (!options.total) options.total = machine_total;
    own = {.pid = static_cast<std::int32_t>(owner),
           .machine = machine_id(),
           .name = options.name.substr(0, LeaseRecord::kMostName),
           .priority = options.priority};
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!ending) {
      round();
      wake.wait_for(lock, kRound);
    }
  }

  // With the mutex, as all below: says what this process has, reads what others have, and tells of a new
  // share.
  void round() {
    describe();
    meet();
    measure();
    std::vector<LeaseRecord> records;
    for (const LeaseFile::Entry& entry : entries) records.push_back(entry.record);
    const std::vector<std::uint64_t> parts = shares(records, report.total);
    report.members.clear();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const LeaseRecord& record = records[i];
      report.members.push_back({.pid = record.pid,
                                .name = record.name,
                                .priority = record.priority,
                                .share = parts[i],
                                .held = record.held,
                                .models = record.model_bytes(),
                                .own = entries[i].own});
      if (!entries[i].own) continue;
      const std::uint64_t share = std::max<std::uint64_t>(parts[i], 1);
      if (std::exchange(report.share, share) != share && options.on_share) options.on_share(share);
    }
  }

  void describe() {
    own.models.assign(mapped.begin(), mapped.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                           mapped.size(), LeaseRecord::kMostModels)));
    const std::uint64_t models = own.model_bytes();
    const std::uint64_t books = options.ledger ? options.ledger->snapshot().total().held : 0;
    own.held = held.value_or(less(books, models));
    own.used = process_memory().anonymous / kUsedStep * kUsedStep;
    own.wanted = asking > 0 ? UINT64_MAX : own.held;
    own.most = options.most > 0 ? options.most : UINT64_MAX;
    own.least = sum_of(models, own.held);
    if (held && asking == 0) {
      own.most = std::min(own.most, own.least);
    } else {
      own.least = sum_of(own.least, kLeaseWorking);
    }
    own.least = std::min(std::max(own.least, reserved), own.most);
  }

  void meet() {
    const auto now = Clock::now();
    std::vector<LeaseFile::Entry> found{{.own = true, .record = own}};
    if (now >= retry) {
      try {
        if (!file) file.emplace(options.file, own);
        const bool anew = file->began_anew();
        found = file->exchange(own);
        if (anew && report.problem.empty() && entries.empty())
          options.log.warning("leases begin anew path=\"{}\": it was damaged", options.file.string());
        report.problem.clear();
      } catch (const Error& error) {
        file.reset();
        retry = now + kRetry;
        if (report.problem != error.what())
          options.log.warning("memory is not shared out with other programs reason=\"{}\"", error.what());
        report.problem = error.what();
      }
    }
    const auto same = [](const LeaseFile::Entry& a, const LeaseFile::Entry& b) {
      return a.place == b.place && a.record.pid == b.record.pid;
    };
    if (!std::ranges::equal(found, entries, same)) changed = now;
    entries = std::move(found);
  }

  // The machine's free memory goes up and down a little all the time; shares should not.
  void measure() {
    const auto now = Clock::now();
    const bool anew = now - changed < kMeasureAnew || asking > 0 || report.total == 0;
    if (!anew && now - measured < kMeasure) return;
    measured = now;
    std::uint64_t used = 0;
    for (const LeaseFile::Entry& entry : entries) used = sum_of(used, entry.record.used);
    const std::uint64_t total = options.total(used);
    const std::uint64_t difference = std::max(less(total, report.total), less(report.total, total));
    if (anew || difference > report.total / kStep) report.total = total;
  }

  void change(const auto& what) {
    const std::lock_guard lock(mutex);
    what();
    if (::getpid() == owner) round();
  }
};

MemoryLease::MemoryLease(MemoryLeaseOptions options) : impl_(std::make_shared<Impl>(std::move(options))) {
  impl_->change([] {});
  try {
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
  } catch (const std::system_error& error) {
    impl_->options.log.warning("memory is shared out once and for all reason=\"{}\"", error.what());
  }
}

MemoryLease::~MemoryLease() {
  if (::getpid() != impl_->owner) {  // the thread stayed behind in the process that forked
    if (impl_->thread.joinable()) impl_->thread.detach();
    return;
  }
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
    impl_->wake.notify_all();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
  const std::lock_guard lock(impl_->mutex);
  impl_->file.reset();
  // What mappings still say reaches nobody.
  impl_->retry = Clock::time_point::max();
  impl_->options.on_share = nullptr;
}

MemoryLease::Asking MemoryLease::ask() {
  impl_->change([&] { ++impl_->asking; });
  return Asking(impl_);
}

MemoryLease::Asking::~Asking() {
  if (impl_) impl_->change([&] { --impl_->asking; });
}

MemoryLease::Mapping MemoryLease::map(const std::filesystem::path& model, std::uint64_t bytes) {
  struct stat status{};
  if (::stat(model.c_str(), &status) != 0) return {};  // whoever opens it says so
  const LeasedModel mapped{.device = static_cast<std::uint64_t>(status.st_dev),
                           .inode = static_cast<std::uint64_t>(status.st_ino),
                           .bytes = bytes > 0 ? bytes : static_cast<std::uint64_t>(status.st_size)};
  impl_->change([&] { impl_->mapped.push_back(mapped); });
  return Mapping(impl_, mapped);
}

MemoryLease::Mapping& MemoryLease::Mapping::operator=(Mapping&& other) noexcept {
  if (this == &other) return *this;
  end();
  impl_ = std::move(other.impl_);
  model_ = other.model_;
  return *this;
}

void MemoryLease::Mapping::resize(std::uint64_t bytes) {
  if (!impl_) return;
  impl_->change([&] {
    auto& models = impl_->mapped;
    const auto place = std::ranges::find(models, model_);
    model_.bytes = bytes;
    if (place != models.end()) *place = model_;
  });
}

void MemoryLease::Mapping::end() {
  if (!impl_) return;
  impl_->change([&] {
    auto& models = impl_->mapped;
    if (const auto place = std::ranges::find(models, model_); place != models.end()) models.erase(place);
  });
  impl_.reset();
}

void MemoryLease::reserve(std::uint64_t bytes) {
  impl_->change([&] { impl_->reserved = bytes; });
}

void MemoryLease::hold(std::uint64_t bytes) {
  impl_->change([&] { impl_->held = bytes; });
}

MemoryLease::Report MemoryLease::report() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->report;
}

}  // namespace medlar::host
