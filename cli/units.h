// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace medlar::cli {

// "980 B", "98.4 MB", "4.1 GB": decimal units, three digits.
std::string format_bytes(std::uint64_t bytes);
// "10G", "512 MB", "1.5GiB": bytes, in decimal units unless an i says otherwise. Throws Error(usage) naming
// the option.
std::int64_t parse_bytes(std::string_view option, std::string_view text);
// "0:04", "12:30", "1:02:03".
std::string format_duration(double seconds);
// "135 M", "1.24 B": a count of parameters.
std::string format_parameters(std::int64_t count);
// "7.5", "48.2", "312": tokens a second.
std::string format_rate(double per_second);

}  // namespace medlar::cli
