// One spelling of names that may be written in several ways.
#pragma once

#include <string>
#include <string_view>

namespace medlar::store {

// ASCII letters in lower case.
std::string lower(std::string_view text);

// A package's name as indexes compare it (PEP 503): lower case, and '-' for every run of '-', '_' and '.'.
std::string normalized_package(std::string_view name);

}  // namespace medlar::store
