// What every GPU offers to the host: memory, kernels, and lists of dispatches. The emulator is one, NVIDIA's
// and Apple's are others.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/gpu/kernels.h"
#include "runtime/backend.h"

namespace medlar::runtime::gpu {

using medlar::gpu::KernelInfo;

// Memory that kernels can be given. Whoever holds the pointer owns it; the device must outlive it.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual std::size_t size() const = 0;
};

struct Binding {
  Buffer* buffer = nullptr;
  std::uint64_t offset = 0;  // bytes
};

struct Extent {
  std::uint32_t x = 1, y = 1, z = 1;
};

// A kernel that the device has compiled, by its own number.
struct Pipeline {
  int id = -1;
};

struct Dispatch {
  Pipeline pipeline;
  std::vector<std::byte> params;  // the kernel's argument 0, at most 4 KiB
  std::vector<Binding> buffers;   // its arguments 1, 2, ...
  Extent grid;                    // threadgroups
  std::uint32_t threads = 0;      // a threadgroup
  bool barrier = true;            // every earlier dispatch is finished before this one starts
};

// Dispatches in a form that the device can run again and again.
class CommandList {
 public:
  virtual ~CommandList() = default;
};

// One thread at a time. Everything may throw Error(device) or Error(out_of_memory).
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;
  virtual DeviceMemory memory() const { return {}; }
  // That run threadgroups side by side.
  virtual int cores() const { return 1; }

  // Bytes that one import may have.
  virtual std::size_t largest_import() const { return std::numeric_limits<std::size_t>::max(); }

  // Memory of the device's own, zeroed.
  virtual std::unique_ptr<Buffer> allocate(std::size_t bytes) = 0;
  // A view of mapped bytes, which must outlive it; without a copy where the device reads the host's memory.
  virtual std::unique_ptr<Buffer> import(std::span<const std::byte> bytes) = 0;
  // Ordered with submitted lists.
  virtual void write(Buffer& to, std::size_t offset, std::span<const std::byte> bytes) = 0;
  // Waits for submitted lists.
  virtual void read(const Buffer& from, std::size_t offset, std::span<std::byte> bytes) = 0;
  // Between two devices: ordered with the lists of both. False: this one cannot, and nothing happened.
  virtual bool copy(Device& other, const Buffer& from, std::size_t from_offset, Buffer& to,
                    std::size_t to_offset, std::size_t bytes) {
    return false;
  }
  // The bytes are not needed any more; whole pages may go back to the system and read as anything until they
  // are written again.
  virtual void discard(Buffer& buffer, std::size_t offset, std::size_t bytes) = 0;

  // Compiles these together, where that is quicker than one by one, or takes them from `cache`, where they
  // are kept otherwise; an empty path: they are not.
  virtual void prepare(std::span<const KernelInfo* const> kernels, const std::filesystem::path& cache) {}
  // Compiles the kernel the first time it is asked for.
  virtual Pipeline pipeline(const KernelInfo& kernel) = 0;
  virtual std::unique_ptr<CommandList> record(std::vector<Dispatch> dispatches) = 0;
  // Starts when everything submitted before has finished.
  virtual void submit(CommandList& list) = 0;
  // Submits the list and waits for it; how long it took on the device. Only where the device tells times.
  virtual bool tells_times() const { return false; }
  virtual std::chrono::nanoseconds run_timed(CommandList& list) {
    submit(list);
    return {};
  }
  // Nothing will be submitted soon: what is only held for speed may go back to the system. Any thread.
  virtual void rest() {}
};

}  // namespace medlar::runtime::gpu
