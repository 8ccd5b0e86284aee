// Writing a synthetic model: metadata that every engine asks for, then rows from pools.
#include "tune/synth.h"

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <tuple>

#include <fmt/format.h>

#include "checkpoint/gguf_writer.h"
#include "formats/all.h"
#include "tune/synth_weights.h"

namespace medlar::tune {
namespace {

constexpr std::int32_t kNormalToken = 1, kControlToken = 3, kUnusedToken = 5;  // tokenizer.ggml.token_type
constexpr std::uint32_t kQuantizationVersion = 2;
constexpr float kEpsilon = 1e-5F;
constexpr std::uint64_t kProgressBytes = 8 << 20;

// The character that stands for a byte in byte-level vocabularies (Radford et al. 2019), in UTF-8: printable
// Latin-1 stands for itself, the other 68 bytes take the characters from U+0100 on in order.
std::string byte_token(int byte, int& next) {
  const bool printable =
      (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
  const int c = printable ? byte : next++;
  if (c < 0x80) return {static_cast<char>(c)};
  return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
}

void set_vocabulary(gguf::Writer& writer, const SynthShape& shape) {
  std::vector<std::string> tokens;
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_token(byte, next));
  tokens.emplace_back("th");
  std::vector<std::int32_t> types(tokens.size(), kNormalToken);
  const auto end = static_cast<std::uint32_t>(tokens.size());
  tokens.emplace_back("<|end_of_text|>");
  types.push_back(kControlToken);
  for (std::int64_t i = std::ssize(tokens); i < shape.vocab; ++i)
    tokens.push_back(fmt::format("<|unused_{}|>", i));
  types.resize(tokens.size(), kUnusedToken);
  const std::vector<std::string> merges = {"t h"};
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", shape.pre_tokenizer);
  writer.set_array<std::string>("tokenizer.ggml.tokens", tokens);
  writer.set_array<std::int32_t>("tokenizer.ggml.token_type", types);
  writer.set_array<std::string>("tokenizer.ggml.merges", merges);
  writer.set("tokenizer.ggml.bos_token_id", end);
  writer.set("tokenizer.ggml.eos_token_id", end);
  writer.set("tokenizer.ggml.add_bos_token", false);
}

void set_metadata(gguf::Writer& writer, const SynthModel& model) {
  const SynthShape& s = model.shape;
  const auto key = [&](std::string_view name, std::int64_t value) {
    writer.set(fmt::format("{}.{}", s.architecture(), name), static_cast<std::uint32_t>(value));
  };
  writer.set("general.architecture", s.architecture());
  writer.set("general.name", fmt::format("{} shape, random weights", s.title));
  writer.set("general.file_type", model.mix.file_type);
  writer.set("general.quantization_version", kQuantizationVersion);
  key("block_count", s.layers);
  key("context_length", s.context);
  key("embedding_length", s.dim);
  key("feed_forward_length", s.ffn);
  key("attention.head_count", s.heads);
  key("attention.head_count_kv", s.kv_heads);
  key("attention.key_length", s.head_dim);
  key("attention.value_length", s.head_dim);
  key("rope.dimension_count", s.head_dim);
  key("vocab_size", s.vocab);
  if (s.experts > 0) {
    key("expert_count", s.experts);
    key("expert_used_count", s.experts_used);
    key("expert_feed_forward_length", s.expert_ffn);
  }
  writer.set(fmt::format("{}.rope.freq_base", s.architecture()), s.rope_theta);
  writer.set(fmt::format("{}.attention.layer_norm_rms_epsilon", s.architecture()), kEpsilon);
  set_vocabulary(writer, s);
}

// One pool for all tensors of a type and width.
class Pools {
 public:
  explicit Pools(std::uint64_t seed) : random_(seed) {}

  std::span<const std::byte> row(const SynthTensor& tensor) {
    const std::int64_t columns = tensor.shape.back();
    const bool norm = tensor.shape.rank() == 1;
    const auto [at, is_new] = pools_.try_emplace({tensor.type, columns, norm}, nullptr);
    if (is_new) {
      const WeightPool::Values values =
          norm ? WeightPool::Values{.mean = 1, .deviation = 0.1F}
               : WeightPool::Values{.mean = 0, .deviation = 1 / std::sqrt(static_cast<float>(columns))};
      at->second = std::make_unique<WeightPool>(tensor.type, columns, values, random_);
    }
    return at->second->row(random_);
  }

 private:
  std::mt19937_64 random_;
  std::map<std::tuple<DType, std::int64_t, bool>, std::unique_ptr<WeightPool>> pools_;
};

}  // namespace

void synthesize(const std::filesystem::path& path, const SynthModel& model, const SynthOptions& options) {
  gguf::Writer writer(path);
  set_metadata(writer, model);
  const std::vector<SynthTensor> tensors = synth_tensors(model);
  std::uint64_t total = 0, done = 0, shown = 0;
  for (const SynthTensor& t : tensors) {
    writer.add_tensor(t.name, t.type, t.shape);
    total += static_cast<std::uint64_t>(row_bytes(t.type, t.shape.back()) * t.shape.rows());
  }
  if (!options.weights) return writer.finish_with_hole();
  Pools pools(options.seed);
  std::vector<std::byte> buffer;  // many rows to a write
  const auto flush = [&] {
    writer.write(buffer);
    done += buffer.size();
    buffer.clear();
    if (!options.progress || (done < shown && done < total)) return;
    options.progress(done, total);
    shown = done + kProgressBytes;
  };
  for (const SynthTensor& t : tensors) {
    for (std::int64_t r = 0; r < t.shape.rows(); ++r) {
      const std::span<const std::byte> row = pools.row(t);
      buffer.insert(buffer.end(), row.begin(), row.end());
      if (buffer.size() >= kProgressBytes / 8) flush();
    }
    flush();
  }
  writer.finish();
}

}  // namespace medlar::tune
