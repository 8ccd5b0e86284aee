#include "engine/timeline.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"
#include "base/error.h"

namespace medlar {

Timeline::Timeline(const ir::Graph& graph, runtime::Program& program, std::int64_t context, int batch)
    : graph_(graph),
      program_(program),
      context_(context),
      batch_(batch),
      tree_(tree_options(graph, program, pages(graph, context, batch), {1, context})),
      positions_(static_cast<std::size_t>(batch)),
      sequences_(static_cast<std::size_t>(batch), 0),
      rows_(static_cast<std::size_t>(batch)) {
  tree_.begin(0, {}, {});
}

std::array<std::int32_t, kMaxKvGroups> Timeline::pages(const ir::Graph& graph, std::int64_t context,
                                                       int batch) {
  std::array<std::int32_t, kMaxKvGroups> pages{};
  const auto windows = graph.group_windows();
  for (std::size_t i = 0; i < windows.size(); ++i)
    if (windows[i] != kernels::kRecurrent) pages[i] = kv_pages_needed(context, windows[i], batch);
  for (std::size_t i = 0; i < windows.size(); ++i)
    if (windows[i] == kernels::kRecurrent) pages[i] = state_pages_needed(1, kept_states(graph, pages));
  return pages;
}

std::int32_t Timeline::kept_states(const ir::Graph& graph,
                                   const std::array<std::int32_t, kMaxKvGroups>& pages) {
  constexpr std::int32_t kLeast = 4;
  double kv_bytes = 0, state_bytes = 1;
  std::int32_t most = kLeast;
  for (const ir::KvLayer& layer : graph.kv_layers()) {
    state_bytes += static_cast<double>(layer.conv_state + layer.scan_state) * sizeof(float);
    if (layer.recurrent()) continue;
    const std::int32_t count = pages[static_cast<std::size_t>(layer.group)];
    kv_bytes += static_cast<double>(layer.heads * (layer.k_dim + layer.v_dim)) * kPageTokens * count;
    most = std::max(most, count);
  }
  return static_cast<std::int32_t>(std::clamp(kv_bytes / 2 / state_bytes, double{kLeast}, double(most)));
}

PageTreeOptions Timeline::tree_options(const ir::Graph& graph, runtime::Program& program,
                                       const std::array<std::int32_t, kMaxKvGroups>& pages, Extent extent) {
  const auto windows = graph.group_windows();
  return {.windows = {windows.begin(), windows.end()},
          .pages = {pages.begin(), pages.begin() + std::ssize(windows)},
          .max_sequences = extent.sequences,
          .max_positions = extent.positions,
          .copy_page = [&program](int group, std::int32_t from, std::int32_t to) {
            program.copy_page(group, from, to);
          }};
}

std::int64_t Timeline::rewind_to(std::span<const std::int32_t> prompt) {
  tree_.end(0);
  // The last token is always read: its logits are what the caller wants.
  const std::int64_t keep = tree_.begin(0, {}, prompt.first(prompt.empty() ? 0 : prompt.size() - 1)).cached;
  tree_.forget_unused();
  tokens_.assign(prompt.begin(), prompt.begin() + keep);
  for (int group = 0; group < static_cast<int>(graph_.group_windows().size()); ++group)
    program_.release_pages(group, tree_.take_released(group));
  return keep;
}

void Timeline::append(std::span<const std::int32_t> tokens, Logits logits) {
  const std::int64_t at = std::ssize(tokens_), count = std::ssize(tokens);
  MEDLAR_ASSERT(count > 0 && count <= batch_);
  if (at + count > context_ || !tree_.extend(0, tokens))
    throw Error(ErrorKind::limit, fmt::format("the context of {} tokens is full", context_),
                "use a larger --ctx");
  std::iota(positions_.begin(), positions_.begin() + count, static_cast<std::int32_t>(at));
  const std::int64_t rows = logits == Logits::all ? count : 1;
  std::iota(rows_.begin(), rows_.begin() + rows, static_cast<std::int32_t>(count - rows));
  kernels::Step step{.tokens = static_cast<std::int32_t>(count),
                     .logit_rows = static_cast<std::int32_t>(rows),
                     .token_ids = tokens.data(),
                     .positions = positions_.data(),
                     .sequences = sequences_.data(),
                     .rows = rows_.data(),
                     .pages = {}};
  for (int group = 0; group < static_cast<int>(graph_.group_windows().size()); ++group)
    step.pages[group] = tree_.table(group);
  program_.run(step);
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

}  // namespace medlar
