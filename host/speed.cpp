#include "host/speed.h"

#include <algorithm>
#include <span>

#include "formats/all.h"

namespace medlar::host {
namespace {

constexpr double kGiga = 1e9;

bool is_plain(DType type) { return format_info(type).block_length == 1; }
bool has_superblocks(DType type) { return format_info(type).block_length == 256; }

// The value of a family, from M1 on; families beyond the last are like it.
double by_family(std::span<const double> values, int family) {
  return values[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(family - 1, 0, std::ssize(values) - 1))];
}

// Seconds of a step of one token at `depth`.
double decode_seconds(const ModelWork& work, const Rates& rates, double depth) {
  double packed = 0;  // weights in superblocks that one token reads
  for (const ModelWork::Products& p : work.products)
    if (has_superblocks(p.type)) packed += (p.flops + p.head_flops) / 2;
  const double reading = work.weight_bytes() / rates.read;
  const double unpacking = rates.unpack > 0 ? packed / rates.unpack : 0;
  const double attending = work.kv_bytes(depth) / (rates.attend > 0 ? rates.attend : rates.read);
  return std::max(reading + attending, unpacking) + static_cast<double>(work.layers) * rates.layer_seconds;
}

// Seconds of a step of `tokens` of a prompt after `depth`; its logits are those of the last.
double prompt_seconds(const ModelWork& work, const Rates& rates, double tokens, double depth) {
  double seconds = tokens * work.attention_flops(depth + tokens / 2) / rates.plain_products;
  for (const ModelWork::Products& p : work.products)
    seconds += (tokens * p.flops + p.head_flops) / (is_plain(p.type) ? rates.plain_products : rates.products);
  const double reading = work.weight_bytes() / rates.read;
  double unpacking = 0;
  for (const ModelWork::Products& p : work.products)
    unpacking += p.flops / 2 * rates.unpacked_bytes / rates.read;
  return (unpacking > 0 ? seconds + reading + unpacking : std::max(seconds, reading)) +
         static_cast<double>(work.layers) * (rates.layer_seconds + rates.prompt_layer_seconds);
}

}  // namespace

Rates rates_of(const AppleChip& chip, const SpeedConstants& constants) {
  const double products = by_family(constants.core_products, chip.family) * chip.gpu_cores;
  return {.read = constants.read_share * chip.bandwidth * kGiga,
          .unpack = constants.core_unpack[chip.family <= 2 ? 0 : 1] * chip.gpu_cores,
          .products = products,
          .plain_products = constants.plain_gain * products,
          .layer_seconds = constants.layer_seconds};
}

Rates rates_of(const runtime::DeviceLimits& limits, const DeviceShares& shares) {
  return {.read = shares.read * limits.read,
          .attend = shares.attend * limits.read,
          .products = shares.products * limits.products,
          .plain_products = shares.products * limits.products,
          .unpacked_bytes = sizeof(std::uint16_t),
          .layer_seconds = shares.layer_seconds,
          .prompt_layer_seconds = shares.prompt_layer_seconds};
}

Prediction predict(std::span<const PartOnDevice> parts, const Workload& workload) {
  const auto batch = static_cast<double>(std::max<std::int64_t>(workload.batch, 1));
  const auto prompt = static_cast<double>(std::max<std::int64_t>(workload.prompt, 1));
  const auto depth = static_cast<double>(workload.depth);
  double reading = 0, step = 0;
  for (const PartOnDevice& part : parts) {
    for (double done = 0; done < prompt; done += batch)
      reading += prompt_seconds(part.work, part.rates, std::min(batch, prompt - done), depth + done) /
                 part.correction.prompt;
    step += decode_seconds(part.work, part.rates, depth + prompt) / part.correction.decode;
  }
  return {.prompt_tps = prompt / reading, .decode_tps = 1 / step, .ttft_ms = 1000 * reading};
}

Prediction predict(const ModelWork& work, const Rates& rates, const Workload& workload) {
  const PartOnDevice whole{.work = work, .rates = rates, .correction = {}};
  return predict(std::span(&whole, 1), workload);
}

}  // namespace medlar::host
