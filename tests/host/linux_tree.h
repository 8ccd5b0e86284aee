// A tree of small files that looks like /proc, /sys and /var; removed at the end.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include <stdlib.h>

namespace medlar::host {

class LinuxTree {
 public:
  LinuxTree() {
    std::string name = (std::filesystem::temp_directory_path() / "medlar-tree-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~LinuxTree() { std::filesystem::remove_all(root_); }
  LinuxTree(const LinuxTree&) = delete;
  LinuxTree& operator=(const LinuxTree&) = delete;

  void write(const std::filesystem::path& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void memory(long total_kb, long available_kb) const {
    write("proc/meminfo", "MemTotal:  " + std::to_string(total_kb) +
                              " kB\nMemAvailable:  " + std::to_string(available_kb) + " kB\n");
  }
  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

}  // namespace medlar::host
