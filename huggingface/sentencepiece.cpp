// tokenizer.model: a protocol buffer (ModelProto) of which only the pieces matter here.
//   ModelProto: field 1, repeated: piece    piece: 1 text, 2 score (f32), 3 kind (as TokenKind)
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "huggingface/tokenizer.h"

namespace medlar::huggingface {
namespace {

// A cursor over one message's fields (https://protobuf.dev/programming-guides/encoding).
class Fields {
 public:
  Fields(std::string_view bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  struct Field {
    std::uint64_t number = 0;
    std::uint64_t value = 0;  // of a varint or a fixed number
    std::string_view bytes;   // of a string or message
  };

  bool next(Field& field) {
    if (bytes_.empty()) return false;
    const std::uint64_t tag = varint();
    field = {.number = tag >> 3};
    switch (tag & 7) {
      case 0:
        field.value = varint();
        return true;
      case 1:
        field.value = fixed(8);
        return true;
      case 2:
        field.bytes = take(varint());
        return true;
      case 5:
        field.value = fixed(4);
        return true;
      default:
        reject();
    }
  }

 private:
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size()) reject();
    const std::string_view taken = bytes_.substr(0, static_cast<std::size_t>(count));
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    reject();
  }
  std::uint64_t fixed(std::size_t count) {
    std::uint64_t value = 0;
    const std::string_view taken = take(count);
    std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  [[noreturn]] void reject() const {
    throw Error(ErrorKind::bad_file, fmt::format("{}: is no SentencePiece model", source_),
                "download it again");
  }

  std::string_view bytes_, source_;
};

}  // namespace

Vocabulary read_sentencepiece(const std::filesystem::path& path, std::int64_t size) {
  constexpr std::uint64_t kPieces = 1, kText = 1, kScore = 2, kKind = 3;
  const MappedFile file(path);
  const std::string source = printable(path.native());
  Vocabulary out = Vocabulary::of_size(size);
  out.scores.assign(static_cast<std::size_t>(size), -10000.0F);
  Fields model({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, source);
  std::int64_t id = 0;
  for (Fields::Field field; model.next(field);) {
    if (field.number != kPieces) continue;
    Fields piece(field.bytes, source);
    std::string text;
    float score = 0;
    std::uint64_t kind = 1;
    for (Fields::Field part; piece.next(part);) {
      if (part.number == kText) text = part.bytes;
      if (part.number == kScore) score = std::bit_cast<float>(static_cast<std::uint32_t>(part.value));
      if (part.number == kKind) kind = part.value;
    }
    if (kind < 1 || kind > 6) fail(ErrorKind::bad_file, "{}: piece {} is of kind {}", source, id, kind);
    if (id < size) {
      out.set(id, std::move(text), static_cast<TokenKind>(kind), source);
      out.scores[static_cast<std::size_t>(id)] = score;
    }
    ++id;
  }
  file.check();
  if (id == 0) fail(ErrorKind::bad_file, "{}: has no pieces", source);
  return out;
}

}  // namespace medlar::huggingface
