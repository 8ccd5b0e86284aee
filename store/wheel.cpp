#include "store/wheel.h"

#include <array>
#include <cctype>
#include <charconv>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "base/error.h"
#include "base/log.h"

namespace medlar::store {
namespace {

constexpr std::size_t kMaxEntries = 1'000'000;
constexpr std::size_t kMaxRecordBytes = 16 << 20;

struct FreeArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

// A pass over the archive's entries, from the first on.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : path_(printable(path.native())), archive_(archive_read_new()) {
    constexpr std::size_t kBlock = 1 << 16;
    if (archive_ == nullptr) fail(ErrorKind::out_of_memory, "{}: no memory to read it", path_);
    archive_read_support_format_zip(archive_.get());
    if (archive_read_open_filename(archive_.get(), path.c_str(), kBlock) != ARCHIVE_OK) reject();
  }

  // False at the end.
  bool next() {
    const int r = archive_read_next_header(archive_.get(), &entry_);
    if (r == ARCHIVE_EOF) return false;
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN) reject();
    return true;
  }

  std::string name() const {
    const char* name = archive_entry_pathname_utf8(entry_);  // the plain one depends on the locale
    if (name == nullptr) name = archive_entry_pathname(entry_);
    return name == nullptr ? "" : name;
  }
  std::uint64_t bytes() const {
    return archive_entry_size_is_set(entry_) != 0 ? static_cast<std::uint64_t>(archive_entry_size(entry_))
                                                  : 0;
  }
  bool is_file() const { return archive_entry_filetype(entry_) == AE_IFREG; }

  void stream(const std::function<void(std::span<const std::byte>)>& sink) {
    std::array<std::byte, 1 << 17> block;
    for (;;) {
      const auto n = archive_read_data(archive_.get(), block.data(), block.size());
      if (n < 0) reject();
      if (n == 0) return;
      sink(std::span(block).first(static_cast<std::size_t>(n)));
    }
  }

 private:
  [[noreturn]] void reject() const {
    const char* text = archive_error_string(archive_.get());
    fail(ErrorKind::bad_file, "{}: not a readable wheel: {}", path_,
         printable(text == nullptr ? "unknown" : text, 120));
  }

  std::string path_;
  std::unique_ptr<archive, FreeArchive> archive_;
  archive_entry* entry_ = nullptr;  // owned by archive_
};

// The next line of `rest`, without its end.
std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The next field of a comma-separated line; quotes hold a field together, and "" within them is one quote.
std::string take_field(std::string_view& rest) {
  std::string out;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < rest.size() && (quoted || rest[i] != ','); ++i) {
    if (rest[i] != '"') {
      out += rest[i];
    } else if (quoted && i + 1 < rest.size() && rest[i + 1] == '"') {
      out += rest[++i];
    } else {
      quoted = !quoted;
    }
  }
  rest = rest.substr(std::min(i + 1, rest.size()));
  return out;
}

// "sha256=" and the digest in URL-safe base64 without padding.
std::optional<Digest> parse_record_hash(std::string_view text) {
  constexpr std::string_view kAlgorithm = "sha256=";
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  if (!text.starts_with(kAlgorithm)) return std::nullopt;
  text.remove_prefix(kAlgorithm.size());
  if (text.size() != (Digest::kBytes * 8 + 5) / 6) return std::nullopt;
  std::array<std::byte, Digest::kBytes> bytes{};
  std::size_t at = 0;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes[at++] = static_cast<std::byte>(bits >> count & 0xFF);
  }
  return Digest(bytes);
}

bool is_dist_info(std::string_view name, std::string_view file) {
  const auto slash = name.find('/');
  return slash != std::string_view::npos && name.substr(0, slash).ends_with(".dist-info") &&
         name.substr(slash + 1) == file;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.front())) != 0) s.remove_prefix(1);
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back())) != 0) s.remove_suffix(1);
  return s;
}

// "name (==1.0)", "name==1.0", "name": a pin is kept, any other condition is left to the newest version.
std::string parse_requirement(std::string_view text) {
  text = trim(text);
  std::size_t end = 0;
  while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '-' ||
                               text[end] == '_' || text[end] == '.')) {
    ++end;
  }
  const std::string name(text.substr(0, end));
  std::string version;
  if (const auto pin = text.find("==");
      pin != std::string_view::npos && text.find(',') == std::string_view::npos) {
    for (const char c : text.substr(pin + 2)) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '+' || c == '!') version += c;
    }
  }
  return version.empty() ? name : name + "==" + version;
}

}  // namespace

Wheel::Wheel(std::filesystem::path path) : path_(std::move(path)) {
  std::string record;
  std::string metadata;
  for (Reader reader(path_); reader.next();) {
    std::string name = reader.name();
    if (!reader.is_file() || name.empty()) continue;
    if (is_dist_info(name, "RECORD")) record = name;
    if (is_dist_info(name, "METADATA")) metadata = name;
    if (entries_.size() >= kMaxEntries)
      fail(ErrorKind::bad_file, "{}: too many entries", printable(path_.native()));
    const auto [entry, fresh] = entries_.emplace(std::move(name), Entry{.bytes = reader.bytes()});
    if (!fresh) {
      fail(ErrorKind::bad_file, "{}: holds {} twice", printable(path_.native()),
           printable(entry->first, 120));
    }
  }
  if (record.empty())
    fail(ErrorKind::bad_file, "{}: not a wheel: it has no RECORD", printable(path_.native()));
  read_record(text(record, kMaxRecordBytes));
  if (!metadata.empty()) read_requirements(text(metadata, kMaxRecordBytes));
}

void Wheel::read_record(std::string_view record) {
  while (!record.empty()) {
    std::string_view line = take_line(record);
    const std::string name = take_field(line);
    const auto entry = entries_.find(name);
    if (entry != entries_.end()) entry->second.digest = parse_record_hash(take_field(line));
  }
}

void Wheel::read_requirements(std::string_view metadata) {
  constexpr std::string_view kKey = "Requires-Dist:";
  while (!metadata.empty()) {
    const std::string_view line = take_line(metadata);
    if (line.empty()) return;  // the description follows
    if (!line.starts_with(kKey) || line.find(';') != std::string_view::npos) continue;
    requirements_.push_back(parse_requirement(line.substr(kKey.size())));
  }
}

std::string Wheel::text(std::string_view name, std::size_t cap) const {
  for (Reader reader(path_); reader.next();) {
    if (reader.name() != name || !reader.is_file()) continue;
    std::string out;
    reader.stream([&](std::span<const std::byte> block) {
      if (out.size() + block.size() > cap) {
        fail(ErrorKind::bad_file, "{}: {} is larger than {} bytes", printable(path_.native()),
             printable(name, 120), cap);
      }
      out.append(reinterpret_cast<const char*>(block.data()), block.size());
    });
    return out;
  }
  fail(ErrorKind::bad_file, "{}: holds no {}", printable(path_.native()), printable(name, 120));
}

void Wheel::extract(std::string_view name,
                    const std::function<void(std::span<const std::byte>)>& sink) const {
  const auto known = entries_.find(name);
  const std::string where = fmt::format("{}: {}", printable(path_.native()), printable(name, 120));
  if (known == entries_.end()) fail(ErrorKind::bad_file, "{} is not in it", where);
  if (!known->second.digest) fail(ErrorKind::bad_file, "{} has no SHA-256 in RECORD", where);
  for (Reader reader(path_); reader.next();) {
    if (reader.name() != name || !reader.is_file()) continue;
    Sha256 hash;
    std::uint64_t bytes = 0;
    reader.stream([&](std::span<const std::byte> block) {
      bytes += block.size();
      if (bytes > known->second.bytes) fail(ErrorKind::bad_file, "{} unpacks to more than it says", where);
      hash.update(block);
      sink(block);
    });
    if (bytes != known->second.bytes || hash.finish() != *known->second.digest) {
      fail(ErrorKind::bad_file, "{} does not match its SHA-256 in RECORD", where);
    }
    return;
  }
  fail(ErrorKind::bad_file, "{} is not in it", where);
}

}  // namespace medlar::store
