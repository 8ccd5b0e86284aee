// Errors from a sample of rows, factors from measurements, and the choice between them.
#include "quant/target.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "base/checked.h"
#include "checkpoint/tensor_type.h"
#include "formats/all.h"
#include "quant/encode.h"
#include "quant/quantize.h"

namespace medlar::quant {
namespace {

constexpr DType kLadder[] = {DType::q2_k, DType::q3_k, DType::iq4_xs, DType::iq4_nl, DType::q4_0,
                             DType::q4_k, DType::q4_1, DType::q5_k,   DType::q5_0,   DType::q5_1,
                             DType::q6_k, DType::q8_0, DType::f16};
constexpr DType kProbe = DType::q3_k;      // coarse enough to be seen beside the measurement's own noise
constexpr std::int64_t kSampledRows = 96;  // of a tensor, for its error
constexpr int kCorrections = 5;

class Chooser {
 public:
  Chooser(const gguf::File& model, const eval::Windows& windows, const std::filesystem::path& scratch,
          const TargetOptions& options)
      : model_(model), options_(options), measured_(model, windows, scratch, options.measure) {
    for (const gguf::Tensor& t : model.tensors()) {
      const auto rule = std::ranges::find_if(options.rules, [&](const TypeRule& r) {
        return std::regex_search(t.name.begin(), t.name.end(), r.pattern);
      });
      const bool ruled = rule != options.rules.end() && allows_quantization(t);
      free_.push_back(allows_quantization(t) && !ruled);
      fixed_.push_back(ruled ? type_that_divides(rule->type, t.view.shape.back()) : t.view.type);
      means_.push_back(options.imatrix ? options.imatrix->means(t.name) : std::vector<float>());
      if (std::ssize(means_.back()) != expected_means(t)) means_.back().clear();
    }
    find_groups();
    find_options();
  }

  TargetResult run(const Target& target) {
    if (!target.kl) {
      const std::uint64_t budget = target.bits ? bytes_for(*target.bits) : bytes_for_file(*target.bytes);
      return finish(allocate_bytes(tensors_, budget));
    }
    double loss = *target.kl;
    std::optional<TargetResult> best;
    for (int i = 0; i < kCorrections; ++i) {
      TargetResult result = finish(allocate_loss(tensors_, loss));
      const double ratio = result.measured_kl / *target.kl;
      if (ratio <= 1 && (!best || bytes(result) < bytes(*best))) best = std::move(result);
      if (ratio > 0.93 && ratio <= 1) break;
      loss *= std::clamp(0.97 / std::max(ratio, 1e-9), 0.2, 3.0);
    }
    if (!best)
      throw Error(ErrorKind::limit, fmt::format("no types were found within a divergence of {}", *target.kl),
                  "allow more, or use F16");
    return std::move(*best);
  }

 private:
  static std::int64_t expected_means(const gguf::Tensor& t) {
    const Shape& s = t.view.shape;
    return s.rank() < 2 ? 0 : s.back() * (s.rows() / s[s.rank() - 2]);
  }

  // Of one kind of tensor in a third of the layers.
  void find_groups() {
    const std::int64_t layers = std::max<std::int64_t>(1, ModelFacts::of(model_.metadata()).layers);
    for (std::size_t i = 0; i < free_.size(); ++i) {
      if (!free_[i]) continue;
      std::string name(model_.tensors()[i].name);
      int layer = 0, read = 0;
      std::string group = name;
      if (std::sscanf(name.c_str(), "blk.%d.%n", &layer, &read) == 1 && read > 0)
        group = fmt::format("{} {}", std::clamp<std::int64_t>(layer, 0, layers - 1) * 3 / layers,
                            name.substr(static_cast<std::size_t>(read)));
      groups_[group].push_back(i);
    }
  }

  void find_options() {
    tensors_.resize(free_.size());
    std::vector<double> losses;
    std::int64_t done = 0;
    const auto total = static_cast<std::int64_t>(groups_.size());
    for (const auto& [name, members] : groups_) {
      std::vector<DType> probes;
      double error = 0;
      for (const std::size_t i : members) {
        probes.push_back(type_that_divides(kProbe, model_.tensors()[i].view.shape.back()));
        error += error_of(i, probes.back());
      }
      const double factor = error > 0 ? measured_.with(members, probes, means_) / error : 0;
      for (const std::size_t i : members) offer(i, factor);
      if (options_.measure.on_measured) options_.measure.on_measured(++done, total);
    }
    for (std::size_t i = 0; i < free_.size(); ++i)
      if (!free_[i]) tensors_[i] = {option(i, fixed_[i], 0)};
  }

  void offer(std::size_t tensor, double factor) {
    const gguf::Tensor& t = model_.tensors()[tensor];
    for (const DType type : kLadder)
      if (t.view.shape.back() % format_info(type).block_length == 0)
        tensors_[tensor].push_back(option(tensor, type, factor * error_of(tensor, type)));
    // What is there already loses nothing.
    tensors_[tensor].push_back(option(tensor, t.view.type, 0));
  }

  TypeOption option(std::size_t tensor, DType type, double loss) const {
    const gguf::Tensor& t = model_.tensors()[tensor];
    return {type, medlar::tensor_bytes(type, t.view.shape, t.name), loss};
  }

  // Expected squared error of the tensor's products, from some of its rows.
  double error_of(std::size_t tensor, DType type) const {
    const gguf::Tensor& t = model_.tensors()[tensor];
    const std::int64_t rows = t.view.shape.rows(), sampled = std::min(rows, kSampledRows);
    const std::int64_t of_matrix = t.view.shape[t.view.shape.rank() - 2];
    const auto columns = static_cast<std::size_t>(t.view.shape.back());
    std::atomic<std::int64_t> next = 0;
    std::vector<double> errors(static_cast<std::size_t>(sampled));
    options_.measure.team->run([&](int) {
      std::vector<float> x(columns), back(columns);
      std::vector<std::byte> blocks(static_cast<std::size_t>(row_bytes(type, t.view.shape.back())));
      for (std::int64_t i = next++; i < sampled; i = next++) {
        const std::int64_t row = i * rows / sampled;
        decode_row(t.view.type, t.view.bytes.data() + row * row_bytes(t.view.type, t.view.shape.back()),
                   x.data(), std::ssize(x));
        std::span<const float> means(means_[tensor]);
        if (!means.empty())
          means = means.subspan(static_cast<std::size_t>(row / of_matrix) * columns, columns);
        encode_row(type, x, blocks.data(), {.columns = means});
        decode_row(type, blocks.data(), back.data(), std::ssize(back));
        double& error = errors[static_cast<std::size_t>(i)];
        for (std::size_t k = 0; k < columns; ++k) {
          const double e = static_cast<double>(back[k]) - static_cast<double>(x[k]);
          error += e * e * (means.empty() ? 1.0 : static_cast<double>(means[k]));
        }
      }
    });
    return std::reduce(errors.begin(), errors.end()) * static_cast<double>(rows) /
           static_cast<double>(sampled);
  }

  std::uint64_t bytes_for(double bits) const {
    std::int64_t weights = 0;
    for (const gguf::Tensor& t : model_.tensors())
      if (format_info(t.view.type).is_weight()) weights += t.view.shape.elements();
    return static_cast<std::uint64_t>(bits * static_cast<double>(weights) / 8);
  }
  // What is beside the tensors stays about as it is.
  std::uint64_t bytes_for_file(std::uint64_t file) const {
    std::uint64_t beside = 64 * model_.tensors().size();
    for (const MappedFile& part : model_.parts()) beside += part.bytes().size();
    for (const gguf::Tensor& t : model_.tensors()) beside -= t.view.bytes.size();
    return file > beside ? file - beside : 0;
  }

  TargetResult finish(const std::vector<std::size_t>& chosen) {
    TargetResult result;
    std::vector<DType> types;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      types.push_back(tensors_[i][chosen[i]].type);
      result.types.push_back({types.back(), types.back()});
    }
    result.predicted_kl = loss_of(tensors_, chosen);
    const std::filesystem::path file = measured_.folder() / "chosen.gguf";
    quantize(
        model_, file, types, *options_.measure.team,
        {.imatrix = options_.imatrix, .imatrix_name = "imatrix", .thorough = options_.imatrix != nullptr});
    result.measured_kl = measured_.of(file);
    return result;
  }
  std::uint64_t bytes(const TargetResult& result) const {
    std::vector<DType> types;
    for (const TypeChoice& c : result.types) types.push_back(c.type);
    return tensor_bytes(model_, types);
  }

  const gguf::File& model_;
  const TargetOptions& options_;
  Divergence measured_;
  std::vector<bool> free_;
  std::vector<DType> fixed_;
  std::vector<std::vector<float>> means_;
  std::map<std::string, std::vector<std::size_t>> groups_;
  std::vector<std::vector<TypeOption>> tensors_;
};

}  // namespace

TargetResult choose_for(const gguf::File& model, const Target& target, const eval::Windows& windows,
                        const std::filesystem::path& scratch, const TargetOptions& options) {
  return Chooser(model, windows, scratch, options).run(target);
}

std::uint32_t file_type_of(const gguf::File& model, std::span<const TypeChoice> types) {
  std::map<DType, std::uint64_t> bytes;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const gguf::Tensor& t = model.tensors()[i];
    bytes[types[i].type] += medlar::tensor_bytes(types[i].type, t.view.shape, t.name);
  }
  const DType most = std::ranges::max_element(bytes, {}, [](const auto& b) { return b.second; })->first;
  const auto mix = std::ranges::find(mixes(), most, &Mix::type);
  return mix != mixes().end() ? mix->file_type : 0;
}

}  // namespace medlar::quant
