// A file of JSON lines that grows as work is done, and goes on where a process that died left it.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace medlar::cli {

class JsonLinesFile {
 public:
  // Hands over every whole line that is there, then cuts off the rest of a line that a dying process left.
  // Throws Error(limit) while another process writes to it, Error(io), and what `take` throws.
  JsonLinesFile(std::filesystem::path path, const std::function<void(const std::string& line)>& take);
  ~JsonLinesFile();
  JsonLinesFile(const JsonLinesFile&) = delete;
  JsonLinesFile& operator=(const JsonLinesFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t cut_bytes() const { return cut_bytes_; }  // of a torn line

  // One line at once. Throws Error(io, no_space).
  void add(const boost::json::object& line);
  // On the disk.
  void sync();

 private:
  void open();
  [[noreturn]] void fail(const char* doing) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t cut_bytes_ = 0;
};

}  // namespace medlar::cli
