#include "host/speed_log.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <span>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"

namespace medlar::host {
namespace {

constexpr std::size_t kLongestLine = 4096, kMostLines = 2000, kKeptLines = 1000;
constexpr std::size_t kLatest = 25, kFewest = 3;  // records that a correction follows
constexpr double kMostFactor = 4;

std::filesystem::path file_in(const std::filesystem::path& folder) { return folder / "speed.jsonl"; }

std::string_view name(SpeedOf of) { return of == SpeedOf::prompt ? "prompt" : "decode"; }

std::vector<std::string> read_lines(const std::filesystem::path& folder) {
  std::ifstream in(file_in(folder), std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (line.size() <= kLongestLine) lines.push_back(std::move(line));
  return lines;
}

// Measured over predicted; 0 where the line is no such record.
double ratio(const std::string& line, const std::string& machine, SpeedOf of) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(line, error);
  const boost::json::object* o = error ? nullptr : value.if_object();
  if (!o) return 0;
  const auto text = [&](std::string_view key) {
    const boost::json::value* v = o->if_contains(key);
    return v && v->is_string() ? std::string_view(v->as_string()) : std::string_view();
  };
  const auto number = [&](std::string_view key) {
    const boost::json::value* v = o->if_contains(key);
    return v && v->is_number() ? v->to_number<double>() : 0.0;
  };
  if (text("machine") != machine || text("of") != name(of)) return 0;
  const double r = number("measured") / number("predicted");
  return std::isfinite(r) && r > 0 ? r : 0;
}

double factor(const std::vector<std::string>& lines, const std::string& machine, SpeedOf of) {
  std::vector<double> ratios;
  for (auto line = lines.rbegin(); line != lines.rend() && ratios.size() < kLatest; ++line)
    if (const double r = ratio(*line, machine, of); r > 0) ratios.push_back(r);
  if (ratios.size() < kFewest) return 1;
  const auto middle = ratios.begin() + std::ssize(ratios) / 2;
  std::ranges::nth_element(ratios, middle);
  return std::clamp(*middle, 1 / kMostFactor, kMostFactor);
}

void trim(const std::filesystem::path& folder) {
  const std::vector<std::string> lines = read_lines(folder);
  if (lines.size() <= kMostLines) return;
  std::string text;
  for (const std::string& line : std::span(lines).last(kKeptLines)) text += line + "\n";
  AtomicFile file(file_in(folder));
  file.write(std::as_bytes(std::span(text)));
  file.commit();
}

}  // namespace

void log_speed(const std::filesystem::path& folder, const SpeedRecord& record) noexcept {
  try {
    if (!(record.predicted > 0) || !(record.measured > 0)) return;
    std::filesystem::create_directories(folder);
    const std::string line = boost::json::serialize(boost::json::object{{"machine", record.machine},
                                                                        {"model", record.model},
                                                                        {"of", name(record.of)},
                                                                        {"predicted", record.predicted},
                                                                        {"measured", record.measured}}) +
                             "\n";
    {
      std::ofstream out(file_in(folder), std::ios::binary | std::ios::app);
      out.write(line.data(), static_cast<std::streamsize>(line.size()));
    }
    constexpr std::uintmax_t kShortestLine = 100;  // so that few files are read only to be counted
    if (std::filesystem::file_size(file_in(folder)) > kShortestLine * kMostLines) trim(folder);
  } catch (const std::exception&) {
    return;  // the next record may have more luck
  }
}

Correction correction(const std::filesystem::path& folder, const std::string& machine) {
  const std::vector<std::string> lines = read_lines(folder);
  return {.prompt = factor(lines, machine, SpeedOf::prompt),
          .decode = factor(lines, machine, SpeedOf::decode)};
}

}  // namespace medlar::host
