#include "models/config.h"

#include <cmath>

namespace medlar::models {

void ConfigReader::operator()(std::string_view key, std::int64_t& field, Range range) const {
  field = metadata_.get<std::int64_t>(full(key));
  if (field < range.low || field > range.high)
    fail(ErrorKind::bad_file, "{}: key {}: {} is not from {} to {}", metadata_.source(), full(key), field,
         range.low, range.high);
}

void ConfigReader::operator()(std::string_view key, std::int64_t& field, Range range,
                              std::int64_t otherwise) const {
  field = otherwise;
  if (metadata_.contains(full(key))) (*this)(key, field, range);
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
  } else {
    fail(ErrorKind::unsupported, "{} is \"{}\"; none, linear and yarn are known", full(key), *found);
  }
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
