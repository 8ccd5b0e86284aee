// Timeline: the tokens that one sequence's cache holds, and the steps that extend it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/page_tree.h"
#include "ir/graph.h"
#include "runtime/backend.h"

namespace medlar {

// Runs steps of one sequence on a program and keeps the cache's bookkeeping in agreement with it.
class Timeline {
 public:
  // `program` was lowered from `graph` for one sequence of at most `context` tokens in batches of `batch`.
  Timeline(const ir::Graph& graph, runtime::Program& program, std::int64_t context, int batch);

  // Pages of each group that such a program must have.
  static std::array<std::int32_t, kMaxKvGroups> pages(const ir::Graph& graph, std::int64_t context,
                                                      int batch);

  // States of recurrent layers that are kept for later, where the other groups have so many pages: as many as
  // take half of what keys and values do in q8_0, a few at least, and at most one for each page.
  static std::int32_t kept_states(const ir::Graph& graph,
                                  const std::array<std::int32_t, kMaxKvGroups>& pages);

  // What a tree of such a program's pages is made from.
  struct Extent {
    std::int32_t sequences = 1;
    std::int64_t positions = 0;  // of one
  };
  static PageTreeOptions tree_options(const ir::Graph& graph, runtime::Program& program,
                                      const std::array<std::int32_t, kMaxKvGroups>& pages, Extent extent);

  std::span<const std::int32_t> tokens() const { return tokens_; }
  std::int64_t context() const { return context_; }
  const PageTree& pages() const { return tree_; }

  // Keeps the longest part that both share and that the cache can go back to; returns its length.
  std::int64_t rewind_to(std::span<const std::int32_t> prompt);

  // Which tokens of a batch get logits.
  enum class Logits : std::uint8_t { last, all };
  // Runs tokens (at most `batch`) at the end of the timeline; their logits are then the program's rows.
  // Throws Error(limit) when the context is full; then nothing was added.
  void append(std::span<const std::int32_t> tokens, Logits logits);

 private:
  const ir::Graph& graph_;
  runtime::Program& program_;
  std::int64_t context_;
  int batch_;
  PageTree tree_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> positions_, sequences_, rows_;  // of the step being run
};

}  // namespace medlar
