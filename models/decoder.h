// What all decoder files share: the tensors around the layers, and how a file becomes a graph.
#pragma once

#include <string>
#include <vector>

#include "models/blocks.h"
#include "models/model.h"
#include "models/weights.h"

namespace medlar::models {

// The rows of token_embd.weight are the vocabulary.
std::int64_t vocabulary(const gguf::File& file);
// Throws Error(unsupported) when the file is a mixture of experts, which its architecture has none of.
void refuse_experts(const gguf::File& file, std::string_view architecture);

// A model but for its name and its forward pass. A Layer has visit(tensor, config).
template <class Layer, class Config = DecoderConfig, class Norm = nn::RmsNorm>
struct Decoder {
  Config cfg;
  nn::Embedding embedding;
  Norm output_norm;
  nn::Linear output;
  std::vector<Layer> layers;
  static constexpr std::string_view output_norm_name = "output_norm";

  // `norm`: how the file calls that before the output.
  template <class Visitor>
  void visit(Visitor& tensor, std::string_view norm) {
    tensor("token_embd", embedding, cfg.vocab, cfg.dim);
    tensor(norm, output_norm, cfg.dim);
    if (tensor.has("output"))
      tensor("output", output, cfg.vocab, cfg.dim);
    else
      output.weight = embedding.table;  // tied
  }

  // The logits of those rows that are wanted.
  ir::Value logits(ir::Graph& g, ir::Value x) const {
    return output(g, output_norm(g, ir::gather_rows(g, x)));
  }
};

// M is a model file's struct: a Decoder with a name, general.architecture, and forward().
template <class M>
Model build_decoder(const Source& source) {
  const gguf::File& file = source.file;
  M m;
  if constexpr (!requires { m.cfg.experts; }) refuse_experts(file, M::name);
  ConfigReader reader(file.metadata(), M::name);
  m.cfg.visit(reader);
  check(m.cfg, M::name);
  m.cfg.vocab = vocabulary(file);
  m.cfg.wanted_context = source.context > 0 ? source.context : m.cfg.context;
  Model model;
  for (const Adapter& adapter : source.adapters) check_adapter(adapter, M::name);
  WeightBinder bind(file, model.graph, m.cfg.eps, source.adapters);
  m.cfg.rope.divisors = bind.values("rope_freqs");
  m.visit(bind, M::output_norm_name);
  m.layers.resize(static_cast<std::size_t>(m.cfg.layers));
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    bind.begin_layer(i);
    m.layers[i].visit(bind, m.cfg);
  }
  bind.check_adapters();
  model.graph.set_output(m.forward(model.graph));
  model.graph.verify();
  model.config = m.cfg;
  if constexpr (requires { M::encoder; }) model.encoder = M::encoder;
  return model;
}

}  // namespace medlar::models
