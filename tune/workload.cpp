#include "tune/workload.h"

#include <cstddef>
#include <random>
#include <span>

#include <fmt/format.h>

#include "formats/all.h"

namespace medlar::tune {

Workload::Workload(const std::filesystem::path& path, const EngineOptions& options)
    : engine_(Engine::load(path, options)), session_(engine_->open_session()) {
  std::mt19937 random(1);
  tokens_.resize(static_cast<std::size_t>(engine_->context()));
  for (std::int32_t& t : tokens_)
    t = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(engine_->description().vocab));
}

void Workload::feed(std::int64_t count) {
  session_.feed(std::span(tokens_).first(static_cast<std::size_t>(count)));
}

std::string model_type(const ModelDescription& d) {
  const std::string size = d.parameters >= 1'000'000'000
                               ? fmt::format("{:.2f}B", static_cast<double>(d.parameters) / 1e9)
                               : fmt::format("{:.0f}M", static_cast<double>(d.parameters) / 1e6);
  return fmt::format("{} {} {}", d.architecture, size,
                     d.types.empty() ? "" : format_info(d.types.front().type).name);
}

}  // namespace medlar::tune
