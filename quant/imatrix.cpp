// Reading both layouts, writing the newer one.
#include "quant/imatrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_writer.h"

namespace medlar::quant {
namespace {

// What weights are multiplied with; sums of products with it stay finite.
constexpr double kLargestMean = 1e30;
constexpr std::string_view kSum = ".in_sum", kSquares = ".in_sum2", kCounts = ".counts";

[[noreturn]] void reject(std::string_view file, const std::string& what) {
  throw Error(ErrorKind::bad_file, fmt::format("{}: {}", file, what),
              "medlar imatrix makes such a file; so does llama-imatrix");
}

void check_number(double v, std::string_view file, std::string_view entry) {
  if (!std::isfinite(v) || v < 0)
    reject(file, fmt::format("entry {}: a sum or count is {}", printable(entry), v));
}

// ---- GGUF

std::vector<double> floats(const gguf::Tensor& t, std::string_view file) {
  if (t.view.type != DType::f32) reject(file, fmt::format("tensor {} is not f32", printable(t.name)));
  std::vector<double> values(t.view.bytes.size() / sizeof(float));
  for (std::size_t i = 0; i < values.size(); ++i) {
    float v = 0;
    std::memcpy(&v, t.view.bytes.data() + i * sizeof v, sizeof v);
    values[i] = static_cast<double>(v);
  }
  return values;
}

void check_entry(const ImatrixEntry& e, std::string_view file, std::string_view name) {
  if (e.squares.empty() || e.counts.empty())
    reject(file, fmt::format("entry {} has only one of {} and {}", printable(name), kSquares, kCounts));
  if (e.matrices() < 1 || (e.counts.size() != 1 && std::ssize(e.counts) != e.matrices()))
    reject(file, fmt::format("entry {}: {} counts for {} matrices", printable(name), e.counts.size(),
                             e.matrices()));
  if (!e.sums.empty() && e.sums.size() != e.squares.size())
    reject(file,
           fmt::format("entry {}: {} sums for {} squares", printable(name), e.sums.size(), e.squares.size()));
  for (const double v : e.counts) check_number(v, file, name);
  for (const double v : e.squares) check_number(v, file, name);
}

Imatrix read_gguf(std::span<const std::byte> bytes, std::string_view file) {
  const gguf::Contents contents = gguf::parse(bytes, file);
  const gguf::Metadata& metadata = contents.metadata;
  if (metadata.get_or<std::string>("general.type", "imatrix") != "imatrix" ||
      !metadata.contains("imatrix.chunk_count"))
    reject(file, "is a GGUF file, but no importance matrix");
  Imatrix m;
  m.chunks = metadata.get<std::uint32_t>("imatrix.chunk_count");
  m.chunk_size = metadata.get_or<std::uint32_t>("imatrix.chunk_size", 0);
  if (metadata.contains("imatrix.datasets"))
    for (const std::string_view d : metadata.get<gguf::Strings>("imatrix.datasets"))
      m.datasets.emplace_back(d);
  for (const gguf::Tensor& t : contents.tensors) {
    const auto entry = [&](std::string_view suffix) -> ImatrixEntry& {
      return m.entries[std::string(t.name.substr(0, t.name.size() - suffix.size()))];
    };
    if (t.name.ends_with(kSquares)) {
      ImatrixEntry& e = entry(kSquares);
      e.columns = t.view.shape.back();
      e.squares = floats(t, file);
    } else if (t.name.ends_with(kSum)) {
      entry(kSum).sums = floats(t, file);
    } else if (t.name.ends_with(kCounts)) {
      entry(kCounts).counts = floats(t, file);
    }
  }
  if (m.entries.empty()) reject(file, "has no entry");
  for (const auto& [name, e] : m.entries) check_entry(e, file, name);
  return m;
}

// ---- the older layout

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string_view file) : bytes_(bytes), file_(file) {}

  bool at_end() const { return bytes_.empty(); }
  std::span<const std::byte> take(std::uint64_t n, std::string_view what) {
    if (n > bytes_.size()) reject(file_, fmt::format("is no importance matrix: it ends within {}", what));
    const auto head = bytes_.first(static_cast<std::size_t>(n));
    bytes_ = bytes_.subspan(static_cast<std::size_t>(n));
    return head;
  }
  std::int32_t integer(std::string_view what) {
    std::int32_t v = 0;
    std::memcpy(&v, take(sizeof v, what).data(), sizeof v);
    return v;
  }
  // A count that is at least 1.
  std::uint64_t count(std::string_view what) {
    const std::int32_t n = integer(what);
    if (n < 1) reject(file_, fmt::format("is no importance matrix: {} is {}", what, n));
    return static_cast<std::uint64_t>(n);
  }
  std::string text(std::string_view what) {
    const auto bytes = take(count(what), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view file_;
};

// Sums are of means over the calls, so a call counts as one row; which of them an expert had is not told.
Imatrix read_dat(std::span<const std::byte> bytes, std::string_view file) {
  Reader in(bytes, file);
  Imatrix m;
  for (std::uint64_t left = in.count("the number of entries"); left > 0; --left) {
    const std::string name = in.text("the length of a name");
    const std::int32_t calls = in.integer("the number of calls");
    const auto values = in.take(in.count("the number of values") * sizeof(float), "values");
    ImatrixEntry e{.columns = std::ssize(values) / 4,
                   .counts = {static_cast<double>(std::max(calls, 1))},
                   .squares = std::vector<double>(values.size() / sizeof(float)),
                   .sums = {}};
    if (calls < 0) reject(file, fmt::format("entry {}: {} calls", printable(name), calls));
    for (std::size_t i = 0; i < e.squares.size(); ++i) {
      float v = 0;
      std::memcpy(&v, values.data() + i * sizeof v, sizeof v);
      check_number(e.squares[i] = static_cast<double>(v), file, name);
    }
    if (!m.entries.emplace(name, std::move(e)).second)
      reject(file, fmt::format("entry {} comes twice", printable(name)));
  }
  if (in.at_end()) return m;
  m.chunks = std::max(0, in.integer("the number of chunks"));
  if (in.at_end()) return m;
  const std::int32_t length = in.integer("the length of the text's name");
  const auto dataset = in.take(static_cast<std::uint64_t>(std::max(0, length)), "the text's name");
  if (!dataset.empty())
    m.datasets.emplace_back(reinterpret_cast<const char*>(dataset.data()), dataset.size());
  return m;
}

}  // namespace

Imatrix Imatrix::read(std::span<const std::byte> bytes, std::string_view name) {
  const bool is_gguf = bytes.size() >= gguf::kMagic.size() &&
                       std::memcmp(bytes.data(), gguf::kMagic.data(), gguf::kMagic.size()) == 0;
  return is_gguf ? read_gguf(bytes, name) : read_dat(bytes, name);
}

Imatrix Imatrix::read(const std::filesystem::path& path) {
  const MappedFile file(path);
  Imatrix m = read(file.bytes(), printable(path.native()));
  file.check();
  return m;
}

void Imatrix::write(const std::filesystem::path& path) const {
  gguf::Writer out(path);
  out.set("general.type", "imatrix");
  out.set_array<std::string>("imatrix.datasets", datasets);
  out.set("imatrix.chunk_count", checked_cast<std::uint32_t>(chunks, "chunks"));
  out.set("imatrix.chunk_size", checked_cast<std::uint32_t>(chunk_size, "tokens of a chunk"));
  const auto add = [&](const std::string& name, std::int64_t columns, const std::vector<double>& values) {
    if (values.empty()) return;
    const std::int64_t matrices = std::ssize(values) / columns;
    out.add_tensor(name, DType::f32, matrices == 1 ? Shape{columns} : Shape{matrices, columns});
  };
  for (const auto& [name, e] : entries) {
    add(name + std::string(kSquares), e.columns, e.squares);
    add(name + std::string(kCounts), 1, e.counts);
    add(name + std::string(kSum), e.columns, e.sums);
  }
  for (const auto& [name, e] : entries)
    for (const std::vector<double>* values : {&e.squares, &e.counts, &e.sums}) {
      std::vector<float> rounded(values->size());
      std::ranges::transform(*values, rounded.begin(), [](double v) { return static_cast<float>(v); });
      out.write(std::as_bytes(std::span(rounded)));
    }
  out.finish();
}

void Imatrix::merge(const Imatrix& other) {
  // The older layout counts chunks where the newer one counts their tokens.
  const auto rows_of = [&](const Imatrix& m) {
    const std::int64_t size = std::max(chunk_size, other.chunk_size);
    return m.chunk_size == 0 && size > 0 ? static_cast<double>(size) : 1.0;
  };
  const double mine_in_rows = rows_of(*this), theirs_in_rows = rows_of(other);
  if (mine_in_rows != 1)
    for (auto& [name, e] : entries)
      for (std::vector<double>* values : {&e.squares, &e.counts})
        for (double& v : *values) v *= mine_in_rows;
  for (const auto& [name, theirs] : other.entries) merge(name, theirs, theirs_in_rows);
  for (const std::string& d : other.datasets)
    if (std::ranges::find(datasets, d) == datasets.end()) datasets.push_back(d);
  chunks += other.chunks;
  if (chunk_size == 0) chunk_size = other.chunk_size;
}

void Imatrix::merge(const std::string& name, const ImatrixEntry& theirs, double rows) {
  const auto [at, is_new] = entries.try_emplace(name, theirs);
  ImatrixEntry& mine = at->second;
  if (is_new) mine.squares.assign(theirs.squares.size(), 0), mine.counts.assign(theirs.counts.size(), 0);
  if (is_new) mine.sums.assign(theirs.sums.size(), 0);
  const std::size_t matrices = std::max(mine.counts.size(), theirs.counts.size());
  if (mine.squares.size() != theirs.squares.size() || mine.squares.size() % matrices != 0)
    throw Error(ErrorKind::usage,
                fmt::format("tensor {}: {} columns here, {} there", printable(name), mine.squares.size(),
                            theirs.squares.size()),
                "merge importance matrices of one model");
  if (mine.counts.size() < matrices) mine.counts.assign(matrices, mine.counts[0]);
  if (matrices > 1) mine.columns = std::ssize(mine.squares) / static_cast<std::int64_t>(matrices);
  for (std::size_t i = 0; i < mine.squares.size(); ++i) mine.squares[i] += rows * theirs.squares[i];
  for (std::size_t i = 0; i < matrices; ++i)
    mine.counts[i] += rows * theirs.count(static_cast<std::int64_t>(i));
  if (theirs.sums.empty()) mine.sums.clear();
  for (std::size_t i = 0; i < mine.sums.size(); ++i) mine.sums[i] += rows * theirs.sums[i];
}

std::vector<float> Imatrix::means(std::string_view tensor) const {
  const auto at = entries.find(tensor);
  if (at == entries.end()) return {};
  const ImatrixEntry& e = at->second;
  std::vector<float> means(e.squares.size(), 1.0F);
  for (std::size_t i = 0; i < means.size(); ++i) {
    const double count = e.count(static_cast<std::int64_t>(i) / e.columns);
    if (count > 0) means[i] = static_cast<float>(std::min(e.squares[i] / count, kLargestMean));
  }
  return means;
}

}  // namespace medlar::quant
