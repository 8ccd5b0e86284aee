// What the routes of Ollama's API share.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <string>

#include "server/routes.h"

namespace medlar::server {

// "2026-11-21T04:06:00.123456Z"
std::string ollama_time(std::chrono::system_clock::time_point time = std::chrono::system_clock::now());

void ollama_generate(const Call& call);
boost::json::object ollama_generate_schema();
void ollama_chat(const Call& call);
boost::json::object ollama_chat_schema();

}  // namespace medlar::server
