// SHA-256 digests: what files are verified against, and the only names that files in the blob folder have.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace medlar::store {

// A value that exists only when valid, so that any Digest may become a file name.
class Digest {
 public:
  static constexpr std::size_t kBytes = 32;

  // "HEX" or "sha256:HEX" with exactly 64 lower-case hex digits; nothing for any other text.
  static std::optional<Digest> parse(std::string_view text);
  // As parse(), but throws Error(bad_file) "SOURCE: not a SHA-256 digest: ...".
  static Digest require(std::string_view text, std::string_view source);

  explicit Digest(const std::array<std::byte, kBytes>& bytes) : bytes_(bytes) {}

  std::string hex() const;
  std::string file_name() const { return "sha256-" + hex(); }
  const std::array<std::byte, kBytes>& bytes() const { return bytes_; }

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  std::array<std::byte, kBytes> bytes_;
};

// A running SHA-256 (libcrypto's, which uses the processor's instructions for it). Move-only.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // The digest of everything so far; the hash starts anew.
  Digest finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// Feeds the first `bytes` of a file, or all of it, to `each` in blocks of at most 1 MiB.
// Throws Error: not_found, io; and bad_file when the file is shorter.
void read_file(const std::filesystem::path& path, std::optional<std::uint64_t> bytes,
               const std::function<void(std::span<const std::byte>)>& each);

}  // namespace medlar::store
