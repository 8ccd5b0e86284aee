// The apps that are registered, in a database: their manifests, and of their keys only a hash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "server/app_manifest.h"
#include "store/database.h"

namespace medlar::server {

inline constexpr std::string_view kAppFileName = "apps.db";  // in MEDLAR_HOME

struct RegisteredApp {
  AppManifest manifest;
  std::string client;        // the fingerprint of its key, as requests with it have it
  std::string digest;        // SHA-256 of its key, in hexadecimal
  std::int64_t created = 0;  // seconds since 1970
};

// One thread at a time; other processes may use the file meanwhile.
class AppStore {
 public:
  static constexpr std::size_t kMost = 256;

  // A damaged file is set aside, and the log told where it is. Throws what Database throws.
  AppStore(const std::filesystem::path& path, const Logger& log);

  // Returns the app's key, which nobody can ask for again. Throws Error: usage where there is an app of this
  // name, limit.
  std::string add(const AppManifest& manifest);
  // Another key; the old one is worth nothing any more. Throws Error(not_found).
  std::string renew_key(std::string_view name);
  // Throws Error(not_found).
  void remove(std::string_view name);
  // By name. One whose manifest this version does not accept is left out.
  std::vector<RegisteredApp> list();
  // Another number after each change, by any process.
  std::int64_t version();

 private:
  store::Database database_;
};

// SHA-256 in hexadecimal.
std::string digest_of(std::string_view key);

}  // namespace medlar::server
