#include "runtime/emulator/device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/error.h"
#include "base/page_memory.h"
#include "kernels/gpu/emulator/kernels.h"
#include "runtime/emulator/backend.h"
#include "runtime/gpu/backend.h"

namespace medlar::runtime {
namespace {

using emulator::EmulatedKernel;

class HostBuffer final : public gpu::Buffer {
 public:
  explicit HostBuffer(std::size_t bytes) : memory_(bytes), bytes_(memory_.span()) {}
  // Kernels only read what was imported.
  explicit HostBuffer(std::span<const std::byte> bytes)
      : bytes_(const_cast<std::byte*>(bytes.data()), bytes.size()), imported_(true) {}

  std::size_t size() const override { return bytes_.size(); }
  std::span<std::byte> bytes() const { return bytes_; }
  bool imported() const { return imported_; }
  void discard(std::size_t offset, std::size_t bytes) const { memory_.release(offset, bytes); }

 private:
  PageMemory memory_;
  std::span<std::byte> bytes_;
  bool imported_ = false;
};

const HostBuffer& host(const gpu::Buffer& buffer) { return static_cast<const HostBuffer&>(buffer); }

struct Commands final : gpu::CommandList {
  struct Call {
    const EmulatedKernel* kernel;
    std::vector<std::byte> params;
    std::vector<const void*> args;  // args[0] is set before each run: params may have moved
    emulator::Extent grid;
  };
  std::vector<Call> calls;
};

class EmulatorDevice final : public gpu::Device {
 public:
  explicit EmulatorDevice(const emulator::MachineOptions& options) : machine_(options) {}

  std::string_view name() const override { return "emulator"; }
  std::unique_ptr<gpu::Buffer> allocate(std::size_t bytes) override {
    return std::make_unique<HostBuffer>(bytes);
  }
  std::unique_ptr<gpu::Buffer> import(std::span<const std::byte> bytes) override {
    return std::make_unique<HostBuffer>(bytes);
  }
  void write(gpu::Buffer& to, std::size_t offset, std::span<const std::byte> bytes) override {
    MEDLAR_ASSERT(!host(to).imported());
    std::ranges::copy(bytes, host(to).bytes().subspan(offset, bytes.size()).begin());
  }
  void read(const gpu::Buffer& from, std::size_t offset, std::span<std::byte> bytes) override {
    std::ranges::copy(host(from).bytes().subspan(offset, bytes.size()), bytes.begin());
  }
  void discard(gpu::Buffer& buffer, std::size_t offset, std::size_t bytes) override {
    host(buffer).discard(offset, bytes);
  }

  gpu::Pipeline pipeline(const gpu::KernelInfo& kernel) override {
    const EmulatedKernel* found = emulator::find_kernel(kernel.name);
    if (!found) fail(ErrorKind::unsupported, "the emulator has no kernel {}", kernel.name);
    const auto at = std::ranges::find(pipelines_, found);
    if (at == pipelines_.end()) pipelines_.push_back(found);
    return {static_cast<int>(std::ranges::find(pipelines_, found) - pipelines_.begin())};
  }

  std::unique_ptr<gpu::CommandList> record(std::vector<gpu::Dispatch> dispatches) override {
    auto commands = std::make_unique<Commands>();
    for (gpu::Dispatch& d : dispatches) {
      const EmulatedKernel* kernel = pipelines_[static_cast<std::size_t>(d.pipeline.id)];
      MEDLAR_ASSERT(d.params.size() == kernel->parameter_bytes && d.buffers.size() == kernel->buffers);
      MEDLAR_ASSERT(d.threads == kernel->threads);
      Commands::Call call{kernel, std::move(d.params), {nullptr}, {d.grid.x, d.grid.y, d.grid.z}};
      for (const gpu::Binding& b : d.buffers) {
        MEDLAR_ASSERT(b.offset < b.buffer->size());
        call.args.push_back(host(*b.buffer).bytes().data() + b.offset);
      }
      commands->calls.push_back(std::move(call));
    }
    return commands;
  }

  void submit(gpu::CommandList& list) override {
    for (Commands::Call& call : static_cast<Commands&>(list).calls) {
      call.args[0] = call.params.data();
      machine_.run({call.kernel->name, call.kernel->run, call.args.data(), call.grid, call.kernel->threads});
    }
  }

 private:
  emulator::Machine machine_;
  std::vector<const EmulatedKernel*> pipelines_;
};

}  // namespace

std::unique_ptr<gpu::Device> make_emulator_device(const emulator::MachineOptions& options) {
  return std::make_unique<EmulatorDevice>(options);
}

std::unique_ptr<Backend> make_emulator_backend(const EmulatorOptions& options) {
  return gpu::make_backend(make_emulator_device(options.machine), options.tuning);
}

}  // namespace medlar::runtime
