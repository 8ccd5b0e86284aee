#include "runtime/backend.h"

#include "base/error.h"

namespace medlar::runtime {

void Program::observe_products(ProductObserver observer) {
  if (observer)
    throw Error(ErrorKind::unsupported, "this program does not keep what it multiplies as 32-bit floats",
                "load the model on the CPU, exact");
}

}  // namespace medlar::runtime
