// A cursor over untrusted little-endian bytes. Nothing is read past the end; a failure names the place.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/error.h"
#include "base/log.h"

namespace medlar {

static_assert(std::endian::native == std::endian::little, "checkpoint formats are read in place");

// The value stored at `at`, which need not be aligned.
template <class T>
  requires std::is_trivially_copyable_v<T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

class ByteReader {
 public:
  // `source` names the bytes in errors; it is printable and, like them, outlives the reader.
  ByteReader(std::span<const std::byte> bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  // What is being read from here on, for errors: about("key", "general.name").
  void about(std::string_view kind, std::string_view name = {}) {
    kind_ = kind;
    name_ = name;
  }

  template <class T>
  T number() {
    return load<T>(take(sizeof(T)).data());
  }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > remaining()) {
      throw Error(
          ErrorKind::bad_file,
          fmt::format("{}: {} more bytes wanted at byte {} of {}", place(), count, at_, bytes_.size()),
          "the file is incomplete or damaged: download it again");
    }
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }

  // A 64-bit length and that many bytes.
  std::string_view string() {
    const auto chars = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(chars.data()), chars.size()};
  }

  std::span<const std::byte> rest() const { return bytes_.subspan(at_); }
  std::uint64_t remaining() const { return bytes_.size() - at_; }
  std::uint64_t position() const { return at_; }

  // Throws Error(bad_file) "SOURCE: KIND NAME: message".
  template <class... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::bad_file, "{}: {}", place(), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string place() const {
    if (name_.empty()) return fmt::format("{}: {}", source_, kind_);
    return fmt::format("{}: {} {}", source_, kind_, printable(name_));
  }

  std::span<const std::byte> bytes_;
  std::string_view source_;
  std::string_view kind_ = "header";
  std::string_view name_;
  std::size_t at_ = 0;
};

}  // namespace medlar
