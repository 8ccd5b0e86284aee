#include "tests/support/tiny_model.h"

#include <cmath>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <stdlib.h>

#include "checkpoint/gguf_writer.h"
#include "formats/all.h"

namespace medlar::testing {
namespace {

// GPT-2's printable stand-in for each byte: printable Latin-1 characters stand for themselves, the others
// follow from U+0100 on.
std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens(256);
  int next = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE);
    const int c = printable ? b : next++;
    std::string& t = tokens[static_cast<std::size_t>(b)];
    if (c < 0x80) {
      t += static_cast<char>(c);
    } else {
      t += static_cast<char>(0xC0 | (c >> 6));
      t += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return tokens;
}

struct Tensor {
  std::string name;
  Shape shape;
};

class TinyWriter {
 public:
  TinyWriter(const std::filesystem::path& path, const TinyModel& model)
      : m_(model), writer_(path), random_(model.seed) {}

  void run() {
    metadata();
    tokenizer();
    tensors();
    for (const Tensor& t : tensors_) writer_.add_tensor(t.name, type_of(t), t.shape);
    for (const Tensor& t : tensors_) write(t);
    writer_.finish();
  }

 private:
  void key(std::string_view name, std::int64_t value) {
    writer_.set(fmt::format("{}.{}", m_.architecture, name), static_cast<std::uint32_t>(value));
  }

  void metadata() {
    writer_.set("general.architecture", m_.architecture);
    writer_.set("general.name", std::string("tiny ") + m_.architecture);
    key("block_count", m_.layers), key("context_length", m_.context), key("embedding_length", m_.dim);
    key("feed_forward_length", m_.ffn), key("attention.head_count", m_.heads),
        key("attention.head_count_kv", m_.kv_heads);
    key("attention.key_length", m_.head_dim), key("attention.value_length", m_.head_dim);
    key("rope.dimension_count", m_.head_dim);
    writer_.set(m_.architecture + ".attention.layer_norm_rms_epsilon", 1e-5F);
    writer_.set(m_.architecture + ".rope.freq_base", 10000.0F);
    if (m_.experts > 0)
      key("expert_count", m_.experts), key("expert_used_count", m_.experts_used),
          key("expert_feed_forward_length", m_.ffn);
    if (m_.architecture == "gemma3")
      key("attention.sliding_window", m_.window), key("attention.sliding_window_pattern", 2);
  }

  void tokenizer() {
    std::vector<std::string> tokens = byte_tokens();
    for (const char* t : {"th", "the", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<pad>"})
      tokens.emplace_back(t);
    std::vector<std::int32_t> types(tokens.size(), 1);
    for (std::size_t i = tokens.size() - 4; i < tokens.size(); ++i) types[i] = 3;
    const std::vector<std::string> merges = {"t h", "th e"};
    writer_.set("tokenizer.ggml.model", "gpt2");
    writer_.set("tokenizer.ggml.pre", "gpt-2");
    writer_.set_array<std::string>("tokenizer.ggml.tokens", tokens);
    writer_.set_array<std::int32_t>("tokenizer.ggml.token_type", types);
    writer_.set_array<std::string>("tokenizer.ggml.merges", merges);
    writer_.set("tokenizer.ggml.bos_token_id", std::uint32_t{258});
    writer_.set("tokenizer.ggml.eos_token_id", std::uint32_t{260});
    writer_.set("tokenizer.ggml.add_bos_token", false);
    writer_.set("tokenizer.chat_template",
                "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  }

  void add(std::string name, Shape shape) { tensors_.push_back({std::move(name), shape}); }

  void tensors() {
    const std::int64_t q = m_.heads * m_.head_dim, kv = m_.kv_heads * m_.head_dim;
    const bool qk_norm = m_.architecture.starts_with("qwen3") || m_.architecture == "gemma3";
    add("token_embd.weight", {kTinyVocab, m_.dim});
    add("output_norm.weight", {m_.dim});
    if (!m_.tied) add("output.weight", {kTinyVocab, m_.dim});
    for (std::int64_t i = 0; i < m_.layers; ++i) {
      const auto layer = [&](std::string_view name, Shape shape) {
        add(fmt::format("blk.{}.{}", i, name), shape);
      };
      layer("attn_norm.weight", {m_.dim});
      layer("attn_q.weight", {q, m_.dim}), layer("attn_k.weight", {kv, m_.dim}),
          layer("attn_v.weight", {kv, m_.dim});
      if (m_.architecture == "qwen2")
        layer("attn_q.bias", {q}), layer("attn_k.bias", {kv}), layer("attn_v.bias", {kv});
      if (qk_norm) layer("attn_q_norm.weight", {m_.head_dim}), layer("attn_k_norm.weight", {m_.head_dim});
      layer("attn_output.weight", {m_.dim, q});
      layer("ffn_norm.weight", {m_.dim});
      if (m_.experts > 0) {
        layer("ffn_gate_inp.weight", {m_.experts, m_.dim});
        layer("ffn_gate_exps.weight", {m_.experts, m_.ffn, m_.dim});
        layer("ffn_up_exps.weight", {m_.experts, m_.ffn, m_.dim});
        layer("ffn_down_exps.weight", {m_.experts, m_.dim, m_.ffn});
      } else {
        layer("ffn_gate.weight", {m_.ffn, m_.dim}), layer("ffn_up.weight", {m_.ffn, m_.dim}),
            layer("ffn_down.weight", {m_.dim, m_.ffn});
      }
      if (m_.architecture == "gemma3")
        layer("post_attention_norm.weight", {m_.dim}), layer("post_ffw_norm.weight", {m_.dim});
    }
  }

  DType type_of(const Tensor& t) const {
    return t.shape.rank() >= 2 && t.shape.back() % format_info(m_.type).block_length == 0 ? m_.type
                                                                                          : DType::f32;
  }

  void write(const Tensor& t) {
    // Norms near one; matrices scaled so that activations neither grow nor vanish.
    std::normal_distribution<float> normal(
        t.shape.rank() == 1 ? 1.0F : 0.0F,
        t.shape.rank() == 1 ? 0.2F : 1 / std::sqrt(static_cast<float>(t.shape.back())));
    std::vector<float> row(static_cast<std::size_t>(t.shape.back()));
    std::vector<std::byte> bytes(static_cast<std::size_t>(row_bytes(type_of(t), t.shape.back())));
    for (std::int64_t r = 0; r < t.shape.rows(); ++r) {
      for (float& x : row) x = normal(random_);
      encode_row(type_of(t), row.data(), bytes.data(), t.shape.back());
      writer_.write(bytes);
    }
  }

  const TinyModel& m_;
  gguf::Writer writer_;
  std::mt19937_64 random_;
  std::vector<Tensor> tensors_;
};

}  // namespace

void write_tiny_model(const std::filesystem::path& path, const TinyModel& model) {
  TinyWriter(path, model).run();
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "medlar-test-XXXXXX").string();
  if (!::mkdtemp(name.data()))
    throw std::filesystem::filesystem_error("mkdtemp", std::error_code(errno, std::generic_category()));
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace medlar::testing
