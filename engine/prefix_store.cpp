#include "engine/prefix_store.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "MEDLARP1";
constexpr std::size_t kNonceBytes = 12, kTagBytes = 16;
constexpr std::size_t kFrame = kMagic.size() + kNonceBytes + kTagBytes;
constexpr std::int64_t kMaxUnwritten = std::int64_t{256} << 20;
constexpr std::string_view kSuffix = ".page";

using Name = PrefixStore::Name;
using Page = PrefixStore::Page;

[[noreturn]] void crypto_failed(std::string_view what) {
  throw Error(ErrorKind::io, fmt::format("libcrypto: {} failed", what), "check the installation of OpenSSL");
}

const unsigned char* bytes_of(const void* p) { return static_cast<const unsigned char*>(p); }

Name hmac(const Name& key, std::initializer_list<std::span<const std::byte>> parts) {
  std::string joined;
  for (const auto part : parts) joined.append(reinterpret_cast<const char*>(part.data()), part.size());
  Name out;
  std::size_t written = 0;
  if (!EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.data(), key.size(), bytes_of(joined.data()),
                 joined.size(), reinterpret_cast<unsigned char*>(out.data()), out.size(), &written))
    crypto_failed("HMAC");
  return out;
}

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string hex(const Name& name) {
  std::string text;
  for (const std::byte b : name) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

std::optional<Name> from_hex(std::string_view text) {
  Name name;
  if (text.size() != 2 * name.size()) return std::nullopt;
  for (std::size_t i = 0; i < name.size(); ++i) {
    unsigned value = 0;
    for (const char c : text.substr(2 * i, 2)) {
      if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return std::nullopt;
      value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    name[i] = static_cast<std::byte>(value);
  }
  return name;
}

// AES-256-GCM (NIST SP 800-38D) over the page, with magic and name as further authenticated data.
class Cipher {
 public:
  Cipher(const Name& key, std::span<const unsigned char> nonce, const Name& name, bool encrypt)
      : encrypt_(encrypt), context_(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free) {
    int n = 0;
    if (!context_ ||
        !EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, bytes_of(key.data()), nonce.data(),
                           encrypt) ||
        !EVP_CipherUpdate(context_.get(), nullptr, &n, bytes_of(kMagic.data()),
                          static_cast<int>(kMagic.size())) ||
        !EVP_CipherUpdate(context_.get(), nullptr, &n, bytes_of(name.data()), static_cast<int>(name.size())))
      crypto_failed("AES-256-GCM");
  }

  // False where the tag is not that of the bytes.
  bool run(std::span<const std::byte> from, std::byte* to, unsigned char* tag) {
    constexpr std::size_t kPiece = 1 << 24;
    int n = 0;
    for (std::size_t at = 0; at < from.size(); at += kPiece) {
      const auto some = from.subspan(at, std::min(kPiece, from.size() - at));
      if (!EVP_CipherUpdate(context_.get(), reinterpret_cast<unsigned char*>(to + at), &n,
                            bytes_of(some.data()), static_cast<int>(some.size())))
        crypto_failed("AES-256-GCM");
    }
    unsigned char none[16];
    if (!encrypt_) EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag);
    if (!EVP_CipherFinal_ex(context_.get(), none, &n)) return false;
    if (encrypt_) EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag);
    return true;
  }

 private:
  bool encrypt_;
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context_;
};

}  // namespace

PrefixStore::PrefixStore(PrefixStoreOptions options, std::string_view identity)
    : options_(std::move(options)) {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (!error) fs::permissions(options_.folder, fs::perms::owner_all, error);
  if (error)
    throw Error(ErrorKind::io, fmt::format("{}: {}", options_.folder.string(), error.message()),
                "the prefix store needs a folder it can write to");
  read_secret();
  identity_ = hmac(name_key_, {as_bytes(identity)});
  index();
  thread_ = std::thread([this] { run(); });
}

PrefixStore::~PrefixStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

// Made once; a later process finds the one that won.
void PrefixStore::read_secret() {
  const fs::path path = options_.folder / "secret";
  Name secret;
  if (!fs::exists(path)) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(secret.data()), static_cast<int>(secret.size())) != 1)
      crypto_failed("RAND_bytes");
    const fs::path fresh = options_.folder / fmt::format(".medlar-secret-{}", ::getpid());
    AtomicFile file(fresh);
    file.write(secret);
    file.commit();
    std::error_code ignored;  // another process may have been first
    fs::create_hard_link(fresh, path, ignored);
    fs::remove(fresh, ignored);
  }
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(secret.data()), static_cast<std::streamsize>(secret.size()));
  if (in.gcount() != static_cast<std::streamsize>(secret.size()) || in.peek() != EOF)
    throw Error(ErrorKind::io, fmt::format("{} is not a secret of {} bytes", path.string(), secret.size()),
                "remove the folder; its pages are lost, nothing else");
  ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  name_key_ = hmac(secret, {as_bytes("names")});
  page_key_ = hmac(secret, {as_bytes("pages")});
}

// What is there, by age of last use. What is no page is removed, as temporary files of a killed process are.
void PrefixStore::index() {
  std::vector<std::tuple<fs::file_time_type, Name, std::int64_t>> found;
  std::error_code error;
  for (fs::directory_iterator it(options_.folder, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    std::error_code gone;
    if (file.starts_with(".medlar-")) fs::remove(it->path(), gone);
    if (!file.ends_with(kSuffix)) continue;
    const auto name = from_hex(std::string_view(file).substr(0, file.size() - kSuffix.size()));
    const auto time = it->last_write_time(gone);
    const auto size = gone ? 0 : it->file_size(gone);
    if (name && !gone) found.emplace_back(time, *name, static_cast<std::int64_t>(size));
  }
  std::ranges::sort(found);
  for (const auto& [time, name, size] : found) {
    entries_[name] = {size, used_.insert(used_.end(), name)};
    bytes_ += size;
  }
}

fs::path PrefixStore::path(const Name& name) const {
  return options_.folder / (hex(name) + std::string(kSuffix));
}

PrefixStore::Name PrefixStore::root(std::string_view scope) const {
  return hmac(name_key_, {identity_, as_bytes(scope)});
}

PrefixStore::Name PrefixStore::next(const Name& before, std::span<const std::int32_t> tokens) const {
  return hmac(name_key_, {before, std::as_bytes(tokens)});
}

bool PrefixStore::has(const Name& name) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(name);
}

std::int64_t PrefixStore::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void PrefixStore::save(const Name& name, Page page) {
  const std::lock_guard lock(mutex_);
  const auto size = static_cast<std::int64_t>(page.size() + kFrame);
  if (entries_.contains(name) || unwritten_ + size > kMaxUnwritten || size > options_.max_bytes) return;
  unwritten_ += size;
  work_.emplace_back(Save{name, std::move(page)});
  changed_.notify_all();
}

void PrefixStore::load(std::vector<Name> names, std::function<void(std::vector<Page>)> done) {
  const std::lock_guard lock(mutex_);
  work_.emplace_front(Load{std::move(names), std::move(done)});  // somebody waits for it
  changed_.notify_all();
}

void PrefixStore::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return work_.empty() && !busy_; });
}

void PrefixStore::run() {
  for (;;) {
    std::variant<Save, Load> task;
    {
      std::unique_lock lock(mutex_);
      busy_ = false;
      changed_.notify_all();
      changed_.wait(lock, [&] { return stopping_ || !work_.empty(); });
      if (work_.empty()) return;
      task = std::move(work_.front());
      work_.pop_front();
      busy_ = true;
    }
    if (const auto* save = std::get_if<Save>(&task)) {
      try {
        write(*save);
      } catch (const Error& error) {
        options_.log.warning("prefix store: {}", error.what());
      }
      const std::lock_guard lock(mutex_);
      unwritten_ -= static_cast<std::int64_t>(save->page.size() + kFrame);
      continue;
    }
    Load& load = std::get<Load>(task);
    std::vector<Page> pages;
    for (const Name& name : load.names) {
      std::optional<Page> page = read(name);
      if (!page) break;
      pages.push_back(std::move(*page));
    }
    load.done(std::move(pages));
  }
}

void PrefixStore::write(const Save& save) {
  const auto size = static_cast<std::int64_t>(save.page.size() + kFrame);
  std::vector<Name> old;
  {
    const std::lock_guard lock(mutex_);
    if (entries_.contains(save.name)) return;
    std::int64_t left = bytes_;
    for (auto it = used_.begin(); it != used_.end() && left + size > options_.max_bytes; ++it) {
      old.push_back(*it);
      left -= entries_.at(*it).bytes;
    }
  }
  for (const Name& name : old) forget(name, false);

  std::vector<std::byte> file(save.page.size() + kFrame);
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  auto* nonce = reinterpret_cast<unsigned char*>(file.data() + kMagic.size());
  if (RAND_bytes(nonce, kNonceBytes) != 1) crypto_failed("RAND_bytes");
  std::byte* text = file.data() + kMagic.size() + kNonceBytes;
  Cipher(page_key_, {nonce, kNonceBytes}, save.name, true)
      .run(save.page, text, reinterpret_cast<unsigned char*>(text + save.page.size()));
  AtomicFile out(path(save.name));
  out.write(file);
  out.commit();

  const std::lock_guard lock(mutex_);
  entries_[save.name] = {size, used_.insert(used_.end(), save.name)};
  bytes_ += size;
}

std::optional<Page> PrefixStore::read(const Name& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) return std::nullopt;
    used_.splice(used_.end(), used_, entry->second.place);
  }
  std::ifstream in(path(name), std::ios::binary | std::ios::ate);
  const std::streamoff size = in ? static_cast<std::streamoff>(in.tellg()) : -1;
  std::vector<std::byte> file(size > 0 ? static_cast<std::size_t>(size) : 0);
  in.seekg(0);
  in.read(reinterpret_cast<char*>(file.data()), size);
  const bool whole =
      in && file.size() > kFrame && std::memcmp(file.data(), kMagic.data(), kMagic.size()) == 0;
  if (whole) {
    auto* nonce = reinterpret_cast<unsigned char*>(file.data() + kMagic.size());
    Page page(file.size() - kFrame);
    const std::byte* text = file.data() + kMagic.size() + kNonceBytes;
    auto* tag = reinterpret_cast<unsigned char*>(file.data() + file.size() - kTagBytes);
    if (Cipher(page_key_, {nonce, kNonceBytes}, name, false).run({text, page.size()}, page.data(), tag)) {
      std::error_code ignored;
      fs::last_write_time(path(name), fs::file_time_type::clock::now(), ignored);
      return page;
    }
  }
  forget(name, size >= 0);
  return std::nullopt;
}

void PrefixStore::forget(const Name& name, bool damaged) {
  if (damaged) options_.log.warning("prefix store: {} is damaged or foreign; removed", path(name).string());
  std::error_code ignored;
  fs::remove(path(name), ignored);
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return;
  bytes_ -= entry->second.bytes;
  used_.erase(entry->second.place);
  entries_.erase(entry);
}

}  // namespace medlar
