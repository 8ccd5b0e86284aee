// The one list of architectures: X(id, general.architecture, title), each a file of this folder with
// build_id().
#pragma once

#include "models/model.h"

#define MEDLAR_ARCHITECTURES(X)                                  \
  X(llama, "llama", "Llama 2 and 3, Mistral, Mixtral, SmolLM2")  \
  X(qwen2, "qwen2", "Qwen 2 and 2.5")                            \
  X(qwen3, "qwen3", "Qwen 3")                                    \
  X(qwen3moe, "qwen3moe", "Qwen 3 with experts")                 \
  X(gemma2, "gemma2", "Gemma 2")                                 \
  X(gemma3, "gemma3", "Gemma 3 (text)")                          \
  X(olmo2, "olmo2", "OLMo 2 and 3")                              \
  X(phi3, "phi3", "Phi-3, Phi-4, Phi-4-mini")                    \
  X(granite, "granite", "Granite 3")                             \
  X(granitemoe, "granitemoe", "Granite 3 with experts")          \
  X(smollm3, "smollm3", "SmolLM3")                               \
  X(glm4, "glm4", "GLM-4 (0414)")                                \
  X(exaone4, "exaone4", "EXAONE 4")                              \
  X(qwen2moe, "qwen2moe", "Qwen 1.5 and 2 with experts")         \
  X(cohere2, "cohere2", "Command R7B, Command A")                \
  X(mistral3, "mistral3", "Ministral 3, Mistral Small 3.1")      \
  X(gpt_oss, "gpt-oss", "gpt-oss 20B and 120B")                  \
  X(deepseek2, "deepseek2", "DeepSeek V2 and V3, GLM-4.7 Flash") \
  X(bert, "bert", "BERT")                                        \
  X(nomic_bert, "nomic-bert", "Nomic Embed")                     \
  X(jina_bert_v3, "jina-bert-v3", "Jina Embeddings 3")           \
  X(gemma_embedding, "gemma-embedding", "EmbeddingGemma")        \
  X(lfm2, "lfm2", "LFM2")                                        \
  X(qwen3next, "qwen3next", "Qwen3-Next")                        \
  X(qwen35, "qwen35", "Qwen 3.5 (text)")                         \
  X(qwen35moe, "qwen35moe", "Qwen 3.5 with experts (text)")      \
  X(granitehybrid, "granitehybrid", "Granite 4")                 \
  X(nemotron_h, "nemotron_h", "Nemotron-H, Nemotron Nano 2")

namespace medlar::models {

#define MEDLAR_DECLARE(id, name, title) Model build_##id(const Source& source);
MEDLAR_ARCHITECTURES(MEDLAR_DECLARE)
#undef MEDLAR_DECLARE

}  // namespace medlar::models
