// Pages of the KV cache on disk: what was read once need not be read again after a restart.
// docs/prefix-store.md describes every byte.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "base/log.h"

namespace medlar {

struct PrefixStoreOptions {
  std::filesystem::path folder;                    // made if it is not there, for its owner alone
  std::int64_t max_bytes = std::int64_t{4} << 30;  // the least recently used pages go first
  Logger log;                                      // of what had to be removed, or could not be written
};

// A page has a name that follows from everything its bytes depend on: `identity` (the model, the cache's
// types, the kernels), the scope, and all tokens up to its end. Names and contents are keyed by a secret of
// the user (HMAC-SHA256, AES-256-GCM), so a foreign, damaged or renamed file is not a page; it is removed
// when met. Reading and writing is done by a thread of its own. Any thread may call.
class PrefixStore {
 public:
  using Name = std::array<std::byte, 32>;
  using Page = std::vector<std::byte>;

  // Throws Error(io, no_space) when the folder or the secret cannot be made or read.
  PrefixStore(PrefixStoreOptions options, std::string_view identity);
  ~PrefixStore();  // what is to be written, is
  PrefixStore(const PrefixStore&) = delete;
  PrefixStore& operator=(const PrefixStore&) = delete;

  Name root(std::string_view scope) const;
  // Of the page with these tokens that follows the page `before`, or a root.
  Name next(const Name& before, std::span<const std::int32_t> tokens) const;

  bool has(const Name& name) const;
  // Later; nothing where too much is waiting to be written. What cannot be written is not there.
  void save(const Name& name, Page page);
  // Later: done(the pages up to the first that is not there or not right), by the store's thread.
  void load(std::vector<Name> names, std::function<void(std::vector<Page>)> done);
  void flush();  // waits until nothing is waiting

  std::int64_t bytes() const;  // on disk

 private:
  struct Entry {
    std::int64_t bytes = 0;
    std::list<Name>::iterator place;  // in used_
  };
  struct Save {
    Name name;
    Page page;
  };
  struct Load {
    std::vector<Name> names;
    std::function<void(std::vector<Page>)> done;
  };

  void read_secret();
  void index();
  void run();
  void write(const Save& save);
  std::optional<Page> read(const Name& name);
  void forget(const Name& name, bool damaged);
  std::filesystem::path path(const Name& name) const;

  PrefixStoreOptions options_;
  Name identity_{}, name_key_{}, page_key_{};

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::map<Name, Entry> entries_;
  std::list<Name> used_;  // the least recently used first
  std::int64_t bytes_ = 0, unwritten_ = 0;
  std::deque<std::variant<Save, Load>> work_;
  bool busy_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace medlar
