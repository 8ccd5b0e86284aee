// What the reports of benchmarks share: the keys of a setting, CSV cells, and how a speed is written.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "tune/bench.h"

namespace medlar::tune {

// With llama-bench's keys.
boost::json::object setting_fields(const BenchSetting& setting);
// One line of CSV, of an object's keys or values: lists with blanks between their items, nothing for null,
// text in quotes.
std::string csv_line(const boost::json::object& fields, bool names);
// "7.53", "48.25", "312.0": tokens a second.
std::string md_rate(double per_second);

}  // namespace medlar::tune
