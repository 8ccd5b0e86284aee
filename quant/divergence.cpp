// A copy of the model whose tensors are overwritten in place, and files of log-probabilities beside it.
#include "quant/divergence.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"
#include "engine/engine.h"
#include "eval/perplexity.h"
#include "formats/all.h"
#include "quant/encode.h"
#include "quant/mix.h"
#include "quant/quantize.h"

namespace medlar::quant {
namespace {

bool is_wide(DType type) { return format_info(type).block_length == 1; }

eval::Scores score(const std::filesystem::path& file, const eval::Windows& windows,
                   eval::ScoreOptions options) {
  EngineOptions wanted;
  wanted.exact = true;
  wanted.device = Device::cpu;
  wanted = eval::scoring(wanted, windows, options.team);
  const auto engine = Engine::load(file, wanted);
  eval::Scores scores = eval::score_windows(*engine, windows, options);
  if (!scores.complete) throw Error(ErrorKind::cancelled, "stopped by Ctrl-C");
  return scores;
}

void write_at(const std::filesystem::path& file, std::uint64_t offset, std::span<const std::byte> bytes) {
  const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) fail_errno(file, "open", errno);
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(file, "write", errno);
    offset += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

}  // namespace

ScratchFolder::ScratchFolder(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  const bool made = std::filesystem::create_directory(path_, error);
  if (error) fail_errno(path_, "create", error.value());
  if (!made)
    throw Error(ErrorKind::usage, fmt::format("{}: exists already", printable(path_.native())), "remove it");
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Divergence::Divergence(const gguf::File& model, const eval::Windows& windows, std::filesystem::path scratch,
                       const DivergenceOptions& options)
    : model_(model), windows_(windows), folder_(std::move(scratch)), options_(options) {
  copy_ = folder() / "copy.gguf";
  for (const gguf::Tensor& t : model.tensors())
    types_.push_back(is_wide(t.view.type) ? t.view.type : DType::f16);
  quantize(model, copy_, types_, *options.team, {.file_type = 1});
  {
    const gguf::File copy = gguf::File::open(copy_);
    for (const gguf::Tensor& t : copy.tensors())
      offsets_.push_back(static_cast<std::uint64_t>(t.view.bytes.data() - copy.parts()[0].bytes().data()));
  }
  eval::KlBaseWriter writer(folder() / "base.kld", windows, describe(copy_).vocab);
  score(copy_, windows, {.save = &writer, .team = options.team, .cancel = options.cancel});
  writer.commit();
  base_ = std::make_unique<eval::KlBase>(eval::KlBase::open(folder() / "base.kld"));
}

double Divergence::of(const std::filesystem::path& file) const {
  const eval::Scores scores =
      score(file, windows_, {.stored = base_.get(), .team = options_.team, .cancel = options_.cancel});
  double sum = 0;
  for (const eval::TokenScore& s : scores.tokens) sum += s.kl;
  return sum / static_cast<double>(scores.tokens.size());
}

double Divergence::with(std::span<const std::size_t> tensors, std::span<const DType> types,
                        const std::vector<std::vector<float>>& means) {
  for (std::size_t i = 0; i < tensors.size(); ++i) put(tensors[i], types[i], means[tensors[i]]);
  const double kl = of(copy_);
  for (const std::size_t t : tensors) put(t, types_[t], {});
  return kl;
}

// The tensor's values as they are after `type`, in the copy.
void Divergence::put(std::size_t tensor, DType type, std::span<const float> means) {
  const TensorView& t = model_.tensors()[tensor].view;
  const auto columns = static_cast<std::size_t>(t.shape.back());
  const auto source = static_cast<std::size_t>(row_bytes(t.type, t.shape.back()));
  const auto target = static_cast<std::size_t>(row_bytes(types_[tensor], t.shape.back()));
  const std::int64_t rows = t.shape.rows();
  const std::int64_t of_matrix = t.shape[t.shape.rank() - 2];
  std::vector<std::byte> out(target * static_cast<std::size_t>(rows));
  std::atomic<std::int64_t> next = 0;
  options_.team->run([&](int) {
    std::vector<float> x(columns);
    std::vector<std::byte> blocks(static_cast<std::size_t>(row_bytes(type, t.shape.back())));
    for (std::int64_t row = next++; row < rows; row = next++) {
      const auto r = static_cast<std::size_t>(row);
      decode_row(t.type, t.bytes.data() + r * source, x.data(), std::ssize(x));
      if (type != types_[tensor]) {
        const auto of_row = means.empty()
                                ? means
                                : means.subspan(static_cast<std::size_t>(row / of_matrix) * columns, columns);
        encode_row(type, x, blocks.data(), {.columns = of_row});
        decode_row(type, blocks.data(), x.data(), std::ssize(x));
      }
      formats::encode_row(types_[tensor], x.data(), out.data() + r * target, std::ssize(x));
    }
  });
  write_at(copy_, offsets_[tensor], out);
}

}  // namespace medlar::quant
