#include "checkpoint/gguf_values.h"

#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace medlar::gguf {

void check_name(std::string_view what, std::string_view name, std::uint64_t most_bytes) {
  if (name.empty() || name.size() > most_bytes || printable(name, name.size()) != name)
    fail(ErrorKind::usage, "{} {}: a name has 1 to {} bytes of printable text", what, printable(name),
         most_bytes);
}

void append_bytes(std::vector<std::byte>& to, const void* from, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(from);
  to.insert(to.end(), first, first + bytes);
}

void Values::put(std::string_view key, Value value) {
  check_name("key", key, kMaxKeyBytes);
  const auto [at, is_new] = values_.try_emplace(std::string(key));
  at->second = std::move(value);
  if (is_new) keys_.emplace_back(at->first);
}

void Values::copy(const Entry& entry) {
  put(entry.key, {.type = entry.type, .bytes = {entry.value.begin(), entry.value.end()}});
}

std::vector<Entry> Values::entries() const {
  std::vector<Entry> entries;
  entries.reserve(keys_.size());
  for (const std::string_view key : keys_) {
    const Value& value = values_.find(key)->second;
    entries.push_back({.key = key, .type = value.type, .value = value.bytes});
  }
  return entries;
}

std::uint64_t Values::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [key, value] : values_) bytes += value.bytes.size();
  return bytes;
}

}  // namespace medlar::gguf
