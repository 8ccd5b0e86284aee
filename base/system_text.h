// The small text files by which Linux tells about itself: /proc, /sys and control groups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::sysfs {

// The whole file; nullopt where it cannot be read.
std::optional<std::string> read_text(const std::filesystem::path& path);
// The same without white space around it; "" where it cannot be read.
std::string read_word(const std::filesystem::path& path);
// The number that the file starts with.
std::optional<std::uint64_t> read_number(const std::filesystem::path& path);

std::string_view trim(std::string_view s);
// The number that `s` starts with, after white space.
std::optional<std::uint64_t> leading_number(std::string_view s);
// The rest of the first line that starts with `key`, trimmed.
std::optional<std::string_view> field(std::string_view text, std::string_view key);
std::vector<std::string_view> split_blanks(std::string_view line);

// What a folder holds, by name; empty where it cannot be read.
std::vector<std::filesystem::path> entries(const std::filesystem::path& folder);

}  // namespace medlar::sysfs
