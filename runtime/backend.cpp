#include "runtime/backend.h"

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"

namespace medlar::runtime {

void check_values_in_keys(const ir::Graph& graph, DType k_type) {
  for (const ir::Node& node : graph.nodes()) {
    const auto* attention = std::get_if<ir::Attention>(&node.op);
    if (attention && attention->v_dim % format_info(k_type).block_length != 0)
      throw Error(ErrorKind::unsupported,
                  fmt::format("the first {} values of a head cannot be read from keys that are cached as {}",
                              attention->v_dim, format_info(k_type).name),
                  "use a KV type without blocks: --kv-k f16 --kv-v f16");
  }
}

void Program::observe_products(ProductObserver observer) {
  if (observer)
    throw Error(ErrorKind::unsupported, "this program does not keep what it multiplies as 32-bit floats",
                "load the model on the CPU, exact");
}

}  // namespace medlar::runtime
