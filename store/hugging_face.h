// The Hugging Face hub: what a repository holds, and which of its files are the model that was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/download.h"
#include "store/model_ref.h"
#include "store/progress.h"

namespace medlar::store {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";  // HF_ENDPOINT
  std::string token;                                // HF_TOKEN; sent to the endpoint only
};

// A file as the hub's tree API lists it.
struct HubFile {
  std::string path;  // within the repository
  std::uint64_t bytes = 0;
  std::optional<Digest> digest;  // of files in large-file storage, as models are
};

// The answer of GET /api/models/REPO/tree/REVISION?recursive=true, its directories and odd entries left out.
// Throws Error(bad_file) when it is no such answer, or promises a digest that is none.
std::vector<HubFile> parse_hub_tree(std::string_view json, std::string_view repository);

// The GGUF file, or all parts of the split one in order, of quantization `quant`; empty: the first of
// preferred_quants() that is there, else whatever is there. Leaves out vision projectors and importance
// matrices. Throws Error(not_found) listing what there is, and bad_file when parts are missing.
std::vector<HubFile> select_model(std::span<const HubFile> files, std::string_view quant,
                                  std::string_view repository);

struct HubModel {
  std::vector<RemoteFile> files;
  std::string quant;  // empty: the name does not tell
};

// Asks the hub. A reference to one file of a split model means all its parts.
// Throws HttpError, and as parse_hub_tree() and select_model().
HubModel find_on_hub(const ModelRef& ref, const HubOptions& hub, const HttpOptions& http,
                     ProgressMeter& meter);

}  // namespace medlar::store
