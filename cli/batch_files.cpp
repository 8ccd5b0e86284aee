#include "cli/batch_files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include <fmt/format.h>

#include "base/error.h"
#include "cli/json.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 3> kPaths{"/v1/chat/completions", "/v1/completions", "/v1/embeddings"};

std::ifstream open_input(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error(ErrorKind::not_found, fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)),
                "give a file with one request a line");
  return file;
}

const json::string* text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value ? value->if_string() : nullptr;
}

// The rest of a line whose custom_id is known.
void read_fields(const json::object& line, BatchRequest& request) {
  const json::string* method = text_of(line, "method");
  const json::string* url = text_of(line, "url");
  const json::value* body = line.if_contains("body");
  if (!method || *method != "POST") {
    request.wrong = "method: must be \"POST\"";
  } else if (!url || std::ranges::find(kPaths, std::string_view(*url)) == kPaths.end()) {
    request.wrong = fmt::format("url: must be one of {}, {}, {}", kPaths[0], kPaths[1], kPaths[2]);
  } else if (!body || !body->is_object()) {
    request.wrong = "body: must be an object";
  } else if (const json::value* stream = body->get_object().if_contains("stream");
             stream && !stream->is_null() && *stream != false) {
    request.wrong = "body.stream: a batch has no streams";
  } else {
    request.path = std::string(*url);
    request.body = json::serialize(*body);
  }
}

BatchRequest parse_request(std::string_view text, std::int64_t number,
                           std::set<std::string, std::less<>>* models) {
  BatchRequest request{.line = number};
  try {
    const json::value line = parse_json(text, fmt::format("line {}", number));
    if (!line.is_object()) {
      request.wrong = fmt::format("line {}: must be an object", number);
      return request;
    }
    const json::string* id = text_of(line.get_object(), "custom_id");
    if (!id || id->empty()) {
      request.wrong = fmt::format("line {}: custom_id: must be a text", number);
      return request;
    }
    request.custom_id = std::string(*id);
    read_fields(line.get_object(), request);
    const json::value* body = line.get_object().if_contains("body");
    const json::string* model = body && body->is_object() ? text_of(body->get_object(), "model") : nullptr;
    if (models && model) models->insert(std::string(*model));
  } catch (const Error& error) {
    request.wrong = error.what();
  }
  return request;
}

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

}  // namespace

// --- input

BatchInput::BatchInput(std::filesystem::path path) : path_(std::move(path)), file_(open_input(path_)) {}

BatchSummary BatchInput::summary() const {
  BatchSummary result;
  std::map<std::string, std::int64_t, std::less<>> lines;
  BatchInput again(path_);
  std::string text;
  for (std::int64_t number = 1; std::getline(again.file_, text); ++number) {
    if (blank(text)) continue;
    const BatchRequest request = parse_request(text, number, &result.models);
    ++result.requests;
    if (request.custom_id.empty()) continue;
    const auto [first, fresh] = lines.emplace(request.custom_id, number);
    if (!fresh)
      throw Error(ErrorKind::bad_file,
                  fmt::format("{}: lines {} and {} have the same custom_id \"{}\"", path_.string(),
                              first->second, number, request.custom_id),
                  "give every request a custom_id of its own");
    result.ids.insert(request.custom_id);
  }
  return result;
}

std::optional<BatchRequest> BatchInput::next() {
  std::string text;
  while (std::getline(file_, text)) {
    ++line_;
    if (!blank(text)) return parse_request(text, line_, nullptr);
  }
  return std::nullopt;
}

// --- output

BatchOutput::BatchOutput(std::filesystem::path path, const BatchSummary& input)
    : file_(path, [&](const std::string& line) { take(line, path, input); }) {}

void BatchOutput::take(const std::string& text, const std::filesystem::path& path,
                       const BatchSummary& input) {
  const auto refuse = [&] {
    throw Error(ErrorKind::bad_file,
                fmt::format("{}: line {} answers no request of this batch", path.string(), found_ + 1),
                "give another file for the answers");
  };
  const BatchRequest answer = parse_request(text, 0, nullptr);
  if (!answer.custom_id.empty()) {
    if (!input.ids.contains(answer.custom_id)) refuse();
    ids_.insert(answer.custom_id);
  } else {
    const json::value line = parse_json(text, path.string());
    const json::value* number = line.is_object() ? line.get_object().if_contains("line") : nullptr;
    if (!number || !number->is_int64()) refuse();
    lines_.insert(number->get_int64());
  }
  ++found_;
}

bool BatchOutput::has(const BatchRequest& request) const {
  return request.custom_id.empty() ? lines_.contains(request.line) : ids_.contains(request.custom_id);
}

}  // namespace medlar::cli
