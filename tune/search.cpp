#include "tune/search.h"

#include <algorithm>
#include <utility>

#include "tune/halving.h"

namespace medlar::tune {
namespace {

class Search {
 public:
  explicit Search(const SearchTask& task) : task_(task) { result_.best = task.defaults; }

  SearchResult run() && {
    choose_offload();
    choose_threads();
    choose_rest();
    confirm();
    return std::move(result_);
  }

 private:
  void choose_offload() {
    std::vector<Settings> candidates;
    for (const int layers : task_.choices.gpu_layers) {
      candidates.push_back(result_.best);
      candidates.back().gpu_layers = layers;
    }
    choose(candidates);
  }

  void choose_threads() {
    if (task_.uses_threads && !task_.uses_threads(result_.best)) return;
    std::vector<int> counts = task_.choices.threads;
    const bool given = !counts.empty();
    if (!given) counts = fewer_threads(result_.best.threads);
    while (result_.complete && !counts.empty()) {
      std::vector<Settings> candidates;
      for (const int threads : counts) {
        candidates.push_back(result_.best);
        candidates.back().threads = threads;
      }
      choose(candidates);
      // The fewest were the best: perhaps still fewer are.
      const bool further = !given && result_.best.threads == counts.back();
      counts = further ? fewer_threads(result_.best.threads) : std::vector<int>{};
    }
  }

  void choose_rest() {
    if (!result_.complete) return;
    std::vector<int> batches = task_.choices.batches;
    std::vector<std::optional<DType>> types = task_.choices.kv_types;
    batches.push_back(result_.best.batch), types.push_back(result_.best.kv_type);
    std::vector<Settings> candidates;
    for (const int batch : batches) {
      for (const std::optional<DType>& type : types) {
        candidates.push_back(result_.best);
        candidates.back().batch = batch, candidates.back().kv_type = type;
      }
    }
    choose(candidates);
  }

  // A chain of gains is not their product: what came out is measured beside the defaults, unless it was.
  void confirm() {
    if (!result_.complete || result_.best == task_.defaults || !result_.ratios.empty()) return;
    const Settings found = std::exchange(result_.best, task_.defaults);
    const Halving halving = run(duel, {task_.defaults, found}, kDuelMeasurements);
    // Stopped before it could be told: each step to it was a gain.
    if (!halving.complete && halving.best == 0 && halving.reference.size() < 4) result_.best = found;
  }

  // The best of the present best and those candidates that differ from it and fit.
  void choose(const std::vector<Settings>& wanted) {
    std::vector<Settings> candidates{result_.best};
    for (const Settings& s : wanted) {
      if (std::ranges::find(candidates, s) != candidates.end()) continue;
      if (task_.fits && !task_.fits(s)) {
        if (std::ranges::find(result_.too_large, s) == result_.too_large.end())
          result_.too_large.push_back(s);
      } else {
        candidates.push_back(s);
      }
    }
    const int most = most_measurements(candidates.size());
    run([&](const Measure& measure) { return halve(candidates.size(), measure); }, candidates, most);
  }

  // Measures `candidates`, of which the first is the best so far.
  template <class Method>
  Halving run(const Method& method, const std::vector<Settings>& candidates, int most) {
    int done = 0;
    const Halving halving = method([&](std::size_t i) {
      if (task_.progress) task_.progress(candidates[i], done, most);
      std::optional<double> seconds = task_.measure(candidates[i]);
      if (seconds) ++done, ++result_.measurements;
      return seconds;
    });
    result_.complete = result_.complete && halving.complete;
    const bool beside_defaults = candidates.front() == task_.defaults;
    if (beside_defaults && !halving.reference.empty()) result_.default_seconds = halving.reference;
    if (halving.best == 0) return halving;
    result_.best = candidates[halving.best];
    result_.ratios = beside_defaults ? halving.tried.back().ratios : std::vector<double>{};
    return halving;
  }

  const SearchTask& task_;
  SearchResult result_;
};

}  // namespace

std::vector<int> fewer_threads(int threads) {
  std::vector<int> counts;
  for (const int count : {threads - 1, threads * 3 / 4, threads / 2})
    if (count >= 1 && (counts.empty() || count < counts.back())) counts.push_back(count);
  return counts;
}

SearchResult search(const SearchTask& task) { return Search(task).run(); }

}  // namespace medlar::tune
