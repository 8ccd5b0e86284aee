// The file in which processes tell each other what memory they have: a head, and a record for each process
// that lives. docs/apps.md has its layout.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "base/posix.h"
#include "host/lease_record.h"

namespace medlar::host {

inline constexpr std::uint32_t kLeaseVersion = 1;
inline constexpr int kMostLeases = 1024;

// A place in the file, held by a lock of this process on its bytes: the system takes it away at the end of
// the process, however that comes. The file is read and written, never mapped, so that nobody is harmed who
// finds it cut short. One a process, since locks are a process's; a fork has none. One thread.
class LeaseFile {
 public:
  // Makes the file where there is none, and begins it anew where it is none that this version knows. Throws
  // Error: unsupported (other versions use it), limit (it is full), io, no_space.
  LeaseFile(const std::filesystem::path& path, const LeaseRecord& own);
  ~LeaseFile();  // nobody finds the record any more
  LeaseFile(const LeaseFile&) = delete;
  LeaseFile& operator=(const LeaseFile&) = delete;

  struct Entry {
    int place = 0;
    bool own = false;
    LeaseRecord record;
  };
  // Says what this process has, and reads what all have, by place. Restores what others destroyed: the head,
  // the record, the lock, the file. Throws as the constructor.
  std::vector<Entry> exchange(const LeaseRecord& own);

  // It was there and began anew: it was damaged, or of another version that nobody uses.
  bool began_anew() const { return began_anew_; }

 private:
  void open();
  void check_head();
  void take_place(const LeaseRecord& own);
  bool still_named() const;
  std::optional<LeaseRecord> read(int place);

  std::filesystem::path path_;
  FileDescriptor fd_;
  std::int64_t owner_ = 0;  // the process that made this object; a fork of it leaves the file alone
  int place_ = -1;
  bool began_anew_ = false;
  std::map<int, LeaseRecord> seen_;  // the last good record of each place
};

// What is wrong with a file, in one line; empty: nothing, or there is none. Changes nothing.
struct LeaseFileState {
  std::string problem;
  int live = 0, stale = 0, damaged = 0;  // places: in use; left by processes that ended; in use, unreadable
};
LeaseFileState inspect_lease_file(const std::filesystem::path& path);

}  // namespace medlar::host
