#include "store/model_ref.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "base/log.h"
#include "store/digest.h"
#include "store/quant.h"
#include "store/spelling.h"

namespace medlar::store {
namespace {

constexpr std::size_t kMaxRef = 2048;
constexpr std::string_view kDefaultRevision = "main";

[[noreturn]] void reject(std::string_view ref, std::string_view problem, std::string hint) {
  throw Error(ErrorKind::usage, fmt::format("{}: {}", printable(ref, 120), problem), std::move(hint));
}

bool is_alphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// Letters, digits and inner '-', '_', '.': safe in a URL, as a folder and as a program's argument.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 128 && is_alphanumeric(text.front()) &&
         is_alphanumeric(text.back()) && text.find("..") == std::string_view::npos &&
         std::ranges::all_of(text,
                             [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

bool is_path_below(std::string_view text) {
  while (!text.empty()) {
    const auto slash = text.find('/');
    const std::string_view part = text.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
  return false;
}

std::string_view take(std::string_view& rest, char separator) {
  const auto at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return head;
}

// "user/repo[:quant]", "user/repo/file.gguf", "user/repo/resolve/REVISION/file.gguf", ".../blob/...",
// ".../tree/...".
ModelRef parse_hugging_face(std::string_view ref, std::string_view rest) {
  const std::string hint = "write hf.co/user/repo, hf.co/user/repo:Q4_K_M or hf.co/user/repo/file.gguf";
  rest = rest.substr(0, rest.find_first_of("?#"));
  while (rest.ends_with('/')) rest.remove_suffix(1);
  ModelRef out{.kind = RefKind::hugging_face};
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    const std::string_view tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (lower(tag) != "latest") {
      const auto quant = parse_quant(tag);
      if (!quant) reject(ref, fmt::format("no quantization is called \"{}\"", printable(tag, 40)), hint);
      out.quant = *quant;
    }
  }
  const std::string_view user = take(rest, '/');
  const std::string_view repository = take(rest, '/');
  if (!is_word(user) || !is_word(repository)) reject(ref, "not a user and a repository", hint);
  out.target = fmt::format("{}/{}", user, repository);
  for (const std::string_view view : {"resolve/", "blob/", "tree/"}) {
    if (!rest.starts_with(view)) continue;
    rest.remove_prefix(view.size());
    const std::string_view revision = take(rest, '/');
    if (!is_word(revision)) reject(ref, "not a revision", hint);
    if (revision != kDefaultRevision) out.revision = revision;
    break;
  }
  if (rest.empty()) return out;
  if (!is_path_below(rest) || !rest.ends_with(".gguf"))
    reject(ref, "not a .gguf file of the repository", hint);
  out.file = rest;
  if (!out.quant.empty()) reject(ref, "a file and a quantization at once", hint);
  return out;
}

ModelRef parse_pypi(std::string_view ref, std::string_view rest) {
  ModelRef out{.kind = RefKind::pypi};
  if (const auto equal = rest.find("=="); equal != std::string_view::npos) {
    out.version = rest.substr(equal + 2);
    rest = rest.substr(0, equal);
    if (!is_word(out.version)) reject(ref, "not a version", "write pypi:PACKAGE==1.2.3");
  }
  if (!is_word(rest)) reject(ref, "not a package name", "write pypi:PACKAGE or pypi:PACKAGE==VERSION");
  out.target = normalized_package(rest);
  return out;
}

ModelRef parse_url(std::string_view ref) {
  constexpr std::string_view kDigestKey = "sha256=";
  ModelRef out{.kind = RefKind::url};
  const auto hash = ref.find('#');
  out.target = ref.substr(0, hash);
  if (hash != std::string_view::npos) {
    std::string_view fragment = ref.substr(hash + 1);
    if (!fragment.starts_with(kDigestKey))
      reject(ref, "an unknown fragment", "write URL#sha256=64 hex digits");
    const auto digest = Digest::parse(fragment.substr(kDigestKey.size()));
    if (!digest) reject(ref, "not a SHA-256 digest", "write URL#sha256= and 64 lower-case hex digits");
    out.sha256 = digest->hex();
  }
  const std::string_view after_scheme = std::string_view(out.target).substr(out.target.find("://") + 3);
  const std::string_view authority = after_scheme.substr(0, after_scheme.find_first_of("/?"));
  if (authority.empty()) reject(ref, "no host", "write https://host/path/model.gguf");
  if (authority.find('@') != std::string_view::npos) {
    reject(ref, "a URL with a user name or password", "download the file yourself, and give its path");
  }
  return out;
}

ModelRef parse_catalogue(std::string_view ref) {
  const std::string hint = "write family:size, as in smollm2:135m; `medlar pull --help` lists other forms";
  ModelRef out{.kind = RefKind::catalogue};
  std::string name = lower(ref);
  if (name.ends_with(":latest")) name.resize(name.size() - 7);
  // The last '-' or second ':' may lead to a quantization.
  for (const std::size_t at : {name.rfind('-'), name.rfind(':')}) {
    if (at == std::string::npos || name.find(':') == std::string::npos) continue;
    const auto quant = parse_quant(std::string_view(name).substr(at + 1));
    if (!quant) continue;
    out.quant = *quant;
    name.resize(at);
    break;
  }
  std::string_view rest = name;
  const std::string_view family = take(rest, ':');
  if (!is_word(family) || (!rest.empty() && !is_word(rest)) || name.ends_with(':')) {
    reject(ref, "not a model name", hint);
  }
  out.target = name;
  return out;
}

}  // namespace

std::string ModelRef::name() const {
  switch (kind) {
    case RefKind::catalogue:
      return quant.empty() ? target : target + "-" + lower(quant);
    case RefKind::hugging_face: {
      std::string out = "hf.co/" + target;
      if (!revision.empty()) out += "/tree/" + revision;
      if (!file.empty()) out += "/" + file;
      if (!quant.empty()) out += ":" + quant;
      return out;
    }
    case RefKind::pypi:
      return "pypi:" + target + (version.empty() ? "" : "==" + version);
    case RefKind::url:
    case RefKind::path:
      return target;
  }
  return target;
}

ModelRef parse_model_ref(std::string_view text) {
  if (text.empty()) reject(text, "an empty model name", "give a name such as smollm2:135m, or a path");
  if (text.size() > kMaxRef) reject(text, "a model name of more than 2048 bytes", "give a name or a path");
  const bool control = std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (control) reject(text, "a model name with control characters", "give a name or a path");

  constexpr std::array<std::string_view, 8> kHubPrefixes = {
      "hf.co/",
      "hf://",
      "https://hf.co/",
      "http://hf.co/",
      "https://huggingface.co/",
      "http://huggingface.co/",
      "huggingface.co/",
      "hf:",
  };
  for (const std::string_view prefix : kHubPrefixes) {
    if (text.starts_with(prefix)) return parse_hugging_face(text, text.substr(prefix.size()));
  }
  if (text.starts_with("pypi:")) return parse_pypi(text, text.substr(5));
  if (text.starts_with("http://") || text.starts_with("https://")) return parse_url(text);
  if (text.find("://") != std::string_view::npos) {
    reject(text, "an unknown kind of address", "use https://, hf.co/ or pypi:, or give a path");
  }
  if (text.find('/') != std::string_view::npos || text.ends_with(".gguf") || text == "." || text == "..") {
    return {.kind = RefKind::path, .target = std::string(text)};
  }
  return parse_catalogue(text);
}

}  // namespace medlar::store
