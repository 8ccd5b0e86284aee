// seeds_gguf DIR COUNT: writes COUNT small GGUF files, most of them well formed, to start the fuzzer from.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/raw_gguf.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const int count = std::atoi(argv[2]);
  for (int i = 0; i < count; ++i) {
    medlar::fuzz::Random random(static_cast<unsigned>(i) + 1);
    std::ofstream(folder / std::to_string(i), std::ios::binary)
        << medlar::fuzz::RawGguf::make(random).write();
  }
}
