// The speed model: tokens a second from the work of a model and a few rates of a machine.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "engine/plan.h"
#include "host/apple_chips.h"
#include "runtime/backend.h"

namespace medlar::host {

// What a machine can do. Of a chip in the catalogue they follow from few constants that were fitted to
// public measurements; of this machine they are measured (calibration.h). docs/planning.md has the
// method and its errors.
struct Rates {
  double read = 0;            // bytes a second at which decode gets weights
  double attend = 0;          // the same of cached keys and values; 0: as of weights
  double unpack = 0;          // weights a second that can be taken out of blocks of 256; 0: never the bound
  double products = 0;        // multiplications and additions a second of a prompt, weights quantized
  double plain_products = 0;  // the same where weights are floats, and of attention
  double unpacked_bytes = 0;  // that each weight becomes in memory before a batch's products; 0: it does not
  double layer_seconds = 0;   // that each layer of a step takes whatever it computes
  double prompt_layer_seconds = 0;  // that it takes more in a step that reads a prompt
};

// What Apple's GPUs do of what they could, and what a family's cores do: fitted by bench/fit_speed.cpp to
// half of the rows of tests/host/apple_speed.csv.
struct SpeedConstants {
  double read_share = 0.87;       // of the memory's bandwidth that decode gets
  double layer_seconds = 102e-6;  // of launching a layer's kernels
  double plain_gain = 1.093;      // speed of products with float weights over that with quantized ones
  // Of a core: multiplications and additions a second of a prompt with quantized weights, by family from M1
  // on. The M5 has matrix units in its cores.
  std::array<double, 5> core_products = {180.4e9, 221.7e9, 257.2e9, 317e9, 951e9};
  // Of a core: weights a second out of blocks of 256; of M1 and M2, and of what came later.
  std::array<double, 2> core_unpack = {10.91e9, 24.2e9};
};

Rates rates_of(const AppleChip& chip, const SpeedConstants& constants = {});

// What kernels reach of a GPU's limits (runtime::DeviceLimits), fitted to what was measured on one:
// docs/planning.md.
struct DeviceShares {
  double read = 0.63;
  double attend = 0.24;  // of reading, by decoding's attention
  double products = 0.57;
  double layer_seconds = 24e-6;          // of a layer's kernels, one after the other
  double prompt_layer_seconds = 111e-6;  // of those that only a prompt has
};

Rates rates_of(const runtime::DeviceLimits& limits, const DeviceShares& shares = {});

// What is asked of a model.
struct Workload {
  std::int64_t prompt = 512;  // tokens
  std::int64_t batch = 512;   // of them read at once
  std::int64_t depth = 0;     // of the context before it
};

struct Prediction {
  double prompt_tps = 0;  // tokens a second, reading
  double decode_tps = 0;  // tokens a second, writing right after the prompt
  double ttft_ms = 0;     // from the prompt to the first token
};

// What predictions for a machine are multiplied by.
struct Correction {
  double prompt = 1, decode = 1;
};

// A part of a model, on a device.
struct PartOnDevice {
  ModelWork work;
  Rates rates;
  Correction correction;
};

// Of parts that run one after the other: their times add up.
Prediction predict(std::span<const PartOnDevice> parts, const Workload& workload = {});
Prediction predict(const ModelWork& work, const Rates& rates, const Workload& workload = {});

}  // namespace medlar::host
