#include "huggingface/convert.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "base/team.h"
#include "checkpoint/gguf_writer.h"
#include "formats/all.h"

namespace medlar::huggingface {
namespace {

constexpr std::int64_t kChunk = 4 << 20;   // elements that are in memory at a time
constexpr float kLargestF16 = 65519.996F;  // what is larger rounds to infinity

// Why a value cannot become `type`; "" when it can.
std::string_view fault(float x, DType type) {
  const bool is_plain = type == DType::f32 || type == DType::f16 || type == DType::bf16;
  if (!std::isfinite(x)) return is_plain ? "" : "is not finite";
  if (type == DType::f16 && std::abs(x) > kLargestF16) return "is too large for f16";
  return "";
}

class Conversion {
 public:
  Conversion(const View& view, gguf::Writer& writer, const ConvertOptions& options)
      : view_(view), writer_(writer), options_(options), team_({.threads = std::max(1, options.threads)}) {}

  ConvertReport run() {
    report_.type = options_.type.value_or(view_.type());
    for (const Recipe& t : view_.tensors) {
      types_.push_back(target(t));
      writer_.add_tensor(t.name, types_.back(), t.shape);
      total_ += static_cast<std::uint64_t>(row_bytes(types_.back(), t.shape.elements()));
    }
    for (std::size_t i = 0; i < types_.size(); ++i) write(view_.tensors[i], types_[i]);
    report_.bytes = done_;
    report_.tensors = types_.size();
    return std::move(report_);
  }

 private:
  DType target(const Recipe& t) {
    if (t.stays_f32()) return DType::f32;
    const DType wanted = options_.type.value_or(t.type());
    if (!options_.type && t.packed && !t.packed->is_exact()) report_.rounded.push_back(t.name);
    if (t.columns() % format_info(wanted).block_length == 0) return wanted;
    report_.fallback.push_back(t.name);
    return DType::f16;
  }

  void write(const Recipe& t, DType type) {
    const bool as_it_is = t.can_copy() && type == t.type();
    const std::int64_t rows = t.rows(), step = std::max<std::int64_t>(1, kChunk / t.columns());
    for (std::int64_t first = 0; first < rows; first += step) {
      const std::int64_t count = std::min(step, rows - first);
      out_.resize(static_cast<std::size_t>(row_bytes(type, count * t.columns())));
      if (as_it_is)
        share(count, [&](std::int64_t at, std::int64_t n) {
          t.copy(first + at, n, out_.data() + static_cast<std::size_t>(row_bytes(type, at * t.columns())));
        });
      else
        encode(t, type, first, count);
      writer_.write(out_);
      done_ += out_.size();
      if (options_.progress) options_.progress(done_, total_);
    }
    check_files();
  }

  void encode(const Recipe& t, DType type, std::int64_t first, std::int64_t count) {
    const std::int64_t width = t.columns();
    floats_.resize(static_cast<std::size_t>(count * width));
    std::atomic<std::int64_t> bad = std::numeric_limits<std::int64_t>::max();  // the first such element
    share(count, [&](std::int64_t at, std::int64_t n) {
      float* x = floats_.data() + at * width;
      t.decode(first + at, n, x);
      for (std::int64_t i = 0; i < n * width; ++i) {
        if (fault(x[i], type).empty()) continue;
        std::int64_t known = bad;
        while (at * width + i < known && !bad.compare_exchange_weak(known, at * width + i)) {
        }
        return;
      }
      encode_row(type, x, out_.data() + static_cast<std::size_t>(row_bytes(type, at * width)), n * width);
    });
    if (bad == std::numeric_limits<std::int64_t>::max()) return;
    const float value = floats_[static_cast<std::size_t>(bad)];
    throw Error(ErrorKind::bad_file,
                fmt::format("{}: tensor {}: element {} is {}, which {}", printable(view_.folder.native()),
                            t.name, first * width + bad, value, fault(value, type)),
                "convert to bf16 or f32, which hold every value");
  }

  // f(first, count) for a part of [0, count) on each thread.
  template <class F>
  void share(std::int64_t count, F f) {
    team_.run([&](int member) {
      const std::int64_t members = team_.active();
      const std::int64_t begin = count * member / members, end = count * (member + 1) / members;
      if (begin < end) f(begin, end - begin);
    });
  }

  void check_files() const {
    for (const MappedFile& file : view_.files.files()) file.check();
  }

  const View& view_;
  gguf::Writer& writer_;
  const ConvertOptions& options_;
  Team team_;
  ConvertReport report_;
  std::vector<DType> types_;
  std::vector<float> floats_;
  std::vector<std::byte> out_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace

ConvertReport convert(const View& view, const std::filesystem::path& output, const ConvertOptions& options) {
  gguf::Writer writer(output);
  for (const gguf::Entry& entry : view.values.entries()) writer.copy(entry);
  writer.set("general.file_type", file_type(options.type.value_or(view.type())));
  ConvertReport report = Conversion(view, writer, options).run();
  writer.finish();
  return report;
}

std::uint32_t file_type(DType type) {
  struct Row {
    DType type;
    std::uint32_t number;
  };
  // llama_ftype: what most tensors are; for K-quants without larger types among them.
  constexpr Row kRows[] = {{DType::f32, 0},     {DType::f16, 1},     {DType::q4_0, 2},  {DType::q4_1, 3},
                           {DType::q8_0, 7},    {DType::q5_0, 8},    {DType::q5_1, 9},  {DType::q2_k, 10},
                           {DType::q3_k, 11},   {DType::q4_k, 14},   {DType::q5_k, 16}, {DType::q6_k, 18},
                           {DType::iq4_nl, 25}, {DType::iq4_xs, 30}, {DType::bf16, 32}, {DType::mxfp4, 38}};
  constexpr std::uint32_t kGuessed = 1024;
  const auto* row = std::ranges::find(kRows, type, &Row::type);
  return row == std::end(kRows) ? kGuessed : row->number;
}

}  // namespace medlar::huggingface
