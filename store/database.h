// SQLite behind a few types: a database with a versioned schema, prepared statements, transactions. What is
// committed is on the disk. https://sqlite.org/c3ref
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/log.h"

struct sqlite3;
struct sqlite3_stmt;

namespace medlar::store {

// A statement with values for its parameters, stepped through its rows; from the start again after reset().
// Texts are UTF-8. Views of a row are valid until the next step().
class Statement {
 public:
  // Values in the order of the parameters, the first of which is 1.
  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_at(++index, values), ...);
    return *this;
  }
  void bind_at(int index, std::int64_t value);
  void bind_at(int index, std::string_view value);

  // True when there is a row to read. Throws Error: no_space, bad_file (the file is damaged), io.
  bool step();
  // To its end, passing over rows.
  void run();
  void reset();

  std::int64_t integer(int column) const;
  std::string_view text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : handle_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// One thread at a time. Other processes may use the file meanwhile.
class Database {
 public:
  struct Schema {
    // Step i leads from version i to version i + 1 (PRAGMA user_version).
    std::span<const std::string_view> steps;
  };

  // Makes the file, for its owner alone, where there is none, and brings it to the newest version. Throws
  // Error: bad_file (damaged, or no database), unsupported (of a newer version), no_space, io.
  Database(const std::filesystem::path& path, const Schema& schema);

  Statement prepare(std::string_view sql);
  void run(std::string_view sql) { prepare(sql).run(); }
  // Rows that the last statement changed.
  std::int64_t changes() const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::size_t version();
  void migrate(const Schema& schema);

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Takes the write lock at once. What is not committed is undone.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  // On the disk when it returns.
  void commit();

 private:
  Database* database_;
};

// Opens it; one that is damaged is set aside first, and the log told where it is. Throws as Database.
Database open_or_begin_anew(const std::filesystem::path& path, const Database::Schema& schema,
                            const Logger& log);

// Renames a database that nobody has open, with what belongs to it, to "NAME.damaged-TIME.db" beside it;
// returns the new path. Throws Error(io).
std::filesystem::path set_aside(const std::filesystem::path& path);

}  // namespace medlar::store
