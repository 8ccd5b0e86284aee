#include "cli/server_client.h"

#include <memory>

#include <curl/curl.h>
#include <fmt/format.h>

#include "base/error.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace medlar::cli {
namespace {

constexpr std::size_t kLongestAnswer = 16 << 20;  // bytes
constexpr long kConnectSeconds = 5, kSeconds = 60;

struct Free {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t take(char* data, std::size_t, std::size_t size, void* to) noexcept {
  auto& text = *static_cast<std::string*>(to);
  if (text.size() + size > kLongestAnswer) return 0;
  text.append(data, size);
  return size;
}

std::unique_ptr<curl_slist, Free> fields(const std::string& key) {
  std::unique_ptr<curl_slist, Free> list(curl_slist_append(nullptr, "content-type: application/json"));
  if (key.empty()) return list;
  if (curl_slist* longer = curl_slist_append(list.get(), ("authorization: Bearer " + key).c_str())) {
    list.release();
    list.reset(longer);
  }
  return list;
}

// The message of an error in any of the server's dialects.
std::string message_of(const boost::json::value& answer, long status) {
  boost::system::error_code none;
  for (const char* place : {"/error/message", "/error"})
    if (const boost::json::value* text = answer.find_pointer(place, none); text && text->is_string())
      return visible(text->get_string());
  return fmt::format("the server answered with status {}", status);
}

}  // namespace

void ServerClient::add_to(CLI::App& command) {
  command.add_option("--url", url, "Where the server is")->type_name("URL")->capture_default_str();
  command.add_option("--api-key", key, "The key that it wants")->type_name("KEY");
}

boost::json::value ServerClient::ask(std::string_view path, const boost::json::value* body) const {
  const std::unique_ptr<CURL, Free> curl(curl_easy_init());
  if (!curl) throw Error(ErrorKind::out_of_memory, "there is no memory for a connection");
  const std::string address =
      fmt::format("{}{}", std::string_view(url).substr(0, url.find_last_not_of('/') + 1), path);
  const auto list = fields(key);
  const std::string sent = body ? boost::json::serialize(*body) : "";
  std::string answer;
  curl_easy_setopt(curl.get(), CURLOPT_URL, address.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, kSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
  if (body) curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, sent.c_str());
  const CURLcode result = curl_easy_perform(curl.get());
  if (result != CURLE_OK)
    throw Error(ErrorKind::network,
                fmt::format("no server answers at {}: {}", visible(url), curl_easy_strerror(result)),
                "start one with medlar serve, or say where it is with --url");
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  boost::json::value value;
  try {
    value = parse_json(answer, address);
  } catch (const Error&) {
    throw Error(ErrorKind::network, fmt::format("{} is no server of Medlar's", visible(url)),
                "say where it is with --url");
  }
  if (status < 200 || status >= 300)
    throw Error(status == 404 ? ErrorKind::not_found : ErrorKind::usage, message_of(value, status));
  return value;
}

}  // namespace medlar::cli
