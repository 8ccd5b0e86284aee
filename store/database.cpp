#include "store/database.h"

#include <ctime>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

namespace medlar::store {
namespace {

constexpr int kBusyMs = 10'000;  // how long another process may hold the write lock

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorKind::bad_file;
    case SQLITE_FULL:
      return ErrorKind::no_space;
    case SQLITE_NOMEM:
      return ErrorKind::out_of_memory;
    case SQLITE_TOOBIG:
      return ErrorKind::limit;
    default:
      return ErrorKind::io;
  }
}

[[noreturn]] void fail_with(sqlite3* handle) {
  const char* file = sqlite3_db_filename(handle, "main");
  throw Error(kind_of(sqlite3_extended_errcode(handle)),
              fmt::format("{}: {}", file ? file : "the database", sqlite3_errmsg(handle)));
}

// SQLite gives its further files the mode of the first.
void make_private(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0)
    fail(ErrorKind::io, "{}: cannot be opened: {}", path.string(), std::generic_category().message(errno));
  ::close(file);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Statement::bind_at(int index, std::int64_t value) {
  if (sqlite3_bind_int64(handle_.get(), index, value) != SQLITE_OK)
    fail_with(sqlite3_db_handle(handle_.get()));
}

void Statement::bind_at(int index, std::string_view value) {
  // A null pointer would be NULL, not an empty text.
  const char* data = value.empty() ? "" : value.data();
  if (sqlite3_bind_text64(handle_.get(), index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) !=
      SQLITE_OK)
    fail_with(sqlite3_db_handle(handle_.get()));
}

bool Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  fail_with(sqlite3_db_handle(handle_.get()));
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() { sqlite3_reset(handle_.get()); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }

std::string_view Statement::text(int column) const {
  const unsigned char* data = sqlite3_column_text(handle_.get(), column);
  const int bytes = sqlite3_column_bytes(handle_.get(), column);
  return data ? std::string_view(reinterpret_cast<const char*>(data), static_cast<std::size_t>(bytes))
              : std::string_view();
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Database::Database(const std::filesystem::path& path, const Schema& schema) : path_(path) {
  make_private(path);
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail_with(handle);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyMs);
  // A damaged file stays as it was found, its log beside it.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  run("PRAGMA journal_mode = WAL");
  run("PRAGMA synchronous = FULL");
  run("PRAGMA secure_delete = ON");
  Statement check = prepare("PRAGMA quick_check(1)");
  if (!check.step() || check.text(0) != "ok")
    fail(ErrorKind::bad_file, "{}: damaged: {}", path.string(), check.text(0));
  check.reset();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  migrate(schema);
}

std::size_t Database::version() {
  Statement ask = prepare("PRAGMA user_version");
  ask.step();
  return static_cast<std::size_t>(ask.integer(0));
}

void Database::migrate(const Schema& schema) {
  if (version() == schema.steps.size()) return;
  Transaction transaction(*this);  // of two processes one does it
  const std::size_t version = this->version();
  if (version > schema.steps.size())
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: written by a newer Medlar (version {}, this one knows {})", path_.string(),
                            version, schema.steps.size()),
                "use that one, or move the file away");
  for (std::size_t i = version; i < schema.steps.size(); ++i) {
    if (sqlite3_exec(handle_.get(), std::string(schema.steps[i]).c_str(), nullptr, nullptr, nullptr) !=
        SQLITE_OK)
      fail_with(handle_.get());
  }
  run(fmt::format("PRAGMA user_version = {}", schema.steps.size()));
  transaction.commit();
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
      SQLITE_OK)
    fail_with(handle_.get());
  return Statement(statement);
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_.get()); }

Transaction::Transaction(Database& database) : database_(&database) { database.run("BEGIN IMMEDIATE"); }

Transaction::~Transaction() {
  if (!database_) return;
  try {
    database_->run("ROLLBACK");
  } catch (const Error&) {
    // An error may have undone it already.
  }
}

void Transaction::commit() {
  database_->run("COMMIT");
  database_ = nullptr;
}

std::filesystem::path set_aside(const std::filesystem::path& path) {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char time[32];
  std::strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &utc);
  std::filesystem::path aside;
  int count = 0;
  do {
    const std::string again = count == 0 ? "" : fmt::format("-{}", count);
    aside = path.parent_path() / fmt::format("{}.damaged-{}{}.db", path.stem().string(), time, again);
    ++count;
  } while (std::filesystem::exists(aside));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code error;
    std::filesystem::rename(path.string() + suffix, aside.string() + suffix, error);
    if (error && error != std::errc::no_such_file_or_directory)
      fail(ErrorKind::io, "{}: cannot be set aside: {}", path.string(), error.message());
  }
  return aside;
}

Database open_or_begin_anew(const std::filesystem::path& path, const Database::Schema& schema,
                            const Logger& log) {
  try {
    return Database(path, schema);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_file) throw;
    const std::filesystem::path aside = set_aside(path);
    log.warning("database begins anew path=\"{}\" reason=\"{}\" kept=\"{}\"", path.string(), error.what(),
                aside.string());
  }
  return Database(path, schema);
}

}  // namespace medlar::store
