// Importance matrices: for each product's tensor, how large the values are that its columns are multiplied
// with. Files are llama.cpp's (docs/quantizing.md has both layouts byte by byte).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::quant {

struct ImatrixEntry {
  std::int64_t columns = 0;
  std::vector<double> counts;   // rows seen; of each matrix, or one for all of them
  std::vector<double> squares;  // (matrices, columns): sums over the rows of x^2
  std::vector<double> sums;     // the same of x; empty: not known

  std::int64_t matrices() const { return columns == 0 ? 0 : std::ssize(squares) / columns; }
  double count(std::int64_t matrix) const {
    return counts[counts.size() == 1 ? 0 : static_cast<std::size_t>(matrix)];
  }
};

class Imatrix {
 public:
  std::map<std::string, ImatrixEntry, std::less<>> entries;  // by the tensor's name
  std::vector<std::string> datasets;
  std::int64_t chunks = 0;      // of text that were read
  std::int64_t chunk_size = 0;  // tokens; 0: not known

  // Throws Error: bad_file naming the entry for what is no such file; what opening a file throws.
  static Imatrix read(const std::filesystem::path& path);
  // The bytes of such a file; `name` is for errors.
  static Imatrix read(std::span<const std::byte> bytes, std::string_view name);
  // A file in llama.cpp's GGUF layout, which appears when it is complete. Throws what gguf::Writer throws.
  void write(const std::filesystem::path& path) const;

  // Adds what another one has seen. Throws Error(usage) naming a tensor whose shape differs.
  void merge(const Imatrix& other);

  // Mean squares, (matrices, columns); 1 for a matrix that met no row. Empty: there is no such tensor.
  std::vector<float> means(std::string_view tensor) const;

 private:
  void merge(const std::string& name, const ImatrixEntry& theirs, double rows);
};

}  // namespace medlar::quant
