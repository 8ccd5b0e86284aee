// Decoding metadata values, with errors that name the key and both types.
#include "checkpoint/gguf_metadata.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "base/log.h"
#include "checkpoint/byte_reader.h"
#include "checkpoint/name_index.h"

namespace medlar::gguf {
namespace {

constexpr std::size_t kArrayHeaderBytes = sizeof(std::uint32_t) + sizeof(std::uint64_t);

// The bytes were checked when the file was opened, so what does not hold now was changed since.
[[noreturn]] void fail_changed(std::string_view file = "a model file") {
  throw Error(ErrorKind::io, fmt::format("{}: changed while it was in use", file),
              "load it again; replace model files by renaming, not by overwriting");
}

template <class T>
struct VectorElement {
  using type = void;
};
template <class T>
struct VectorElement<std::vector<T>> {
  using type = T;
};

// Calls f with the number at `at` as the C++ type that the file stores.
template <class F>
void visit_number(ValueType type, const std::byte* at, F f) {
  switch (type) {
    case ValueType::u8:
      return f(load<std::uint8_t>(at));
    case ValueType::i8:
      return f(load<std::int8_t>(at));
    case ValueType::u16:
      return f(load<std::uint16_t>(at));
    case ValueType::i16:
      return f(load<std::int16_t>(at));
    case ValueType::u32:
      return f(load<std::uint32_t>(at));
    case ValueType::i32:
      return f(load<std::int32_t>(at));
    case ValueType::u64:
      return f(load<std::uint64_t>(at));
    case ValueType::i64:
      return f(load<std::int64_t>(at));
    case ValueType::f32:
      return f(load<float>(at));
    case ValueType::f64:
      return f(load<double>(at));
    case ValueType::boolean:
      return f(load<std::uint8_t>(at) != 0);
    case ValueType::string:
    case ValueType::array:
      return;
  }
}

enum class Family { boolean, integer, real, other };

Family family(ValueType type) {
  if (type == ValueType::boolean) return Family::boolean;
  if (type == ValueType::f32 || type == ValueType::f64) return Family::real;
  return type_bytes(type) > 0 ? Family::integer : Family::other;
}

// Whether `from`, of the same family as To, keeps its meaning as a To.
template <class To, class From>
bool fits(From from) {
  if constexpr (std::same_as<To, bool> || std::same_as<From, bool>) {
    return std::same_as<To, From>;
  } else if constexpr (std::integral<To> && std::integral<From>) {
    return std::in_range<To>(from);
  } else if constexpr (std::floating_point<To> && std::floating_point<From>) {
    return !std::isfinite(from) || std::abs(from) <= std::numeric_limits<To>::max();
  } else {
    return false;
  }
}

std::string describe(const Entry& entry) {
  if (entry.type != ValueType::array) return std::string(type_name(entry.type));
  return fmt::format("array of {}", type_name(array_header(entry).element));
}

std::string_view text(const Entry& entry) { return ByteReader(entry.value, "value").string(); }

}  // namespace

ArrayHeader array_header(const Entry& entry) {
  if (entry.type != ValueType::array || entry.value.size() < kArrayHeaderBytes) return {};
  return {static_cast<ValueType>(load<std::uint32_t>(entry.value.data())),
          load<std::uint64_t>(entry.value.data() + sizeof(std::uint32_t))};
}

Strings::iterator::iterator(std::span<const std::byte> bytes, std::uint64_t left)
    : bytes_(bytes), left_(left) {
  if (left_ > 0) read();
}

Strings::iterator& Strings::iterator::operator++() {
  if (--left_ > 0) {
    read();
  } else {
    *this = {};
  }
  return *this;
}

void Strings::iterator::read() {
  std::uint64_t length = 0;
  if (bytes_.size() < sizeof length) fail_changed();
  length = load<std::uint64_t>(bytes_.data());
  bytes_ = bytes_.subspan(sizeof length);
  if (length > bytes_.size()) fail_changed();
  current_ = {reinterpret_cast<const char*>(bytes_.data()), static_cast<std::size_t>(length)};
  bytes_ = bytes_.subspan(current_.size());
}

Metadata::Metadata(std::string source, std::vector<Entry> entries)
    : source_(std::move(source)),
      entries_(std::move(entries)),
      by_key_(sorted_by_name(std::span<const Entry>(entries_), &Entry::key)) {
  if (const Entry* twice = find_duplicate(std::span<const Entry>(entries_), by_key_, &Entry::key))
    reject(*twice, "comes twice");
}

const Entry* Metadata::entry(std::string_view key) const {
  return find_by_name(std::span<const Entry>(entries_), by_key_, &Entry::key, key);
}

const Entry& Metadata::require(std::string_view key) const {
  if (const Entry* found = entry(key)) return *found;
  throw Error(ErrorKind::bad_file, fmt::format("{}: key {} is missing", source_, printable(key)),
              "the file is incomplete, or made for another program: convert the model again");
}

std::int64_t Metadata::largest(std::string_view key) const {
  const Entry& e = require(key);
  if (e.type != ValueType::array) return decode<std::int64_t>(e);
  const auto all = decode<std::vector<std::int64_t>>(e);
  if (all.empty()) reject(e, "an empty array");
  return *std::ranges::max_element(all);
}

void Metadata::reject(const Entry& entry, std::string_view message) const {
  fail(ErrorKind::bad_file, "{}: key {}: {}", source_, printable(entry.key), message);
}

template <class T>
T Metadata::number(const Entry& entry, ValueType type, const std::byte* at) const {
  T result{};
  visit_number(type, at, [&](auto stored) {
    if (!fits<T>(stored)) reject(entry, fmt::format("{} does not fit {}", stored, type_name(type_of<T>())));
    if constexpr (std::is_convertible_v<decltype(stored), T>) result = static_cast<T>(stored);
  });
  return result;
}

template <class T>
std::vector<T> Metadata::decode_array(const Entry& entry) const {
  const ArrayHeader header = array_header(entry);
  if (entry.type != ValueType::array || family(header.element) != family(type_of<T>()))
    reject(entry, fmt::format("expected array of {}, found {}", type_name(type_of<T>()), describe(entry)));
  const std::size_t step = type_bytes(header.element);
  const auto elements = entry.value.subspan(kArrayHeaderBytes);
  if (elements.size() / step < header.count) fail_changed(source_);
  std::vector<T> values(static_cast<std::size_t>(header.count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = number<T>(entry, header.element, elements.data() + i * step);
  return values;
}

template <class T>
T Metadata::decode(const Entry& entry) const {
  using Element = VectorElement<T>::type;
  if constexpr (std::same_as<T, Strings>) {
    const ArrayHeader header = array_header(entry);
    if (header.element != ValueType::string)
      reject(entry, fmt::format("expected array of string, found {}", describe(entry)));
    return Strings(entry.value.subspan(kArrayHeaderBytes), header.count);
  } else if constexpr (std::same_as<Element, std::string_view>) {
    const Strings strings = decode<Strings>(entry);
    return T(strings.begin(), strings.end());
  } else if constexpr (!std::is_void_v<Element>) {
    return decode_array<Element>(entry);
  } else if constexpr (std::is_arithmetic_v<T>) {
    if (family(entry.type) != family(type_of<T>()))
      reject(entry, fmt::format("expected {}, found {}", type_name(type_of<T>()), describe(entry)));
    return number<T>(entry, entry.type, entry.value.data());
  } else {
    if (entry.type != ValueType::string)
      reject(entry, fmt::format("expected string, found {}", describe(entry)));
    return T(text(entry));
  }
}

template bool Metadata::decode(const Entry&) const;
template std::uint8_t Metadata::decode(const Entry&) const;
template std::int8_t Metadata::decode(const Entry&) const;
template std::uint16_t Metadata::decode(const Entry&) const;
template std::int16_t Metadata::decode(const Entry&) const;
template std::uint32_t Metadata::decode(const Entry&) const;
template std::int32_t Metadata::decode(const Entry&) const;
template std::uint64_t Metadata::decode(const Entry&) const;
template std::int64_t Metadata::decode(const Entry&) const;
template float Metadata::decode(const Entry&) const;
template double Metadata::decode(const Entry&) const;
template std::string_view Metadata::decode(const Entry&) const;
template std::string Metadata::decode(const Entry&) const;
template Strings Metadata::decode(const Entry&) const;
template std::vector<bool> Metadata::decode(const Entry&) const;
template std::vector<std::uint8_t> Metadata::decode(const Entry&) const;
template std::vector<std::int8_t> Metadata::decode(const Entry&) const;
template std::vector<std::uint16_t> Metadata::decode(const Entry&) const;
template std::vector<std::int16_t> Metadata::decode(const Entry&) const;
template std::vector<std::uint32_t> Metadata::decode(const Entry&) const;
template std::vector<std::int32_t> Metadata::decode(const Entry&) const;
template std::vector<std::uint64_t> Metadata::decode(const Entry&) const;
template std::vector<std::int64_t> Metadata::decode(const Entry&) const;
template std::vector<float> Metadata::decode(const Entry&) const;
template std::vector<double> Metadata::decode(const Entry&) const;
template std::vector<std::string_view> Metadata::decode(const Entry&) const;

}  // namespace medlar::gguf
