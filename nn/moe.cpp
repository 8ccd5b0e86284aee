#include "nn/moe.h"

namespace medlar::nn {

Value Moe::operator()(Graph& g, Value x, const ir::Route& how, ir::Activation activation) const {
  const Value weights = ir::route(g, router(g, x), how, choice_bias);
  return ir::experts(g, x, weights, {gate.weight, up.weight, down.weight},
                     {.used = how.used, .activation = activation}, {gate.bias, up.bias, down.bias});
}

Value GatedExpert::operator()(Graph& g, Value x) const {
  return ir::experts(g, x, ir::sigmoid(g, weight(g, x)), {gate.weight, up.weight, down.weight}, {.used = 1});
}

}  // namespace medlar::nn
