#include "tests/store/wheel_builder.h"

#include <stdexcept>

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include "store/digest.h"
#include "tests/store/store_fixture.h"

namespace medlar::testing {
namespace {

namespace fs = std::filesystem;

std::string base64url(std::string_view hex) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  const auto flush = [&] {
    while (count >= 6) out += kAlphabet[bits >> (count -= 6) & 63];
  };
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bits = bits << 8 | static_cast<unsigned>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    count += 8;
    flush();
  }
  if (count > 0) out += kAlphabet[bits << (6 - count) & 63];
  return out;
}

void add_entry(archive* zip, const std::string& name, const std::string& content) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, name.c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  if (archive_write_header(zip, entry) != ARCHIVE_OK ||
      archive_write_data(zip, content.data(), content.size()) != static_cast<la_ssize_t>(content.size())) {
    throw std::runtime_error("cannot write a wheel");
  }
  archive_entry_free(entry);
}

}  // namespace

fs::path write_wheel(const fs::path& folder, const WheelSpec& spec) {
  fs::create_directories(folder);
  std::string stem = spec.package;
  for (char& c : stem) c = c == '-' ? '_' : c;
  const std::string info = fmt::format("{}-{}.dist-info", stem, spec.version);
  std::map<std::string, std::string> files = spec.files;
  files[info + "/METADATA"] =
      fmt::format("Metadata-Version: 2.1\nName: {}\nVersion: {}\n{}\nRequires-Dist: not-this\n", spec.package,
                  spec.version, spec.metadata);
  files[info + "/WHEEL"] = "Wheel-Version: 1.0\n";
  std::string record = info + "/RECORD,,\n";
  for (const auto& [name, content] : files) {
    if (name == spec.record_lacks) continue;
    const std::string hashed = name == spec.record_lies ? content + "x" : content;
    record += fmt::format("{},sha256={},{}\n", name, base64url(sha256_hex(hashed)), content.size());
  }
  files[info + "/RECORD"] = record;
  const fs::path path = folder / fmt::format("{}-{}-py3-none-any.whl", stem, spec.version);
  archive* zip = archive_write_new();
  archive_write_set_format_zip(zip);
  if (archive_write_open_filename(zip, path.c_str()) != ARCHIVE_OK)
    throw std::runtime_error("cannot write a wheel");
  for (const auto& [name, content] : files) add_entry(zip, name, content);
  archive_write_free(zip);
  return path;
}

fs::path write_fake_python(const fs::path& folder, const fs::path& wheels) {
  const fs::path path = folder / "python3";
  write_text(path, fmt::format(R"sh(#!/bin/sh
while [ $# -gt 1 ]; do
  case "$1" in --dest) dest="$2" ;; esac
  shift
done
echo "$1" >> '{}/asked'
name=$(printf %s "${{1%%==*}}" | tr - _)
case "$1" in *==*) version="${{1##*==}}" ;; *) version='*' ;; esac
for wheel in '{}'/"$name"-$version-py3-none-any.whl; do
  [ -f "$wheel" ] && exec cp "$wheel" "$dest/"
done
echo "ERROR: Could not find a version that satisfies the requirement $1 (from versions: none)" >&2
echo "ERROR: No matching distribution found for $1" >&2
exit 1
)sh",
                               folder.native(), wheels.native()));
  fs::permissions(path, fs::perms::owner_all | fs::perms::others_exec | fs::perms::others_read);
  return path;
}

}  // namespace medlar::testing
