#include "runtime/cuda/kernel_cache.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <future>
#include <span>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "runtime/cuda/compiler.h"

namespace medlar::runtime::cuda {
namespace {

namespace fs = std::filesystem;

constexpr std::array<char, 8> kMagic{'M', 'D', 'L', 'C', 'U', 'B', '1', '\n'};
constexpr std::size_t kParts = 8;        // that kernels are compiled in
constexpr std::size_t kMostFiles = 256;  // a model takes kParts, of some hundred kilobytes
constexpr std::string_view kEnding = ".cubin";

struct Head {
  std::array<char, 8> magic = kMagic;
  std::uint64_t key_bytes = 0, cubin_bytes = 0, cubin_hash = 0;
};

// FNV-1a (Fowler, Noll, Vo), from a start of one's own.
std::uint64_t hash(std::span<const std::byte> bytes, std::uint64_t start = 0xcbf29ce484222325) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  for (const std::byte b : bytes) start = (start ^ static_cast<std::uint64_t>(b)) * kPrime;
  return start;
}

std::string key_of(const std::string& text, int capability) {
  return fmt::format("sm_{}\n{}", capability, text);
}

// The cubin in a file's bytes, where they are whole and of that key.
std::optional<std::vector<std::byte>> parse(std::span<const std::byte> bytes, const std::string& key) {
  Head head;
  if (bytes.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, bytes.data(), sizeof head);
  const std::span<const std::byte> rest = bytes.subspan(sizeof head);
  if (head.magic != kMagic || head.key_bytes != key.size() || rest.size() < key.size()) return std::nullopt;
  const std::span<const std::byte> cubin = rest.subspan(key.size());
  if (!std::ranges::equal(rest.first(key.size()), std::as_bytes(std::span(key)))) return std::nullopt;
  if (head.cubin_bytes != cubin.size() || head.cubin_hash != hash(cubin)) return std::nullopt;
  return std::vector<std::byte>(cubin.begin(), cubin.end());
}

}  // namespace

fs::path KernelCache::file_of(const std::string& key) const {
  return folder_ / fmt::format("{:016x}{}", hash(std::as_bytes(std::span(key))), kEnding);
}

std::optional<std::vector<std::byte>> KernelCache::find(const std::string& text, int capability) const {
  if (folder_.empty()) return std::nullopt;
  const std::string key = key_of(text, capability);
  const fs::path file = file_of(key);
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return std::nullopt;
  try {
    const MappedFile mapped(file);
    std::optional<std::vector<std::byte>> cubin = parse(mapped.bytes(), key);
    if (cubin) fs::last_write_time(file, fs::file_time_type::clock::now(), error);
    return cubin;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void KernelCache::keep(const std::string& text, int capability, const std::vector<std::byte>& cubin) const {
  if (folder_.empty()) return;
  const std::string key = key_of(text, capability);
  const Head head{.key_bytes = key.size(), .cubin_bytes = cubin.size(), .cubin_hash = hash(cubin)};
  try {
    std::error_code error;
    fs::create_directories(folder_, error);
    AtomicFile file(file_of(key));
    file.write(std::as_bytes(std::span(&head, 1)));
    file.write(std::as_bytes(std::span(key)));
    file.write(cubin);
    file.commit();
    trim();
  } catch (const Error&) {
    // the next start compiles them again
  }
}

void KernelCache::trim() const {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // another process trims, too
    if (it->path().extension() != kEnding) continue;
    const fs::file_time_type used = it->last_write_time(gone);
    if (!gone) files.emplace_back(used, it->path());
  }
  std::ranges::sort(files);
  for (std::size_t i = 0; i + kMostFiles < files.size(); ++i) fs::remove(files[i].second, error);
}

std::vector<CompiledKernels> compile_parts(std::span<const medlar::gpu::KernelInfo> kernels, int capability,
                                           const fs::path& folder) {
  const KernelCache cache(folder);
  std::vector<CompiledKernels> parts(std::min(kParts, kernels.size()));
  for (std::size_t i = 0; i < kernels.size(); ++i) parts[i % parts.size()].kernels.push_back(kernels[i]);
  std::vector<std::future<void>> running;
  for (CompiledKernels& part : parts) {
    running.push_back(std::async(std::launch::async, [&part, &cache, capability] {
      part.text = medlar::gpu::kernel_text(part.kernels);
      auto kept = cache.find(part.text, capability);
      part.kept = kept.has_value();
      part.cubin = kept ? *std::move(kept) : compile(part.text, capability);
      if (!part.kept) cache.keep(part.text, capability, part.cubin);
    }));
  }
  for (std::future<void>& part : running) part.wait();
  for (std::future<void>& part : running) part.get();
  return parts;
}

}  // namespace medlar::runtime::cuda
