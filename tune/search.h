// The search for a model's fastest settings: first how many layers a GPU has, where there is one, as nothing
// matters more; then threads; with these the size of a batch and the type of the cache together. Each step is
// a successive halving against what is best so far.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "formats/dtype.h"

namespace medlar::tune {

struct Settings {
  int threads = 1;
  int batch = 512;                // tokens of a prompt read at once
  std::optional<DType> kv_type;   // of cached keys and values; unset: what the engine takes by itself
  std::optional<int> gpu_layers;  // that are on a GPU, the last ones; unset: as many as the engine takes

  friend bool operator==(const Settings&, const Settings&) = default;
};

// Values to try; those of the defaults are tried anyway.
struct Choices {
  std::vector<int> threads;  // empty: from the default's down, as far as fewer are faster
  std::vector<int> batches;
  std::vector<std::optional<DType>> kv_types;
  std::vector<int> gpu_layers;
};

struct SearchTask {
  Settings defaults;
  Choices choices;
  // Seconds of a request with these settings; nothing: the search is to stop.
  std::function<std::optional<double>(const Settings&)> measure;
  // Whether there is memory for them; what does not fit is never measured. Unset: all fit.
  std::function<bool(const Settings&)> fits;
  // Whether some of the model is on the processor; else threads are not searched. Unset: it is.
  std::function<bool(const Settings&)> uses_threads;
  // Before each measurement: how many of this step are done, and at most to do.
  std::function<void(const Settings&, int done, int most)> progress;
};

struct SearchResult {
  Settings best;  // the defaults where nothing is faster beyond the noise
  bool complete = true;
  int measurements = 0;
  std::vector<Settings> too_large;      // did not fit
  std::vector<double> default_seconds;  // of the defaults, in the last rounds they took part in
  // How many times as fast as the defaults `best` was in each of these rounds, which did not choose it. Empty
  // where there is no gain, or the search was stopped before it was measured.
  std::vector<double> ratios;
};

// The counts below `threads` to begin with: one less, three quarters, half.
std::vector<int> fewer_threads(int threads);

SearchResult search(const SearchTask& task);

}  // namespace medlar::tune
