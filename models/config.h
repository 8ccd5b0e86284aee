// Configuration reflection: each hyperparameter is listed once, with its key, its range and its default.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf.h"
#include "nn/blocks.h"

namespace medlar::models {

struct Range {
  std::int64_t low = 1, high = std::int64_t{1} << 24;
};

// Reads "<architecture>.<key>" into fields. Throws Error(bad_file) naming the key that is missing or out of
// range.
class ConfigReader {
 public:
  ConfigReader(const gguf::Metadata& metadata, std::string_view architecture)
      : metadata_(metadata), prefix_(architecture) {}

  bool has(std::string_view key) const { return metadata_.contains(full(key)); }
  void operator()(std::string_view key, std::int64_t& field, Range range = {}) const;
  void operator()(std::string_view key, std::int64_t& field, Range range, std::int64_t otherwise) const;
  void operator()(std::string_view key, float& field) const;
  void operator()(std::string_view key, float& field, float otherwise) const;
  void operator()(std::string_view key, bool& field, bool otherwise) const;
  void operator()(std::string_view key, nn::RopeScaling& field, nn::RopeScaling otherwise) const;
  // A number or the largest of an array, one for each layer.
  void largest(std::string_view key, std::int64_t& field, Range range, std::int64_t otherwise) const;
  // One for each of `layers`: from the file's array, or its number for all of them.
  void operator()(std::string_view key, std::vector<std::int64_t>& field, std::int64_t layers,
                  Range range) const;
  // One for each of `layers`: from the file's array, or from its number n, or else `otherwise`, of which
  // every nth layer is false and all others are true.
  void operator()(std::string_view key, std::vector<bool>& field, std::int64_t layers,
                  std::int64_t otherwise) const;

 private:
  void check(std::string_view key, std::int64_t field, Range range) const;
  std::string full(std::string_view key) const { return prefix_ + "." + std::string(key); }

  const gguf::Metadata& metadata_;
  std::string prefix_;
};

struct DecoderKeys {
  std::string_view epsilon = "attention.layer_norm_rms_epsilon";
  // Layers are of several kinds: where keys differ among them the file has a number for each, and there may
  // be no layer with an MLP.
  bool mixed = false;
};

// What every decoder-only transformer has.
struct DecoderConfig {
  std::int64_t layers = 0, context = 0, dim = 0, ffn = 0, heads = 0, kv_heads = 0, head_dim = 0, v_dim = 0;
  float eps = 0;
  nn::RopeConfig rope;
  // Rotary pairs are half a head apart also where the architecture's files have them side by side: weights as
  // Hugging Face's folders have them.
  bool rope_halves = false;
  std::int64_t vocab = 0;           // from the embedding's shape
  std::int64_t wanted_context = 0;  // tokens that a sequence will have at most

  template <class Visitor>
  void visit(Visitor& key, const DecoderKeys& keys = {}) {
    key("block_count", layers, Range{1, 1024});
    key("context_length", context, Range{1, std::int64_t{1} << 32});
    key("embedding_length", dim, Range{1, 1 << 20});
    if (keys.mixed)
      key.largest("feed_forward_length", ffn, Range{0, 1 << 22}, 0);
    else
      key("feed_forward_length", ffn, Range{1, 1 << 22});
    key("attention.head_count", heads, Range{1, 1 << 14});
    if (keys.mixed)
      key.largest("attention.head_count_kv", kv_heads, Range{1, 1 << 14}, heads);
    else
      key("attention.head_count_kv", kv_heads, Range{1, 1 << 14}, heads);
    key("attention.key_length", head_dim, Range{1, 1 << 14}, dim / heads);
    key("attention.value_length", v_dim, Range{1, 1 << 14}, head_dim);
    key(keys.epsilon, eps);
    key("rope.dimension_count", rope.dim, Range{2, 1 << 14}, head_dim);
    key("rope.freq_base", rope.theta, 10000.0F);
    key("rope.halves", rope_halves, false);
    key("rope.scaling.type", rope.scaling, nn::RopeScaling::none);
    key("rope.scaling.factor", rope.factor, 1.0F);
    key("rope.scaling.attn_factor", rope.attention_factor, 1.0F);
    key("rope.scaling.original_context_length", rope.original_context, Range{1, std::int64_t{1} << 32},
        context);
    key("rope.scaling.yarn_beta_fast", rope.beta_fast, 32.0F);
    key("rope.scaling.yarn_beta_slow", rope.beta_slow, 1.0F);
    key("rope.scaling.yarn_log_multiplier", rope.log_multiplier, 0.0F);
    key("rope.scaling.yarn_attn_factor", rope.magnitude, 0.0F);
  }

  // Of an architecture whose files have rotary pairs side by side.
  ir::RopeStyle rope_style() const { return rope_halves ? ir::RopeStyle::halves : ir::RopeStyle::adjacent; }
  // What products of queries and keys are multiplied with (Vaswani et al. 2017).
  float scale() const { return 1 / std::sqrt(static_cast<float>(head_dim)); }
};

// Which layers attend over a window of the last tokens instead of all (Beltagy et al. 2020).
struct SlidingWindow {
  std::int64_t tokens = 0;   // that a query sees, itself included; 0: every layer sees all
  std::vector<bool> slides;  // by layer

  // `period`: every so many layers one sees all, where the file does not say. `optional`: a file without a
  // window has layers that all see all.
  template <class Visitor>
  void visit(Visitor& key, std::int64_t layers, std::int64_t period, bool optional = false) {
    if (optional)
      key("attention.sliding_window", tokens, Range{0, std::int64_t{1} << 32}, 0);
    else
      key("attention.sliding_window", tokens, Range{1, std::int64_t{1} << 32});
    key("attention.sliding_window_pattern", slides, layers, period);
    if (tokens == 0) slides.assign(slides.size(), false);
  }
  bool at(std::size_t layer) const { return slides[layer]; }
  // nn::Attend::window of the layer.
  std::int64_t of(std::size_t layer) const { return slides[layer] ? tokens : 0; }
};

// The relations between hyperparameters that every decoder keeps. Throws Error(bad_file) naming the keys.
void check(const DecoderConfig& config, std::string_view architecture);

}  // namespace medlar::models
