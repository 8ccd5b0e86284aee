// What medlar quantize prints: the file it wrote and the types in it.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/gguf.h"
#include "quant/mix.h"
#include "quant/quantize.h"

namespace medlar::cli {

struct QuantizeOutcome {
  std::string input, mix = {};
  const gguf::File* model = nullptr;
  std::vector<quant::TypeChoice> types = {};  // of its tensors
  double predicted_kl = 0, measured_kl = 0;   // where a target chose the types; else 0
  quant::QuantizeReport written = {};
  double seconds = 0;
};

std::string to_text(const QuantizeOutcome& outcome);
boost::json::object to_json(const QuantizeOutcome& outcome);

// What the user should know before anything is written, a line each: types that do not divide rows, weights
// that were quantized before.
std::vector<std::string> remarks(const gguf::File& model, const std::vector<quant::TypeChoice>& types);

}  // namespace medlar::cli
