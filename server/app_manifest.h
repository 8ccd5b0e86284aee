// What an app says of itself in its app.json: the models it uses, the memory it cannot do without, how urgent
// it is. docs/apps.md lists the fields.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/scheduler.h"

namespace medlar::server {

struct AppManifest {
  struct Pair {
    std::string model, draft;
  };
  // A model whose KV cache is to have a type of its own.
  struct KvException {
    std::string model;
    DType type = DType::f16;
    std::string reason;
  };

  std::string name;
  std::vector<std::string> models;  // that it may ask for, those of pairs among them; empty: any
  std::vector<Pair> pairs;
  std::uint64_t memory_bytes = 0;  // that it cannot do without, its models included; 0: it does not say
  Priority priority = Priority::interactive;
  std::vector<KvException> kv;
};

inline constexpr std::size_t kMostManifestBytes = 64 << 10;

// Throws Error(usage) naming the field: of what is no JSON, wrong, too long or unknown, and of what would
// lock memory or read weights into memory of their own.
AppManifest parse_app_manifest(std::string_view text);
boost::json::object to_json(const AppManifest& manifest);

}  // namespace medlar::server
