// Sums over rows, as the engine's products tell of them.
#include "quant/collect.h"

#include <cmath>
#include <map>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf.h"

namespace medlar::quant {
namespace {

// Everything is allocated at first: rows are told of by threads that must not throw.
class Sums {
 public:
  Sums(const Engine& engine, const gguf::File& model) {
    for (const runtime::CallInfo& call : engine.calls()) {
      if (call.weights.empty() || readers_.contains(call.weights)) continue;
      std::vector<ImatrixEntry*> entries;
      for (const auto part : std::views::split(call.weights, ',')) {
        const std::string name(part.begin(), part.end());
        const TensorView* tensor = model.find_tensor(name);
        // What is outside of the layers is read for few tokens, or as a table.
        if (!name.starts_with("blk.") || !tensor || tensor->shape.rank() < 2) continue;
        const auto matrices = static_cast<std::size_t>(tensor->shape.rank() > 2 ? tensor->shape[0] : 1);
        const std::size_t values = matrices * static_cast<std::size_t>(tensor->shape.back());
        ImatrixEntry& e = made_.entries[name];
        e = {.columns = tensor->shape.back(),
             .counts = std::vector<double>(matrices),
             .squares = std::vector<double>(values),
             .sums = std::vector<double>(values)};
        entries.push_back(&e);
      }
      if (!entries.empty()) readers_.emplace(call.weights, std::move(entries));
    }
  }

  void add(const runtime::ProductRow& row) {
    const auto readers = readers_.find(row.weights);
    if (readers == readers_.end()) return;
    for (ImatrixEntry* e : readers->second) {
      const std::size_t offset = static_cast<std::size_t>(row.expert) * row.x.size();
      double* squares = e->squares.data() + offset;
      double* sums = e->sums.data() + offset;
      for (std::size_t i = 0; i < row.x.size(); ++i) {
        const auto v = static_cast<double>(row.x[i]);
        squares[i] += v * v, sums[i] += v;
      }
      e->counts[static_cast<std::size_t>(row.expert)] += 1;
    }
  }

  // Moves what was added to `to`.
  void move_to(Imatrix& to) {
    for (auto& [name, e] : made_.entries)
      for (const double v : e.squares)
        if (!std::isfinite(v))
          throw Error(ErrorKind::bad_file,
                      fmt::format("tensor {}: what it is multiplied with is no number", printable(name)),
                      "medlar verify tells whether the file is damaged");
    made_.chunk_size = to.chunk_size;  // rows are rows
    to.merge(made_);
    for (auto& [name, e] : made_.entries)
      for (std::vector<double>* values : {&e.counts, &e.squares, &e.sums}) std::ranges::fill(*values, 0.0);
  }

 private:
  Imatrix made_;
  std::map<std::string, std::vector<ImatrixEntry*>, std::less<>> readers_;  // by the names of a call
};

}  // namespace

EngineOptions collecting(EngineOptions options, const eval::Windows& windows) {
  options.context = windows.length();
  options.device = Device::cpu;
  options.exact = true;
  return options;
}

bool collect(Engine& engine, const gguf::File& model, const eval::Windows& windows, Imatrix& to,
             const CollectOptions& options) {
  Sums sums(engine, model);
  engine.observe_products([&](const runtime::ProductRow& row) { sums.add(row); });
  Session session = engine.open_session();
  const auto cancelled = [&] { return options.cancel && options.cancel->load(std::memory_order_relaxed); };
  std::int64_t window = options.first;
  for (; window < windows.count() && !cancelled(); ++window) {
    session.reset();
    session.feed(windows.window(window));
    sums.move_to(to);
    ++to.chunks;
    if (options.on_window) options.on_window(window + 1);
  }
  engine.observe_products(nullptr);
  return window >= windows.count();
}

}  // namespace medlar::quant
