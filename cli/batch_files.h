// The files of a batch: requests in OpenAI's format, and the answers, which say how far it has come.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace medlar::cli {

// One line of the input.
struct BatchRequest {
  std::int64_t line = 0;   // from 1
  std::string custom_id;   // empty where the line has none that can be read
  std::string path, body;  // "/v1/chat/completions", and JSON
  std::string wrong;       // what is wrong with the line; empty: nothing
};

// What a whole input file says, read ahead of any work.
struct BatchSummary {
  std::int64_t requests = 0;
  std::set<std::string, std::less<>> ids, models;
};

class BatchInput {
 public:
  // Throws Error(not_found).
  explicit BatchInput(std::filesystem::path path);
  // Throws Error(bad_file) naming the lines where two requests have one custom_id.
  BatchSummary summary() const;
  // The next line that is not blank; nothing at the end.
  std::optional<BatchRequest> next();

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::int64_t line_ = 0;
};

// The answers. Whole lines are kept and are not asked for again; the rest of a line that a dying process left
// is cut off.
class BatchOutput {
 public:
  // Throws Error(bad_file) naming a line that is no answer to a request of this batch, Error(limit) while
  // another process writes to it, and Error(io).
  BatchOutput(std::filesystem::path path, const BatchSummary& input);
  ~BatchOutput();
  BatchOutput(const BatchOutput&) = delete;
  BatchOutput& operator=(const BatchOutput&) = delete;

  bool has(const BatchRequest& request) const;
  std::int64_t found() const { return found_; }          // answers that were there
  std::int64_t cut_bytes() const { return cut_bytes_; }  // of a torn line

  // One line at once. Throws Error(io, no_space).
  void add(const boost::json::object& answer);
  // On the disk.
  void sync();

 private:
  void open();
  // Takes in the whole lines; returns their bytes.
  std::int64_t read(const BatchSummary& input);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::set<std::string, std::less<>> ids_;
  std::set<std::int64_t> lines_;  // of requests without an id
  std::int64_t found_ = 0, cut_bytes_ = 0;
};

}  // namespace medlar::cli
