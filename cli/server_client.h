// A running server, as the commands that look after one see it.
#pragma once

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace medlar::cli {

struct ServerClient {
  std::string url = "http://127.0.0.1:11435", key;

  void add_to(CLI::App& command);

  // What it answers to a GET, or to a POST of a body. Throws Error: network where no server answers; else
  // with the server's own message.
  boost::json::value get(std::string_view path) const { return ask(path, nullptr); }
  boost::json::value post(std::string_view path, const boost::json::value& body) const {
    return ask(path, &body);
  }

 private:
  boost::json::value ask(std::string_view path, const boost::json::value* body) const;
};

}  // namespace medlar::cli
