// Each tensor in slabs: all threads encode one, then it is written.
#include "quant/quantize.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <system_error>

#include <fmt/format.h>

#include "base/checked.h"
#include "base/log.h"
#include "checkpoint/gguf_writer.h"
#include "checkpoint/tensor_type.h"
#include "formats/all.h"
#include "quant/row_coder.h"

namespace medlar::quant {
namespace {

constexpr std::int64_t kSlabBytes = 16 << 20;
constexpr std::uint32_t kQuantizationVersion = 2;  // of ggml's block layouts

// The part of the model that holds each tensor.
std::vector<std::size_t> parts_of(const gguf::File& model) {
  std::vector<std::size_t> parts;
  for (const gguf::Tensor& t : model.tensors()) {
    const auto in = [&](const MappedFile& part) {
      const std::byte* begin = part.bytes().data();
      return t.view.bytes.data() >= begin && t.view.bytes.data() < begin + part.bytes().size();
    };
    parts.push_back(
        static_cast<std::size_t>(std::ranges::find_if(model.parts(), in) - model.parts().begin()));
  }
  return parts;
}

std::vector<std::filesystem::path> output_files(const gguf::File& model, const std::filesystem::path& path,
                                                bool keep_split) {
  const auto count = static_cast<std::uint32_t>(model.parts().size());
  if (!keep_split || count == 1) return {path};
  gguf::SplitName name{.stem = path.stem().native(), .part = 1, .count = count};
  if (const auto split = gguf::SplitName::parse(path.filename().native())) name.stem = split->stem;
  std::vector<std::filesystem::path> files;
  for (std::uint32_t i = 1; i <= count; ++i) files.push_back(path.parent_path() / name.file_name(i));
  return files;
}

void check_not_input(const gguf::File& model, const std::vector<std::filesystem::path>& files) {
  for (const std::filesystem::path& file : files)
    for (const MappedFile& part : model.parts()) {
      std::error_code ignored;
      if (std::filesystem::equivalent(file, part.path(), ignored))
        throw Error(
            ErrorKind::usage,
            fmt::format("{}: is also what is read; its weights would be lost", printable(file.native())),
            "write to another name");
    }
}

void check_space(const std::filesystem::path& path, std::uint64_t bytes) {
  std::error_code unknown;
  const std::filesystem::space_info disk =
      std::filesystem::space(std::filesystem::absolute(path).parent_path(), unknown);
  if (!unknown && disk.available < bytes)
    throw Error(ErrorKind::no_space,
                fmt::format("{}: {} MB are needed, and the disk has {} MB", printable(path.native()),
                            bytes / 1'000'000, disk.available / 1'000'000),
                "free some space, or write to another disk");
}

class Quantizer {
 public:
  Quantizer(const gguf::File& model, std::span<const DType> types, Team& team, const QuantizeOptions& options)
      : model_(model), types_(types), team_(team), options_(options), parts_(parts_of(model)) {
    for (const gguf::Tensor& t : model.tensors()) report_.bytes_before += t.view.bytes.size();
  }

  QuantizeReport run(const std::filesystem::path& path) {
    report_.files = output_files(model_, path, options_.keep_split);
    check_not_input(model_, report_.files);
    report_.bytes_after = tensor_bytes(model_, types_);
    check_space(report_.files[0], report_.bytes_after);
    for (const std::filesystem::path& file : report_.files)
      writers_.push_back(std::make_unique<gguf::Writer>(file));
    describe();
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const gguf::Tensor& t = model_.tensors()[i];
      writer(i).add_tensor(t.name, types_[i], t.view.shape);
    }
    for (std::size_t i = 0; i < types_.size(); ++i) write(i);
    model_.check();
    for (const auto& w : writers_) w->finish();
    return std::move(report_);
  }

 private:
  gguf::Writer& writer(std::size_t tensor) { return *writers_[writers_.size() == 1 ? 0 : parts_[tensor]]; }

  void describe() {
    gguf::Writer& first = *writers_[0];
    first.copy(model_.metadata());
    first.set("general.quantization_version", kQuantizationVersion);
    first.set("general.file_type", options_.file_type);
    if (options_.imatrix) {
      const Imatrix& m = *options_.imatrix;
      first.set("quantize.imatrix.file", options_.imatrix_name);
      if (!m.datasets.empty()) first.set("quantize.imatrix.dataset", m.datasets[0]);
      first.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(m.entries.size()));
      if (m.chunks > 0)
        first.set("quantize.imatrix.chunks_count", checked_cast<std::uint32_t>(m.chunks, "chunks"));
    }
    for (std::size_t i = 0; writers_.size() > 1 && i < writers_.size(); ++i) {
      writers_[i]->set("split.no", static_cast<std::uint16_t>(i));
      writers_[i]->set("split.count", static_cast<std::uint16_t>(writers_.size()));
      writers_[i]->set("split.tensors.count", checked_cast<std::int32_t>(types_.size(), "tensors"));
    }
  }

  void write(std::size_t index) {
    const gguf::Tensor& t = model_.tensors()[index];
    gguf::Writer& to = writer(index);
    model_.advise(t.view.bytes, Advice::willneed);
    if (!format_info(t.view.type).is_weight()) {
      to.write(t.view.bytes);
      tell(t.view.bytes.size());
    } else {
      report_.weights += t.view.shape.elements();
      const std::vector<float> means = importance(t, types_[index]);
      const RowCoder coder(t, types_[index], means, options_.thorough || !means.empty());
      const std::int64_t slab = coder.rows_in(kSlabBytes);
      for (std::int64_t row = 0; row < coder.rows(); row += slab) {
        const std::int64_t rows = std::min(slab, coder.rows() - row);
        slab_.resize(static_cast<std::size_t>(rows * coder.row_bytes()));
        coder.code(row, slab_, team_, model_.name());
        to.write(slab_);
        tell(t.view.bytes.size() / static_cast<std::uint64_t>(coder.rows()) *
             static_cast<std::uint64_t>(rows));
      }
    }
    model_.advise(t.view.bytes, Advice::dontneed);
  }

  // (matrices, columns); empty where there is none, or none is wanted.
  std::vector<float> importance(const gguf::Tensor& t, DType type) {
    if (!options_.imatrix || type == t.view.type || format_info(type).block_length == 1) return {};
    std::vector<float> means = options_.imatrix->means(t.name);
    const Shape& s = t.view.shape;
    const std::int64_t rows_of_matrix = s.rank() > 1 ? s[s.rank() - 2] : 1;
    const std::int64_t wanted = s.back() * (s.rows() / rows_of_matrix);
    if (means.empty()) {
      report_.without_importance.emplace_back(t.name);
    } else if (std::ssize(means) != wanted) {
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: has {} columns for tensor {}, which has {}", options_.imatrix_name,
                              means.size(), printable(t.name), wanted),
                  "make the importance matrix of this model");
    }
    return means;
  }

  void tell(std::uint64_t bytes) {
    done_ = std::min(report_.bytes_before, done_ + bytes);
    if (options_.on_progress) options_.on_progress(done_, report_.bytes_before);
  }

  const gguf::File& model_;
  std::span<const DType> types_;
  Team& team_;
  const QuantizeOptions& options_;
  std::vector<std::size_t> parts_;  // of each tensor
  std::vector<std::unique_ptr<gguf::Writer>> writers_;
  std::vector<std::byte> slab_;
  std::uint64_t done_ = 0;
  QuantizeReport report_;
};

}  // namespace

std::uint64_t tensor_bytes(const gguf::File& model, std::span<const DType> types) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const gguf::Tensor& t = model.tensors()[i];
    bytes = checked_add(bytes, medlar::tensor_bytes(types[i], t.view.shape, t.name), t.name);
  }
  return bytes;
}

QuantizeReport quantize(const gguf::File& model, const std::filesystem::path& path,
                        std::span<const DType> types, Team& team, const QuantizeOptions& options) {
  return Quantizer(model, types, team, options).run(path);
}

}  // namespace medlar::quant
