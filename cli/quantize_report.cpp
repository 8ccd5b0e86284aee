#include "cli/quantize_report.h"

#include <filesystem>
#include <map>
#include <utility>

#include <fmt/ranges.h>

#include "cli/terminal.h"
#include "cli/units.h"
#include "formats/all.h"

namespace medlar::cli {
namespace {

double bits_per_weight(std::uint64_t bytes, std::int64_t weights) {
  return weights > 0 ? 8 * static_cast<double>(bytes) / static_cast<double>(weights) : 0;
}

std::uint64_t file_bytes(const quant::QuantizeReport& written) {
  std::uint64_t bytes = 0;
  for (const std::filesystem::path& file : written.files) bytes += std::filesystem::file_size(file);
  return bytes;
}

bool is_quantized(DType type) { return format_info(type).block_length > 1; }

}  // namespace

std::vector<std::string> remarks(const gguf::File& model, const std::vector<quant::TypeChoice>& types) {
  struct Place {
    std::int64_t columns;
    DType wanted, type;
    auto operator<=>(const Place&) const = default;
  };
  std::map<Place, int> fallbacks;
  std::map<std::pair<DType, DType>, int> again;
  for (std::size_t i = 0; i < types.size(); ++i) {
    const gguf::Tensor& t = model.tensors()[i];
    const auto [type, wanted] = types[i];
    if (type != wanted) ++fallbacks[{t.view.shape.back(), wanted, type}];
    if (is_quantized(t.view.type) && type != t.view.type) ++again[{t.view.type, type}];
  }
  std::vector<std::string> lines;
  for (const auto& [place, count] : fallbacks)
    lines.push_back(fmt::format("note: rows of {} are no whole blocks of {}: {} tensors are {} instead",
                                place.columns, format_info(place.wanted).name, count,
                                format_info(place.type).name));
  for (const auto& [from_to, count] : again)
    lines.push_back(fmt::format("note: {} tensors are {} already, and lose again as {}", count,
                                format_info(from_to.first).name, format_info(from_to.second).name));
  return lines;
}

std::string to_text(const QuantizeOutcome& o) {
  std::vector<std::string> files;
  for (const std::filesystem::path& file : o.written.files) files.push_back(visible(file.native()));
  const double rate = o.seconds > 0 ? static_cast<double>(o.written.bytes_before) / o.seconds / 1e6 : 0;
  const std::string kl = o.measured_kl > 0 ? fmt::format(", divergence {:.6f}", o.measured_kl) : "";
  return fmt::format("wrote {}: {}, {:.2f} bits per weight (before: {:.2f}){}, in {:.1f} s ({:.0f} MB/s)\n",
                     fmt::join(files, ", "), format_bytes(file_bytes(o.written)),
                     bits_per_weight(o.written.bytes_after, o.written.weights),
                     bits_per_weight(o.written.bytes_before, o.written.weights), kl, o.seconds, rate);
}

boost::json::object to_json(const QuantizeOutcome& o) {
  boost::json::array files, tensors, without;
  for (const std::filesystem::path& file : o.written.files) files.emplace_back(file.native());
  for (const std::string& name : o.written.without_importance) without.emplace_back(name);
  for (std::size_t i = 0; i < o.types.size(); ++i) {
    const gguf::Tensor& t = o.model->tensors()[i];
    tensors.push_back({{"name", t.name},
                       {"from", format_info(t.view.type).name},
                       {"to", format_info(o.types[i].type).name},
                       {"wanted", format_info(o.types[i].wanted).name}});
  }
  return {{"input", o.input},
          {"type", o.mix},
          {"files", std::move(files)},
          {"bytes", file_bytes(o.written)},
          {"tensor_bytes", o.written.bytes_after},
          {"tensor_bytes_before", o.written.bytes_before},
          {"bits_per_weight", bits_per_weight(o.written.bytes_after, o.written.weights)},
          {"bits_per_weight_before", bits_per_weight(o.written.bytes_before, o.written.weights)},
          {"predicted_kl", o.mix == "auto" ? boost::json::value(o.predicted_kl) : nullptr},
          {"measured_kl", o.mix == "auto" ? boost::json::value(o.measured_kl) : nullptr},
          {"seconds", o.seconds},
          {"without_importance", std::move(without)},
          {"tensors", std::move(tensors)}};
}

}  // namespace medlar::cli
