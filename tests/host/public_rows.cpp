#include "tests/host/public_rows.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tune/synth_file.h"

namespace medlar::testing {
namespace {

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream in(line);
  for (std::string cell; std::getline(in, cell, ',');) result.push_back(cell);
  return result;
}

double number(const std::string& cell) { return cell.empty() ? 0 : std::stod(cell); }

}  // namespace

std::vector<PublicRow> read_public_rows(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path.string() + " cannot be read");
  std::vector<PublicRow> rows;
  bool head = true;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> c = cells(line);
    if (c.size() != 10) throw std::runtime_error(path.string() + ": not ten cells in " + line);
    if (!head)
      rows.push_back({.machine = c[0],
                      .model = c[1],
                      .type = c[2],
                      .prompt = number(c[3]),
                      .prompt_tps = number(c[4]),
                      .gen = number(c[5]),
                      .decode_tps = number(c[6]),
                      .fits = c[7],
                      .use = c[8],
                      .source = c[9]});
    head = false;
  }
  return rows;
}

const ModelPlan& RowPlans::plan(const PublicRow& row) {
  const std::string name = row.model + ":" + row.type;
  const auto found = plans_.find(name);
  if (found != plans_.end()) return found->second;
  const tune::SynthFile file(tune::parse_synth(name), {.weights = false});
  Planner planner(file.path());
  return plans_[name] =
             planner.plan({.context = 2048, .k_type = DType::f16, .v_type = DType::f16, .threads = 1});
}

bool RowPlans::fits(const PublicRow& row) {
  return host::memory_need(plan(row)).total() <=
         static_cast<std::int64_t>(host::parse_machine(row.machine).limit_bytes);
}

host::Prediction RowPlans::predict(const PublicRow& row, const host::SpeedConstants& constants) {
  const host::Rates rates = host::rates_of(*host::parse_machine(row.machine).chip, constants);
  const auto at = [&](double tokens) {
    return host::predict(plan(row).work, rates, {.prompt = static_cast<std::int64_t>(tokens)});
  };
  host::Prediction prediction = at(row.prompt);
  prediction.decode_tps = at(row.gen / 2).decode_tps;
  return prediction;
}

}  // namespace medlar::testing
