#include "runtime/metal/device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "runtime/gpu/backend.h"
#include "runtime/metal/backend.h"
#include "runtime/metal/buffer.h"
#include "runtime/metal/compiler.h"
#include "runtime/metal/queue.h"
#include "runtime/metal/residency.h"

namespace medlar::runtime {
namespace {

// Of what the system recommends at most, for pipelines, command buffers and what the program draws or shares.
constexpr std::int64_t kMargin = 256 << 20;

metal::Buffer& own(gpu::Buffer& buffer) { return static_cast<metal::Buffer&>(buffer); }
const metal::Buffer& own(const gpu::Buffer& buffer) { return static_cast<const metal::Buffer&>(buffer); }

struct Commands final : gpu::CommandList {
  std::vector<metal::Call> calls;
  std::vector<metal::Buffer*> buffers;  // each once
};

class MetalDevice final : public gpu::Device {
 public:
  MetalDevice()
      : name_(name_of(system_)),
        queue_(system_),
        residency_(system_, queue_.handle()),
        place_{system_, residency_, queue_},
        pipelines_(system_) {}
  ~MetalDevice() override { queue_.finish(); }

  std::string_view name() const override { return name_; }
  DeviceMemory memory() const override {
    const metal::Pool pool(system_.objc);
    const auto working_set = static_cast<std::int64_t>(system_.call.working_set(system_.device.get()));
    return {.available = std::max<std::int64_t>(working_set - kMargin, 1)};
  }
  std::size_t largest_import() const override { return metal::largest_view(system_); }

  std::unique_ptr<gpu::Buffer> allocate(std::size_t bytes) override {
    return std::make_unique<metal::Buffer>(place_, bytes);
  }
  std::unique_ptr<gpu::Buffer> import(std::span<const std::byte> bytes) override {
    return std::make_unique<metal::Buffer>(place_, bytes);
  }
  void write(gpu::Buffer& to, std::size_t offset, std::span<const std::byte> bytes) override {
    MEDLAR_ASSERT(offset + bytes.size() <= to.size());
    queue_.wait();
    own(to).wake();
    std::ranges::copy(bytes, own(to).data() + offset);
  }
  void read(const gpu::Buffer& from, std::size_t offset, std::span<std::byte> bytes) override {
    MEDLAR_ASSERT(offset + bytes.size() <= from.size());
    queue_.wait();
    std::copy_n(own(from).data() + offset, bytes.size(), bytes.begin());
  }
  // A part of a buffer does not go back alone.
  void discard(gpu::Buffer& buffer, std::size_t offset, std::size_t bytes) override {
    if (offset > 0 || bytes < buffer.size()) return;
    queue_.wait();
    own(buffer).sleep();
  }
  bool tells_times() const override { return true; }
  std::chrono::nanoseconds run_timed(gpu::CommandList& list) override {
    submit(list);
    queue_.wait();
    return queue_.time();
  }
  void rest() override {
    queue_.wait();
    residency_.end();
  }

  // The system keeps what it has compiled.
  void prepare(std::span<const gpu::KernelInfo* const> kernels, const std::filesystem::path&) override {
    pipelines_.prepare(kernels);
  }
  gpu::Pipeline pipeline(const gpu::KernelInfo& kernel) override {
    const gpu::KernelInfo* const one = &kernel;
    prepare({&one, 1}, {});
    return {pipelines_.number(kernel.name)};
  }

  std::unique_ptr<gpu::CommandList> record(std::vector<gpu::Dispatch> dispatches) override {
    auto list = std::make_unique<Commands>();
    for (gpu::Dispatch& d : dispatches) {
      MEDLAR_ASSERT(d.params.size() <= metal::kMaxParameterBytes);
      metal::Call call{.pipeline = pipelines_[d.pipeline.id],
                       .params = std::move(d.params),
                       .arguments = {},
                       .grid = {d.grid.x, d.grid.y, d.grid.z},
                       .group = {.width = d.threads},
                       .barrier = d.barrier};
      for (const gpu::Binding& b : d.buffers) {
        metal::Buffer& buffer = own(*b.buffer);
        call.arguments.push_back({buffer.handle(), buffer.begin() + b.offset});
        if (std::ranges::find(list->buffers, &buffer) == list->buffers.end())
          list->buffers.push_back(&buffer);
      }
      list->calls.push_back(std::move(call));
    }
    return list;
  }

  void submit(gpu::CommandList& list) override {
    const auto& commands = static_cast<const Commands&>(list);
    for (metal::Buffer* buffer : commands.buffers) buffer->wake();
    residency_.begin();
    queue_.commit(commands.calls);
  }

 private:
  static std::string name_of(const metal::System& system) {
    const metal::Pool pool(system.objc);
    return system.text(system.call.device_name(system.device.get()));
  }

  const metal::System system_;
  const std::string name_;
  metal::Queue queue_;
  metal::Residency residency_;
  const metal::Buffer::Place place_;
  metal::Pipelines pipelines_;
};

}  // namespace

std::unique_ptr<gpu::Device> make_metal_device() { return std::make_unique<MetalDevice>(); }

std::unique_ptr<Backend> make_metal_backend() { return gpu::make_backend(make_metal_device()); }

}  // namespace medlar::runtime
