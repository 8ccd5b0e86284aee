#include "nn/moe.h"

namespace medlar::nn {

Value Moe::operator()(Graph& g, Value x, const ir::Route& how, ir::Activation activation) const {
  const Value weights = ir::route(g, router(g, x), how);
  return ir::experts(g, x, weights, {gate.weight, up.weight, down.weight},
                     {.used = how.used, .activation = activation});
}

}  // namespace medlar::nn
