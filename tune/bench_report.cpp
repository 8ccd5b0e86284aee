#include "tune/bench_report.h"

#include <array>
#include <boost/json.hpp>
#include <filesystem>

#include <fmt/format.h>

#include "base/error.h"
#include "formats/all.h"
#include "tune/report_fields.h"

namespace medlar::tune {
namespace {

constexpr double kMegabyte = 1e6;

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / kMegabyte; }

// Every fact of a result, once; CSV and JSON are made from it.
boost::json::object fields(const BenchResult& r) {
  const std::vector<double> rates = r.tokens_per_second();
  const Summary speed = summarize(rates), time = summarize(r.seconds);
  boost::json::array nanoseconds;
  for (const double s : r.seconds) nanoseconds.push_back(static_cast<std::int64_t>(s * 1e9));
  boost::json::object o = setting_fields(r.setting);
  const boost::json::object measured{{"avg_ns", static_cast<std::int64_t>(time.mean * 1e9)},
                                     {"stddev_ns", static_cast<std::int64_t>(time.deviation * 1e9)},
                                     {"avg_ts", speed.mean},
                                     {"stddev_ts", speed.deviation},
                                     {"median_ts", speed.median},
                                     {"min_ts", speed.min},
                                     {"max_ts", speed.max},
                                     {"samples_ns", std::move(nanoseconds)},
                                     {"samples_ts", boost::json::value_from(rates)},
                                     {"limit", nullptr},
                                     {"limit_share", nullptr},
                                     {"limit_what", nullptr},
                                     {"limit_rate", nullptr},
                                     {"rss_anon_mb", megabytes(r.anonymous_bytes)},
                                     {"rss_file_mb", megabytes(r.file_bytes)}};
  o.insert(measured.begin(), measured.end());
  if (r.limit) {
    o["limit"] = r.limit->tokens_per_second();
    o["limit_share"] = r.limit_share();
    o["limit_what"] = r.limit->what;
    o["limit_rate"] = r.limit->rate;
  }
  return o;
}

// CSV has no place for the profile.
boost::json::object fields_and_profile(const BenchResult& r) {
  boost::json::object o = fields(r);
  if (!r.profile) return o;
  boost::json::array rows;
  for (const ProfileRow& row : r.profile->rows())
    rows.push_back({{"call", row.what},
                    {"calls", row.calls},
                    {"seconds", row.seconds},
                    {"weight_bytes_per_second", row.bytes_per_second()}});
  o["profile"] = std::move(rows);
  return o;
}

std::string md_row(const BenchResult& r) {
  const BenchSetting& s = r.setting;
  const Summary speed = summarize(r.tokens_per_second());
  return fmt::format(
      "| {} | {} | {:.0f} MB | {} | {} | {} / {} | {} | {} | {} to {} | {} | {:.0f} + {:.0f} MB |\n",
      std::filesystem::path(s.model_path).filename().string(), s.model_type,
      megabytes(static_cast<std::uint64_t>(s.model_bytes)), s.backend, s.threads, format_info(s.k_type).name,
      format_info(s.v_type).name, s.test.name(), md_rate(speed.median), md_rate(speed.min),
      md_rate(speed.max), r.limit ? fmt::format("{:.0f} % of {}", 100 * r.limit_share(), r.limit->what) : "",
      megabytes(r.anonymous_bytes), megabytes(r.file_bytes));
}

constexpr std::string_view kTableHead =
    "| file | model | size | backend | threads | K / V | test | tokens/s | range | of the machine's limit | "
    "anonymous + file |\n"
    "|---|---|--:|---|--:|---|--:|--:|--:|--:|--:|\n";

}  // namespace

BenchFormat parse_bench_format(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, BenchFormat>, 4> kFormats = {
      {{"md", BenchFormat::md},
       {"csv", BenchFormat::csv},
       {"json", BenchFormat::json},
       {"jsonl", BenchFormat::jsonl}}};
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  throw Error(ErrorKind::usage, fmt::format("there is no output format \"{}\"", name),
              "choose md, csv, json or jsonl");
}

std::string BenchReport::begin() const {
  if (format_ == BenchFormat::md) return std::string(kTableHead);
  return format_ == BenchFormat::json ? "[" : "";
}

std::string BenchReport::row(const BenchResult& result) {
  const bool first = rows_++ == 0;
  switch (format_) {
    case BenchFormat::md:
      if (result.profile)
        profiles_ += fmt::format("\n{}:\n\n{}", result.setting.test.name(), result.profile->table());
      return md_row(result);
    case BenchFormat::csv: {
      const boost::json::object o = fields(result);
      return (first ? csv_line(o, true) : "") + csv_line(o, false);
    }
    case BenchFormat::json:
      return (first ? "\n" : ",\n") + boost::json::serialize(fields_and_profile(result));
    case BenchFormat::jsonl:
      return boost::json::serialize(fields_and_profile(result)) + "\n";
  }
  return "";
}

std::string BenchReport::end() const { return format_ == BenchFormat::json ? "\n]\n" : profiles_; }

}  // namespace medlar::tune
