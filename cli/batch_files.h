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

#include "cli/json_lines.h"

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

// The answers. Those that are there are not asked for again.
class BatchOutput {
 public:
  // Throws Error(bad_file) naming a line that is no answer to a request of this batch, and what JsonLinesFile
  // throws.
  BatchOutput(std::filesystem::path path, const BatchSummary& input);

  bool has(const BatchRequest& request) const;
  std::int64_t found() const { return found_; }                 // answers that were there
  std::int64_t cut_bytes() const { return file_.cut_bytes(); }  // of a torn line

  // As JsonLinesFile's.
  void add(const boost::json::object& answer) { file_.add(answer); }
  void sync() { file_.sync(); }

 private:
  void take(const std::string& line, const std::filesystem::path& path, const BatchSummary& input);

  std::set<std::string, std::less<>> ids_;
  std::set<std::int64_t> lines_;  // of requests without an id
  std::int64_t found_ = 0;
  JsonLinesFile file_;  // last: reading it fills the others
};

}  // namespace medlar::cli
