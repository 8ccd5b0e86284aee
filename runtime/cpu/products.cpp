// Products read prepared rows; those of experts say by their routing which matrix each row meets.
#include "runtime/cpu/products.h"

#include "kernels/table.h"

namespace medlar::runtime::cpu {
namespace {

using namespace kernels;  // NOLINT: this file is about their arguments

struct Teller {
  const StepCall& call;
  const Step& step;
  const ProductObserver& observer;

  template <class Args>
  void tell(const Args& args, std::int64_t row, std::int64_t expert) const {
    const std::byte* x = args.x + static_cast<std::size_t>(row) * act_bytes(ActKind::f32, args.k);
    observer({.weights = call.weights,
              .expert = expert,
              .x = {reinterpret_cast<const float*>(x), static_cast<std::size_t>(args.k)}});
  }

  // fn(row, expert, pair), pairs in their order: by expert, then by row.
  template <class Fn>
  void each_pair(const Routing& routing, Fn fn) const {
    const std::int64_t rows = resolve(routing.rows, step);
    std::int64_t pair = 0;
    for (std::int64_t e = 0; e < routing.experts; ++e)
      for (std::int64_t r = 0; r < rows; ++r)
        if (routing.weights[r * routing.experts + e] != 0) fn(r, e, pair++);
  }

  template <class Args>
  void operator()(const Args&) const {}
  void operator()(const LinearArgs& args) const {
    for (std::int64_t r = 0; r < resolve(args.rows, step); ++r) tell(args, r, 0);
  }
  void operator()(const ExpertGluArgs& args) const {
    each_pair(args.routing, [&](std::int64_t r, std::int64_t e, std::int64_t) { tell(args, r, e); });
  }
  void operator()(const ExpertSumArgs& args) const {
    each_pair(args.routing, [&](std::int64_t, std::int64_t e, std::int64_t pair) { tell(args, pair, e); });
  }
};

}  // namespace

void tell_products(const StepCall& call, const Step& step, const ProductObserver& observer) {
  std::visit(Teller{call, step, observer}, call.args);
}

}  // namespace medlar::runtime::cpu
