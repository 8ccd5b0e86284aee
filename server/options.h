// How the server listens, whom it answers, and how much it takes from anyone.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace medlar::server {

struct HttpLimits {
  std::size_t head_bytes = 32 << 10;
  std::size_t head_fields = 100;
  std::size_t body_bytes = 64 << 20;
  std::size_t waiting_bytes = 4 << 20;           // of an answer, that the client has not read yet
  std::chrono::milliseconds idle{75'000};        // between requests
  std::chrono::milliseconds head_time{10'000};   // from its first byte to its last
  std::chrono::milliseconds body_pause{20'000};  // between two pieces of a body
  std::chrono::milliseconds body_time{300'000};  // all of it
  std::chrono::milliseconds write_time{30'000};  // until the client takes the next piece of an answer
};

struct ListenOptions {
  std::string host = "127.0.0.1";
  int port = 11435;                         // 0: any free one
  int ollama_port = 0;                      // a second one; 0: none
  std::string unix_path;                    // instead of host and port; empty: none
  std::filesystem::path tls_cert, tls_key;  // PEM; both or none
  std::chrono::milliseconds drain{30'000};  // how long answers in progress may take after a first signal
  HttpLimits limits;
};

struct AccessOptions {
  std::vector<std::string> api_keys;
  bool no_api_key = false;                 // listen beyond this machine without one
  std::vector<std::string> allow_origins;  // "https://app.example", or "*" for all
  std::vector<std::string> allow_hosts;    // further names this server is called by
};

}  // namespace medlar::server
