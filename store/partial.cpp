#include "store/partial.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/layout.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// The state is one block of fixed size, overwritten in place: that needs no new space on a full disk.
constexpr std::size_t kStateBytes = 4096;

FileDescriptor open_file(const fs::path& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd.valid()) fail_errno(path, "create", errno);
  return fd;
}

void write_all(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

std::uint64_t number_or_zero(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->get_uint64();
  return value->is_int64() && value->get_int64() >= 0 ? static_cast<std::uint64_t>(value->get_int64()) : 0;
}

std::string text_or_empty(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// An unreadable or torn state counts as none: the download begins anew.
PartialState parse_state(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text.substr(0, text.find('\n')), error);
  if (error || !value.is_object()) return {};
  const json::object& object = value.get_object();
  if (number_or_zero(object, "version") != 1) return {};
  return {text_or_empty(object, "url"), text_or_empty(object, "etag"), number_or_zero(object, "total"),
          number_or_zero(object, "synced")};
}

std::string to_json(const PartialState& state) {
  return json::serialize(json::object{{"version", 1},
                                      {"url", state.url},
                                      {"etag", state.etag},
                                      {"total", state.total},
                                      {"synced", state.synced}});
}

std::uint64_t file_size(int fd, const fs::path& path) {
  struct stat status;
  if (::fstat(fd, &status) != 0) fail_errno(path, "read", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace

Partial::Partial(fs::path data, const Options& options)
    : data_(std::move(data)), state_path_(data_.native() + ".state"), options_(options) {
  fd_ = open_file(data_);
  state_fd_ = open_file(state_path_);
  std::array<char, kStateBytes> text{};
  const ssize_t n = ::pread(state_fd_.get(), text.data(), text.size(), 0);
  if (n > 0) state_ = parse_state({text.data(), static_cast<std::size_t>(n)});
  if (state_.synced > file_size(fd_.get(), data_)) state_ = {};
}

Partial::~Partial() {
  if (!fd_.valid()) return;
  try {
    checkpoint();
  } catch (const Error&) {
    // What was flushed before still counts.
  }
}

void Partial::restore(const std::function<void(std::uint64_t)>& progress) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(state_.synced)) != 0) fail_errno(data_, "truncate", errno);
  read_file(data_, state_.synced, [&](std::span<const std::byte> block) {
    hash_.update(block);
    size_ += block.size();
    progress(size_);
  });
}

void Partial::restart(PartialState state) {
  state_ = std::move(state);
  state_.synced = 0;
  size_ = 0;
  static_cast<void>(hash_.finish());
  save_state();
  if (::ftruncate(fd_.get(), 0) != 0) fail_errno(data_, "truncate", errno);
}

void Partial::append(std::span<const std::byte> bytes) {
  write_all(fd_.get(), bytes, size_, data_);
  hash_.update(bytes);
  size_ += bytes.size();
  const bool many = size_ - state_.synced >= options_.checkpoint_bytes;
  if (many || std::chrono::steady_clock::now() - saved_ >= options_.checkpoint_interval) checkpoint();
}

void Partial::checkpoint() {
  if (size_ == state_.synced) return;
  flush_file(fd_.get(), data_);
  state_.synced = size_;
  save_state();
  saved_ = std::chrono::steady_clock::now();
}

void Partial::save_state() {
  std::string text = to_json(state_);
  if (text.size() >= kStateBytes) {  // an endless URL: cannot be continued, but can be finished
    text = to_json({});
  }
  text += '\n';
  text.resize(kStateBytes, ' ');
  write_all(state_fd_.get(), std::as_bytes(std::span(text)), 0, state_path_);
  flush_file(state_fd_.get(), state_path_);
}

Digest Partial::finish() {
  checkpoint();
  return hash_.finish();
}

void Partial::discard() {
  fd_ = {};
  state_fd_ = {};
  ::unlink(state_path_.c_str());
  ::unlink(data_.c_str());
}

void Partial::release() {
  fd_ = {};
  state_fd_ = {};
  ::unlink(state_path_.c_str());
}

}  // namespace medlar::store
