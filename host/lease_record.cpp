#include "host/lease_record.h"

#include <algorithm>
#include <type_traits>

namespace medlar::host {
namespace {

// Little-endian numbers, one after the other.
class Writer {
 public:
  explicit Writer(std::span<std::byte> to) : to_(to) {}
  template <class Number>
  void put(Number number) {
    for (std::size_t i = 0; i < sizeof number; ++i)
      to_[at_++] = static_cast<std::byte>(static_cast<std::make_unsigned_t<Number>>(number) >> (8 * i));
  }
  void skip_to(std::size_t offset) { at_ = offset; }

 private:
  std::span<std::byte> to_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> from) : from_(from) {}
  template <class Number>
  Number get() {
    std::make_unsigned_t<Number> number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i)
      number |= static_cast<std::make_unsigned_t<Number>>(
          static_cast<std::make_unsigned_t<Number>>(from_[at_++]) << (8 * i));
    return static_cast<Number>(number);
  }
  void skip_to(std::size_t offset) { at_ = offset; }

 private:
  std::span<const std::byte> from_;
  std::size_t at_ = 0;
};

constexpr std::size_t kSum = 8, kName = 72, kModels = 120;  // offsets
constexpr std::uint32_t kInUse = 1;

// FNV-1a (RFC 9923).
std::uint64_t checksum(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::byte byte : bytes) hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
  return hash;
}

}  // namespace

std::string_view name(LeasePriority priority) {
  return priority == LeasePriority::interactive ? "interactive" : "background";
}

std::uint64_t LeaseRecord::model_bytes() const {
  std::uint64_t sum = 0;
  for (const LeasedModel& model : models) sum = sum_of(sum, model.bytes);
  return sum;
}

LeaseBytes encode(const LeaseRecord& record) {
  LeaseBytes bytes{};
  const std::size_t models = std::min(record.models.size(), LeaseRecord::kMostModels);
  const std::size_t letters = std::min(record.name.size(), LeaseRecord::kMostName);
  Writer writer(bytes);
  writer.skip_to(kSum);
  writer.put(kInUse);
  writer.put(record.pid);
  for (const std::uint64_t number :
       {record.machine, record.most, record.least, record.wanted, record.held, record.used})
    writer.put(number);
  writer.put(static_cast<std::uint8_t>(record.priority));
  writer.put(static_cast<std::uint8_t>(models));
  writer.put(static_cast<std::uint8_t>(letters));
  writer.skip_to(kName);
  for (std::size_t i = 0; i < letters; ++i) writer.put(static_cast<std::uint8_t>(record.name[i]));
  writer.skip_to(kModels);
  for (std::size_t i = 0; i < models; ++i) {
    writer.put(record.models[i].device);
    writer.put(record.models[i].inode);
    writer.put(record.models[i].bytes);
  }
  Writer(bytes).put(checksum(std::span(bytes).subspan(kSum)));
  return bytes;
}

std::optional<LeaseRecord> decode(std::span<const std::byte, kLeaseRecordBytes> bytes) {
  Reader reader(bytes);
  if (reader.get<std::uint64_t>() != checksum(bytes.subspan(kSum))) return std::nullopt;
  if (reader.get<std::uint32_t>() != kInUse) return std::nullopt;
  LeaseRecord record{.pid = reader.get<std::int32_t>()};
  for (std::uint64_t* number :
       {&record.machine, &record.most, &record.least, &record.wanted, &record.held, &record.used})
    *number = reader.get<std::uint64_t>();
  const auto priority = reader.get<std::uint8_t>();
  const std::size_t models = reader.get<std::uint8_t>(), letters = reader.get<std::uint8_t>();
  if (priority > static_cast<std::uint8_t>(LeasePriority::background) || models > LeaseRecord::kMostModels ||
      letters > LeaseRecord::kMostName)
    return std::nullopt;
  record.priority = static_cast<LeasePriority>(priority);
  reader.skip_to(kName);
  for (std::size_t i = 0; i < letters; ++i) record.name += static_cast<char>(reader.get<std::uint8_t>());
  reader.skip_to(kModels);
  for (std::size_t i = 0; i < models; ++i) {
    LeasedModel& model = record.models.emplace_back();
    for (std::uint64_t* number : {&model.device, &model.inode, &model.bytes})
      *number = reader.get<std::uint64_t>();
  }
  return record;
}

}  // namespace medlar::host
