#include "tune/report_fields.h"

#include <boost/json.hpp>
#include <vector>

#include <fmt/ranges.h>

#include "formats/all.h"

namespace medlar::tune {
namespace {

std::string csv_cell(const boost::json::value& value) {
  if (value.is_null()) return "";
  if (value.is_array()) {
    std::vector<std::string> items;
    for (const auto& item : value.get_array()) items.push_back(boost::json::serialize(item));
    return fmt::format("{}", fmt::join(items, " "));
  }
  if (!value.is_string()) return boost::json::serialize(value);
  std::string quoted(1, '"');
  for (const char c : value.get_string()) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

}  // namespace

boost::json::object setting_fields(const BenchSetting& s) {
  return {{"model_filename", s.model_path},
          {"model_type", s.model_type},
          {"model_size", s.model_bytes},
          {"model_n_params", s.parameters},
          {"cpu_info", s.cpu},
          {"backend", s.backend},
          {"n_threads", s.threads},
          {"n_batch", s.batch},
          {"type_k", format_info(s.k_type).name},
          {"type_v", format_info(s.v_type).name},
          {"n_prompt", s.test.prompt},
          {"n_gen", s.test.gen},
          {"n_depth", s.test.depth},
          {"test", s.test.name()}};
}

std::string csv_line(const boost::json::object& fields, bool names) {
  std::vector<std::string> cells;
  for (const auto& [key, value] : fields) cells.push_back(names ? std::string(key) : csv_cell(value));
  return fmt::format("{}\n", fmt::join(cells, ","));
}

std::string md_rate(double per_second) {
  return fmt::format("{:.{}f}", per_second, per_second < 100 ? 2 : 1);
}

}  // namespace medlar::tune
