#include "models/config.h"

#include <cmath>

namespace medlar::models {

void ConfigReader::operator()(std::string_view key, std::int64_t& field, Range range) const {
  field = metadata_.get<std::int64_t>(full(key));
  check(key, field, range);
}

void ConfigReader::largest(std::string_view key, std::int64_t& field, Range range,
                           std::int64_t otherwise) const {
  field = has(key) ? metadata_.largest(full(key)) : otherwise;
  check(key, field, range);
}

void ConfigReader::check(std::string_view key, std::int64_t field, Range range) const {
  if (field < range.low || field > range.high)
    fail(ErrorKind::bad_file, "{}: key {}: {} is not from {} to {}", metadata_.source(), full(key), field,
         range.low, range.high);
}

void ConfigReader::operator()(std::string_view key, std::int64_t& field, Range range,
                              std::int64_t otherwise) const {
  field = otherwise;
  if (metadata_.contains(full(key))) (*this)(key, field, range);
}

void ConfigReader::operator()(std::string_view key, bool& field, bool otherwise) const {
  field = metadata_.get_or<bool>(full(key), otherwise);
}

void ConfigReader::operator()(std::string_view key, float& field) const {
  field = metadata_.get<float>(full(key));
  if (!std::isfinite(field))
    fail(ErrorKind::bad_file, "{}: key {}: {} is not a finite number", metadata_.source(), full(key), field);
}

void ConfigReader::operator()(std::string_view key, float& field, float otherwise) const {
  field = otherwise;
  if (metadata_.contains(full(key))) (*this)(key, field);
}

void ConfigReader::operator()(std::string_view key, nn::RopeScaling& field, nn::RopeScaling otherwise) const {
  const auto found = metadata_.find<std::string_view>(full(key));
  if (!found) {
    field = otherwise;
  } else if (*found == "none") {
    field = nn::RopeScaling::none;
  } else if (*found == "linear") {
    field = nn::RopeScaling::linear;
  } else if (*found == "yarn") {
    field = nn::RopeScaling::yarn;
  } else if (*found == "longrope") {
    field = nn::RopeScaling::none;  // its factors are tensors, which tell
  } else {
    fail(ErrorKind::unsupported, "{} is \"{}\"; none, linear, yarn and longrope are known", full(key),
         *found);
  }
}

void ConfigReader::operator()(std::string_view key, std::vector<std::int64_t>& field, std::int64_t layers,
                              Range range) const {
  field = metadata_.per_layer<std::int64_t>(full(key), static_cast<std::size_t>(layers));
  for (const std::int64_t value : field) check(key, value, range);
}

void ConfigReader::operator()(std::string_view key, std::vector<bool>& field, std::int64_t layers,
                              std::int64_t otherwise) const {
  const auto count = static_cast<std::size_t>(layers);
  const gguf::Entry* entry = metadata_.entry(full(key));
  if (entry && entry->type == gguf::ValueType::array) {
    field = metadata_.per_layer<bool>(full(key), count);
    return;
  }
  std::int64_t period = 0;
  (*this)(key, period, Range{1, 1024}, otherwise);
  field.resize(count);
  for (std::size_t i = 0; i < count; ++i) field[i] = (static_cast<std::int64_t>(i) + 1) % period != 0;
}

void check(const DecoderConfig& c, std::string_view a) {
  if (c.heads % c.kv_heads != 0)
    fail(ErrorKind::bad_file,
         "{0}.attention.head_count ({1}) is not a multiple of {0}.attention.head_count_kv ({2})", a, c.heads,
         c.kv_heads);
  if (c.rope.dim > c.head_dim || c.rope.dim % 2 != 0)
    fail(ErrorKind::bad_file,
         "{0}.rope.dimension_count ({1}) must be even and at most {0}.attention.key_length ({2})", a,
         c.rope.dim, c.head_dim);
  if (!(c.eps >= 0) || !(c.rope.theta > 0) || !(c.rope.factor > 0))
    fail(ErrorKind::bad_file,
         "{0}: the norm's epsilon ({1}), rope.freq_base ({2}) or rope.scaling.factor ({3}) is out of range",
         a, c.eps, c.rope.theta, c.rope.factor);
}

}  // namespace medlar::models
