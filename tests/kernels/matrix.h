// Random weight rows, and their products with activations by the reference.
#pragma once

#include <vector>

#include "tests/kernels/activations.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

// A leaf for few rows, and what batches have.
struct Way {
  Leaf leaf;
  Batch batch = Batch::none;
};

// n weight rows by the rows of x, each product with its bound; and biases and residuals that fit.
struct Matrix {
  Matrix(const Way& way, std::int64_t n, const Activations& x, std::int64_t rows, Rng& rng);

  std::vector<std::byte> weights;
  std::vector<float> bias;               // (n)
  std::vector<float> residual, product;  // (rows, n)
  std::vector<double> bound;             // of each product
};

}  // namespace medlar::kernels::testing
