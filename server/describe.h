// The API in Markdown, from the same table and forms that serve it.
#pragma once

#include <string>

namespace medlar::server {

std::string describe_api();

}  // namespace medlar::server
