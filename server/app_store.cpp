#include "server/app_store.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <chrono>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/error.h"
#include "server/access.h"

namespace medlar::server {
namespace {

constexpr std::array<std::string_view, 1> kSteps{R"sql(
  CREATE TABLE app (
    name TEXT PRIMARY KEY,
    manifest TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
  ) WITHOUT ROWID;
)sql"};

// 256 random bits: nobody guesses it, so its hash needs no salt.
std::string new_key() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
    fail(ErrorKind::unsupported, "libcrypto has no random numbers");
  std::string key = "mk-";
  for (const unsigned char byte : bytes) key += fmt::format("{:02x}", byte);
  return key;
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error unknown(std::string_view name) {
  return {ErrorKind::not_found, fmt::format("there is no app \"{}\"", printable(name, 64)),
          "medlar app list shows those there are"};
}

}  // namespace

std::string digest_of(std::string_view key) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(key.data(), key.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    fail(ErrorKind::unsupported, "libcrypto has no SHA-256");
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

AppStore::AppStore(const std::filesystem::path& path, const Logger& log)
    : database_(store::open_or_begin_anew(path, {.steps = kSteps}, log)) {}

std::string AppStore::add(const AppManifest& manifest) {
  const std::string key = new_key();
  store::Transaction transaction(database_);
  {
    store::Statement present = database_.prepare("SELECT count(*), count(nullif(name = ?, 0)) FROM app");
    present.bind(std::string_view(manifest.name)).step();
    if (present.integer(1) > 0)
      throw Error(ErrorKind::usage, fmt::format("the app \"{}\" is registered already", manifest.name),
                  fmt::format("medlar app remove {} first, or give it another name", manifest.name));
    if (present.integer(0) >= static_cast<std::int64_t>(kMost))
      throw Error(ErrorKind::limit, fmt::format("{} apps are registered", kMost), "remove one first");
  }
  database_.prepare("INSERT INTO app (name, manifest, digest, created) VALUES (?, ?, ?, ?)")
      .bind(std::string_view(manifest.name), std::string_view(boost::json::serialize(to_json(manifest))),
            std::string_view(digest_of(key)), now())
      .run();
  transaction.commit();
  return key;
}

std::string AppStore::renew_key(std::string_view name) {
  const std::string key = new_key();
  database_.prepare("UPDATE app SET digest = ? WHERE name = ?")
      .bind(std::string_view(digest_of(key)), name)
      .run();
  if (database_.changes() == 0) throw unknown(name);
  return key;
}

void AppStore::remove(std::string_view name) {
  database_.prepare("DELETE FROM app WHERE name = ?").bind(name).run();
  if (database_.changes() == 0) throw unknown(name);
}

std::vector<RegisteredApp> AppStore::list() {
  std::vector<RegisteredApp> apps;
  store::Statement rows = database_.prepare("SELECT manifest, digest, created FROM app ORDER BY name");
  while (rows.step()) {
    try {
      apps.push_back({.manifest = parse_app_manifest(rows.text(0)),
                      .client = std::string(rows.text(1).substr(0, kFingerprintLetters)),
                      .digest = std::string(rows.text(1)),
                      .created = rows.integer(2)});
    } catch (const Error&) {
      // Of another version, or not written by Medlar: it may do nothing.
    }
  }
  return apps;
}

// https://sqlite.org/pragma.html#pragma_data_version tells of other connections' changes, total_changes() of
// this one's.
std::int64_t AppStore::version() {
  store::Statement row =
      database_.prepare("SELECT data_version + (total_changes() << 32) FROM pragma_data_version");
  row.step();
  return row.integer(0);
}

}  // namespace medlar::server
