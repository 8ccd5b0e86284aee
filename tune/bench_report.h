// Benchmark results as text: a Markdown table, CSV, JSON or JSON lines, with llama-bench's names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tune/bench.h"

namespace medlar::tune {

enum class BenchFormat : std::uint8_t { md, csv, json, jsonl };
// Throws Error(usage) listing the names.
BenchFormat parse_bench_format(std::string_view name);

// The text comes in pieces, so that each result can be shown as soon as it is there: begin() once, row() for
// each result, end() once. Together they are one document.
class BenchReport {
 public:
  explicit BenchReport(BenchFormat format) : format_(format) {}

  std::string begin() const;
  std::string row(const BenchResult& result);
  std::string end() const;

 private:
  BenchFormat format_;
  int rows_ = 0;
  std::string profiles_;  // Markdown shows them behind the table
};

}  // namespace medlar::tune
