// What all decoder files share: read the configuration, bind the weights, emit the forward pass.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"
#include "models/weights.h"

namespace medlar::models {

// The rows of token_embd.weight are the vocabulary.
std::int64_t vocabulary(const gguf::File& file);
// Throws Error(unsupported) when the file is a mixture of experts, which its architecture has none of.
void refuse_experts(const gguf::File& file, std::string_view architecture);

// M is a model file's struct: name, Config cfg, embedding, output, std::vector<Layer> layers, visit(),
// forward().
template <class M>
Model build_decoder(const gguf::File& file) {
  M m;
  if constexpr (!requires { m.cfg.experts; }) refuse_experts(file, M::name);
  ConfigReader reader(file.metadata(), M::name);
  m.cfg.visit(reader);
  check(m.cfg, M::name);
  m.cfg.vocab = vocabulary(file);
  Model model;
  WeightBinder bind(file, model.graph, m.cfg.eps);
  m.cfg.rope.divisors = bind.values("rope_freqs");
  m.visit(bind);
  m.layers.resize(static_cast<std::size_t>(m.cfg.layers));
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    bind.prefix("blk." + std::to_string(i) + ".");
    m.layers[i].visit(bind, m.cfg);
  }
  model.graph.set_output(m.forward(model.graph));
  model.graph.verify();
  model.config = m.cfg;
  return model;
}

}  // namespace medlar::models
