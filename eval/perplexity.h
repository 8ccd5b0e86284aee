// Runs a model over a text's windows and scores each token, alone or beside a base.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/team.h"
#include "engine/engine.h"
#include "eval/kl_base.h"
#include "eval/row.h"
#include "eval/windows.h"

namespace medlar::eval {

struct ScoreProgress {
  std::int64_t read = 0, total = 0;  // tokens
  double perplexity = 0;             // so far; 0: nothing is scored yet
};

struct ScoreOptions {
  // At most one base: stored, or a model that reads the same windows in turn with the first.
  const KlBase* stored = nullptr;
  Engine* against = nullptr;
  KlBaseWriter* save = nullptr;               // gets every scored row; the caller commits it
  std::shared_ptr<Team> team;                 // works on rows; not null
  const std::atomic<bool>* cancel = nullptr;  // looked at before every step
  std::function<void(const ScoreProgress&)> on_step;
};

struct Scores {
  std::vector<TokenScore> tokens;  // of whole windows, in the text's order
  std::vector<double> running;     // perplexity after each window
  std::int64_t read = 0;           // tokens the model read
  bool complete = false;           // false: cancelled
};

// For engines that score: a whole window in the context, many rows of logits at once.
EngineOptions scoring(EngineOptions options, const Windows& windows, std::shared_ptr<Team> team);

// Throws Error(bad_file) naming window and position where a probability is no number; what the engine and the
// files throw.
Scores score_windows(Engine& engine, const Windows& windows, const ScoreOptions& options);

}  // namespace medlar::eval
