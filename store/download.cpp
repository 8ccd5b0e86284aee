#include "store/download.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "store/layout.h"

namespace medlar::store {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRealProgress = 256 << 10;  // bytes that make an attempt count as successful
constexpr int kMostAttempts = 1000;                 // of one file, however much each brings

// A tag that promises equality byte by byte (RFC 9110, 8.8.1).
bool is_strong(std::string_view etag) {
  return etag.size() > 2 && etag.starts_with('"') && etag.ends_with('"');
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 10'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  if (bytes < 1'000'000'000) return fmt::format("{:.0f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

// The download's bookkeeping, fed by one HTTP answer after another.
class Download : public HttpBody {
 public:
  Download(const RemoteFile& file, const DownloadOptions& options, Partial& partial, ProgressMeter& meter)
      : file_(file),
        options_(options),
        partial_(partial),
        meter_(meter),
        base_(meter.done()),
        digest_(file.digest) {}

  Digest run() {
    restore();
    int fruitless = 0;
    for (int attempt = 1;; ++attempt) {
      const std::uint64_t before = partial_.size();
      try {
        if (!complete()) request();
        if (complete()) return verify();
      } catch (const HttpError& e) {
        fruitless = partial_.size() >= before + kRealProgress ? 0 : fruitless + 1;
        if (e.details().status == 416) {  // the server no longer has that many bytes
          restart_wanted_ = true;
        } else if (!e.details().transient) {
          throw;
        }
        if (fruitless >= options_.attempts || attempt >= kMostAttempts) throw;
        pause(fruitless, e.details().retry_after);
      }
    }
  }

  void begin(const HttpResponse& response) override {
    const std::string etag = is_strong(response.etag) ? response.etag : std::string();
    if (!digest_) digest_ = linked_digest(response);
    if (response.status == 206) {
      if (!continues(response, etag)) throw Restart();
      continued_ = true;
    } else {
      begin_anew(response, etag);
    }
    const std::uint64_t known = std::max(meter_.total(), base_ + total_.value_or(0));
    meter_.begin(Phase::downloading, file_.name, base_ + partial_.size(), known);
  }

  void write(std::span<const std::byte> bytes) override {
    const std::uint64_t cap = total_.value_or(options_.max_bytes);
    if (bytes.size() > cap - std::min(cap, partial_.size())) {
      partial_.restart({});
      fail(ErrorKind::bad_file, "{}: the server sends more than {} bytes", name(), cap);
    }
    partial_.append(bytes);
    meter_.update(base_ + partial_.size());
  }

 private:
  // The answer does not continue what is there.
  struct Restart {};

  std::string name() const { return printable(file_.name, 120); }

  void restore() {
    total_ = file_.bytes;
    meter_.begin(Phase::checking, file_.name, base_, meter_.total());
    partial_.restore([this](std::uint64_t done) { meter_.update(base_ + done); });
    const PartialState& old = partial_.state();
    const bool same = old.url == file_.url && (!old.etag.empty() || digest_) &&
                      (!file_.bytes || partial_.size() <= *file_.bytes);
    restart_wanted_ = !same;
    if (same && !total_ && old.total > 0) total_ = old.total;
    continued_ = same && partial_.size() > 0;
  }

  bool complete() const {
    return !restart_wanted_ && total_ && partial_.size() == *total_ && partial_.size() > 0;
  }

  void request() {
    HttpRequest request{.url = file_.url, .bearer = file_.bearer, .cancel = meter_.cancel()};
    const bool provable = digest_ || !partial_.state().etag.empty();
    if (!restart_wanted_ && provable) {
      request.offset = partial_.size();
      request.if_range = partial_.state().etag;
    }
    try {
      http_get(request, options_.http, *this);
    } catch (const Restart&) {
      restart_wanted_ = true;
      throw HttpError(ErrorKind::network,
                      fmt::format("{}: the server sends another range than asked for", name()), "",
                      {.transient = true});
    }
    if (partial_.size() == 0) fail(ErrorKind::bad_file, "{}: the server sends an empty file", name());
    if (!total_) total_ = partial_.size();  // the server did not say; the connection ended in order
    if (partial_.size() < *total_) {
      throw HttpError(
          ErrorKind::network,
          fmt::format("{}: the server ends after {} of {} bytes", name(), partial_.size(), *total_), "",
          {.transient = true});
    }
  }

  bool continues(const HttpResponse& response, const std::string& etag) const {
    const auto range = ContentRange::parse(response.content_range);
    if (restart_wanted_ || !range || range->first != partial_.size() || range->last + 1 != range->total)
      return false;
    if (total_ && range->total != *total_) return false;
    return etag == partial_.state().etag || (digest_ && etag.empty());
  }

  void begin_anew(const HttpResponse& response, const std::string& etag) {
    total_ = file_.bytes;
    if (const auto length = response.content_length) {
      if (total_ && *total_ != *length) {
        fail(ErrorKind::bad_file, "{}: the server sends {} bytes, but the source lists {}", name(), *length,
             *total_);
      }
      total_ = length;
    }
    if (total_.value_or(0) > options_.max_bytes) {
      fail(ErrorKind::limit, "{}: {} is more than the limit of {}", name(), human_bytes(*total_),
           human_bytes(options_.max_bytes));
    }
    check_space();
    partial_.restart({.url = file_.url, .etag = etag, .total = total_.value_or(0)});
    restart_wanted_ = continued_ = false;
  }

  // Hugging Face tells the file's SHA-256 before it redirects to its storage; small files have another tag.
  static std::optional<Digest> linked_digest(const HttpResponse& response) {
    std::string_view etag = response.linked_etag;
    if (etag.size() > 2 && etag.starts_with('"') && etag.ends_with('"'))
      etag = etag.substr(1, etag.size() - 2);
    return Digest::parse(etag);
  }

  void check_space() const {
    std::uint64_t free = free_bytes(partial_.path().parent_path());
    free += std::min(partial_.size(), ~free);  // about to be given up
    if (!total_ || *total_ <= free) return;
    throw Error(ErrorKind::no_space,
                fmt::format("{}: needs {} of disk space, {} are free", name(), human_bytes(*total_),
                            human_bytes(free)),
                fmt::format("free {} and try again, or set MEDLAR_HOME to a larger disk",
                            human_bytes(*total_ - free)));
  }

  Digest verify() {
    meter_.begin(Phase::verifying, file_.name, base_ + partial_.size(), meter_.total());
    const Digest actual = partial_.finish();
    if (!digest_ || actual == *digest_) return actual;
    const bool again = continued_ && !began_again_;  // perhaps an old piece was bad: from the start, once
    partial_.restart({});
    if (again) {
      began_again_ = restart_wanted_ = true;
      throw HttpError(ErrorKind::network, fmt::format("{}: the continued file is not the right one", name()),
                      "", {.transient = true});
    }
    throw Error(
        ErrorKind::bad_file,
        fmt::format("{}: SHA-256 is {}, but the source promises {}", name(), actual.hex(), digest_->hex()),
        "try again; if it stays so, the source or a proxy on the way alters the file");
  }

  void pause(int fruitless, std::chrono::seconds wish) const {
    constexpr auto kLongest = 30s;
    auto wait = options_.backoff;
    for (int i = 1; i < fruitless && wait < kLongest; ++i) wait *= 2;
    wait = std::max<std::chrono::milliseconds>(wait, wish);
    const auto until = std::chrono::steady_clock::now() + std::min<std::chrono::milliseconds>(wait, kLongest);
    while (std::chrono::steady_clock::now() < until) {
      meter_.check_cancelled();
      std::this_thread::sleep_for(std::min<std::chrono::milliseconds>(50ms, options_.backoff));
    }
  }

  const RemoteFile& file_;
  const DownloadOptions& options_;
  Partial& partial_;
  ProgressMeter& meter_;
  const std::uint64_t base_;            // bytes of the model before this file
  std::optional<Digest> digest_;        // promised
  std::optional<std::uint64_t> total_;  // bytes this file will have
  bool restart_wanted_ = false;         // what is there is not to be continued
  bool continued_ = false;              // the bytes are from more than one answer
  bool began_again_ = false;            // because of a wrong digest
};

}  // namespace

Digest download(const RemoteFile& file, const DownloadOptions& options, Partial& partial,
                ProgressMeter& meter) {
  return Download(file, options, partial, meter).run();
}

}  // namespace medlar::store
