#include "store/digest.h"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"

namespace medlar::store {
namespace {

constexpr std::string_view kPrefix = "sha256:";

// -1: not a lower-case hex digit. Upper case is refused: one digest must have one name.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) {
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  if (text.size() != 2 * kBytes) return std::nullopt;
  std::array<std::byte, kBytes> bytes;
  for (std::size_t i = 0; i < kBytes; ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::byte>(high << 4 | low);
  }
  return Digest(bytes);
}

Digest Digest::require(std::string_view text, std::string_view source) {
  if (const auto digest = parse(text)) return *digest;
  fail(ErrorKind::bad_file, "{}: not a SHA-256 digest: \"{}\"", source, printable(text, 80));
}

std::string Digest::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * kBytes);
  for (const std::byte b : bytes_) {
    out += kDigits[std::to_integer<std::size_t>(b >> 4)];
    out += kDigits[std::to_integer<std::size_t>(b & std::byte{15})];
  }
  return out;
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    fail(ErrorKind::unsupported, "libcrypto offers no SHA-256");
  }
}

void Sha256::update(std::span<const std::byte> bytes) {
  MEDLAR_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  std::array<std::byte, Digest::kBytes> bytes;
  unsigned length = 0;
  MEDLAR_ASSERT(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(bytes.data()), &length) ==
                1);
  MEDLAR_ASSERT(length == Digest::kBytes);
  MEDLAR_ASSERT(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  return Digest(bytes);
}

void read_file(const std::filesystem::path& path, std::optional<std::uint64_t> bytes,
               const std::function<void(std::span<const std::byte>)>& each) {
  constexpr std::uint64_t kBlock = 1 << 20;
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) fail_errno(path, "open", errno);
  std::vector<std::byte> block(kBlock);
  std::uint64_t done = 0;
  while (!bytes || done < *bytes) {
    const std::uint64_t want = bytes ? std::min(kBlock, *bytes - done) : kBlock;
    const ssize_t n = ::read(fd.get(), block.data(), want);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(path, "read", errno);
    if (n == 0) break;
    each(std::span(block).first(static_cast<std::size_t>(n)));
    done += static_cast<std::uint64_t>(n);
  }
  if (bytes && done < *bytes) {
    fail(ErrorKind::bad_file, "{}: ends at byte {} of {}", printable(path.native()), done, *bytes);
  }
}

}  // namespace medlar::store
