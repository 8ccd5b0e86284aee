// BERT and those that followed it: every token sees the whole text, norms stand behind residuals, positions
// are learned vectors or, in Nomic's and Jina's, rotations (Devlin et al. 2019; Nussbaum et al. 2024; Sturua
// et al. 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key, {.epsilon = "attention.layer_norm_epsilon"});
  }
};

struct Layer {
  nn::Attention attn;
  nn::LayerNorm attn_norm, ffn_norm;
  nn::Linear gate, up, down;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    tensor("attn_output_norm", attn_norm, c.dim, Bias::required);
    if (tensor.has("ffn_gate")) tensor("ffn_gate", gate, c.ffn, c.dim, Bias::optional);
    tensor("ffn_up", up, c.ffn, c.dim, Bias::optional);
    tensor("ffn_down", down, c.dim, c.ffn, Bias::optional);
    tensor("layer_output_norm", ffn_norm, c.dim, Bias::required);
  }

  Value mlp(Graph& g, Value h) const {
    if (gate.weight) return down(g, ir::glu(g, ir::Activation::silu, gate(g, h), up(g, h)));
    return down(g, ir::gelu_erf(g, up(g, h)));
  }
};

template <class C>
struct Bert : Decoder<Layer, Config, nn::LayerNorm> {
  static constexpr std::string_view name = C::name;
  static constexpr bool encoder = true;
  nn::LayerNorm norm;
  Value first_type;         // (dim): every token is of the first
  nn::Embedding positions;  // (context, dim), where they are learned

  template <class Visitor>
  void visit(Visitor& tensor, std::string_view /*norm*/) {
    tensor("token_embd", embedding, cfg.vocab, cfg.dim);
    if (tensor.has("token_types")) tensor.first_row("token_types", first_type, cfg.dim);
    if constexpr (C::learned) tensor("position_embd", positions, cfg.context, cfg.dim);
    tensor("token_embd_norm", norm, cfg.dim, Bias::required);
  }

  Value embed(Graph& g) const {
    Value x = embedding(g);  // (tokens, dim)
    if (first_type) x = ir::add(g, x, first_type);
    if constexpr (C::learned) x = ir::add(g, x, ir::embed(g, positions.table, 1, ir::EmbedBy::position));
    return norm(g, x);
  }

  Value forward(Graph& g) const {
    Value x = embed(g);
    const nn::Rope rope = C::learned ? nn::Rope{} : nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    for (const Layer& l : layers) {
      auto [q, k, v] = l.attn.project(g, x);
      if constexpr (!C::learned) q = rope(g, q), k = rope(g, k);
      const Value y = nn::attend(g, {q, k, v}, {.scale = cfg.scale(), .causal = false});
      x = l.attn_norm(g, ir::add(g, x, l.attn.o(g, y)));
      x = l.ffn_norm(g, ir::add(g, x, l.mlp(g, x)));
    }
    return ir::gather_rows(g, x);
  }
};

struct Learned {
  static constexpr std::string_view name = "bert";
  static constexpr bool learned = true;
};
struct Nomic {
  static constexpr std::string_view name = "nomic-bert";
  static constexpr bool learned = false;
};
struct Jina {
  static constexpr std::string_view name = "jina-bert-v3";
  static constexpr bool learned = false;
};

}  // namespace

Model build_bert(const Source& source) { return build_decoder<Bert<Learned>>(source); }
Model build_nomic_bert(const Source& source) { return build_decoder<Bert<Nomic>>(source); }
Model build_jina_bert_v3(const Source& source) { return build_decoder<Bert<Jina>>(source); }

}  // namespace medlar::models
