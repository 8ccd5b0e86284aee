#include "runtime/cuda/device.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"
#include "base/error.h"
#include "runtime/cuda/backend.h"
#include "runtime/cuda/compiler.h"
#include "runtime/cuda/driver.h"
#include "runtime/cuda/kernel_cache.h"
#include "runtime/cuda/staging.h"
#include "runtime/gpu/backend.h"

namespace medlar::runtime {
namespace {

using cuda::DevicePointer;
using cuda::Driver;
using cuda::Handle;

constexpr int kLeastCapability = 80;  // mma.m16n8k16
constexpr std::size_t kMarginShare = 32;
constexpr std::size_t kCopyBytes = 16;           // ring_fill
constexpr std::size_t kClearedBytes = 32 << 20;  // takes 10 us
constexpr int kEarlyCapability = 90;             // griddepcontrol
constexpr int kWgmmaCapability = 90;             // and no other
constexpr int kLaneRows = 64;                    // as many as linear_rows has kernels for
constexpr int kWgmmaRows = 128;                  // from so many rows on unpacking weights first pays

// A GPU's primary context, current in the thread that made it.
class Context {
 public:
  Context(const Driver& driver, int number) : driver_(driver), number_(number) {
    int count = 0;
    driver.check(driver.device_count(&count), "count the GPUs");
    if (number >= count)
      throw Error(ErrorKind::device, fmt::format("there is no GPU {}: this machine has {}", number, count),
                  "use --device cpu");
    driver.check(driver.device_get(&device_, number), "open the GPU");
    driver.check(driver.retain_context(&context_, device_), "open the GPU");
    enter();
  }
  ~Context() { driver_.release_context(device_); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // In each thread that calls the driver.
  void enter() const { driver_.check(driver_.set_context(context_), "use the GPU"); }
  Handle handle() const { return context_; }
  int number() const { return number_; }
  // What this GPU's kernels and copies may then read of the other's memory directly. Where they cannot, the
  // driver copies by way of the host.
  void reach(const Context& other) const {
    int can = 0;
    if (driver_.can_access(&can, device_, other.device_) != 0 || !can) return;
    enter();
    driver_.enable_access(other.context_, 0);  // fails if it was enabled before
  }
  int capability() const {
    return 10 * attribute(cuda::Attribute::capability_major) + attribute(cuda::Attribute::capability_minor);
  }
  int cores() const { return attribute(cuda::Attribute::cores); }
  std::string name() const {
    std::array<char, 128> text{};
    driver_.check(driver_.device_name(text.data(), static_cast<int>(text.size()), device_), "name the GPU");
    return text.data();
  }

 private:
  int attribute(cuda::Attribute which) const {
    int value = 0;
    driver_.check(driver_.device_attribute(&value, which, device_), "ask the GPU");
    return value;
  }

  const Driver& driver_;
  const int number_;
  int device_ = 0;
  Handle context_ = nullptr;
};

struct Event {
  Event(const Driver& d, unsigned flags) : driver(d) {
    driver.check(driver.create_event(&handle, flags), "create an event");
  }
  ~Event() { driver.destroy_event(handle); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  const Driver& driver;
  Handle handle = nullptr;
};

struct Stream {
  explicit Stream(const Driver& d) : driver(d) {
    constexpr unsigned kNonBlocking = 1;
    driver.check(driver.create_stream(&handle, kNonBlocking), "create a stream");
  }
  ~Stream() {
    driver.wait_stream(handle);
    driver.destroy_stream(handle);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  const Driver& driver;
  Handle handle = nullptr;
};

// The GPU's own time between two places of a stream.
class StreamClock {
 public:
  StreamClock(const Driver& driver, Handle stream) : driver_(driver), stream_(stream) {}

  void start() const { record(start_); }
  // Waits.
  std::chrono::nanoseconds stop() const {
    record(stop_);
    driver_.check(driver_.wait_event(stop_.handle), "run kernels");
    float milliseconds = 0;
    driver_.check(driver_.elapsed(&milliseconds, start_.handle, stop_.handle), "take the time");
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double, std::milli>(milliseconds));
  }

 private:
  void record(const Event& event) const {
    driver_.check(driver_.record_event(event.handle, stream_), "record an event");
  }

  const Driver& driver_;
  const Handle stream_;
  const Event start_{driver_, cuda::kTimed}, stop_{driver_, cuda::kTimed};
};

class CudaBuffer final : public gpu::Buffer {
 public:
  // Kernels copy weights in whole pieces of kCopyBytes.
  CudaBuffer(const Driver& driver, std::size_t bytes) : driver_(driver), size_(bytes) {
    const auto room = checked_align_up<std::size_t>(bytes, kCopyBytes, "memory of the GPU");
    driver.check(driver.allocate(&address_, room), "allocate memory of the GPU");
  }
  ~CudaBuffer() override { driver_.release(address_); }  // waits until no kernel uses it

  std::size_t size() const override { return size_; }
  DevicePointer address() const { return address_; }

 private:
  const Driver& driver_;
  const std::size_t size_;
  DevicePointer address_ = 0;
};

DevicePointer address(const gpu::Buffer& buffer, std::size_t offset) {
  return static_cast<const CudaBuffer&>(buffer).address() + offset;
}

struct Function {
  Handle handle = nullptr;
  std::uint32_t shared_bytes = 0;
};

class Graph final : public gpu::CommandList {
 public:
  // `early`: a kernel may start before the one before it has ended. All kernels wait for those before them
  // (the prelude's GRID_BEGIN), so that one which has ended says that all before it have.
  Graph(const Driver& driver, bool early) : driver_(driver), early_(early) {
    driver.check(driver.create_graph(&graph_, 0), "create a graph");
  }
  ~Graph() override {
    if (executable_) driver_.destroy_executable(executable_);
    driver_.destroy_graph(graph_);
  }

  // Nodes between two barriers may run at once, after all of those before.
  void add(gpu::Dispatch& dispatch, const Function& function) {
    if (dispatch.barrier) before_ = std::exchange(wave_, {});
    std::vector<DevicePointer> addresses;
    for (const gpu::Binding& b : dispatch.buffers) addresses.push_back(address(*b.buffer, b.offset));
    std::vector<void*> arguments{dispatch.params.data()};
    for (DevicePointer& a : addresses) arguments.push_back(&a);
    const cuda::KernelNode node{.function = function.handle,
                                .grid_x = dispatch.grid.x,
                                .grid_y = dispatch.grid.y,
                                .grid_z = dispatch.grid.z,
                                .block_x = dispatch.threads,
                                .shared_bytes = function.shared_bytes,
                                .params = arguments.data()};
    Handle added = nullptr;
    const bool early = early_ && before_.size() == 1;
    driver_.check(driver_.add_kernel(&added, graph_, before_.data(), early ? 0 : before_.size(), &node),
                  "add a kernel to a graph");
    constexpr cuda::EdgeData kEarly;
    if (early)
      driver_.check(driver_.add_edges(graph_, before_.data(), &added, &kEarly, 1),
                    "connect kernels of a graph");
    wave_.push_back(added);
  }

  void instantiate() { driver_.check(driver_.instantiate(&executable_, graph_, 0), "make a graph"); }
  void launch(Handle stream) const { driver_.check(driver_.launch(executable_, stream), "launch a graph"); }

 private:
  const Driver& driver_;
  const bool early_;
  Handle graph_ = nullptr, executable_ = nullptr;
  std::vector<Handle> before_, wave_;
};

class Modules {
 public:
  explicit Modules(const Driver& driver) : driver_(driver) {}
  ~Modules() {
    for (Handle module : modules_) driver_.unload_module(module);
  }
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  Handle load(const std::vector<std::byte>& cubin) {
    Handle module = nullptr;
    driver_.check(driver_.load_module(&module, cubin.data()), "load kernels");
    modules_.push_back(module);
    return module;
  }

 private:
  const Driver& driver_;
  std::vector<Handle> modules_;
};

class CudaDevice final : public gpu::Device {
 public:
  explicit CudaDevice(int number = 0)
      : context_(driver_, number),
        name_(context_.name()),
        capability_(context_.capability()),
        cores_(context_.cores()),
        stream_(driver_),
        done_(driver_, cuda::kUntimed),
        clock_(driver_, stream_.handle),
        staging_(driver_, stream_.handle),
        modules_(driver_) {
    if (capability_ < kLeastCapability)
      throw Error(
          ErrorKind::device,
          fmt::format("{} has the compute capability {}.{}, and the kernels need {}.{}", name_,
                      capability_ / 10, capability_ % 10, kLeastCapability / 10, kLeastCapability % 10),
          "use --device cpu");
  }

  // What is released is this GPU's, whichever was used last.
  ~CudaDevice() override { driver_.set_context(context_.handle()); }

  std::string_view name() const override { return name_; }
  int cores() const override { return cores_; }
  gpu::LowerOptions lowering() const {
    return {.bytes = true,
            .lane_rows = kLaneRows,
            .wgmma_rows = capability_ == kWgmmaCapability ? kWgmmaRows : 0,
            .cores = cores_};
  }
  // A margin is left for the driver and for others.
  DeviceMemory memory() const override {
    context_.enter();
    std::size_t free = 0, total = 0;
    driver_.check(driver_.memory(&free, &total), "ask for the GPU's memory");
    const std::size_t margin = std::min(free, total / kMarginShare);
    return {.apart = true,
            .number = context_.number(),
            .available = checked_cast<std::int64_t>(free - margin, "the GPU's memory")};
  }

  std::unique_ptr<gpu::Buffer> allocate(std::size_t bytes) override {
    context_.enter();
    auto buffer = std::make_unique<CudaBuffer>(driver_, bytes);
    driver_.check(driver_.set_bytes(buffer->address(), 0, bytes, stream_.handle), "clear memory of the GPU");
    return buffer;
  }
  std::unique_ptr<gpu::Buffer> import(std::span<const std::byte> bytes) override {
    context_.enter();
    auto buffer = std::make_unique<CudaBuffer>(driver_, bytes.size());
    staging_.copy_in(buffer->address(), bytes);
    return buffer;
  }
  void write(gpu::Buffer& to, std::size_t offset, std::span<const std::byte> bytes) override {
    MEDLAR_ASSERT(offset + bytes.size() <= to.size());
    context_.enter();
    staging_.copy_in(address(to, offset), bytes);
  }
  void read(const gpu::Buffer& from, std::size_t offset, std::span<std::byte> bytes) override {
    MEDLAR_ASSERT(offset + bytes.size() <= from.size());
    context_.enter();
    staging_.copy_out(bytes, address(from, offset));
  }
  bool copy(gpu::Device& other, const gpu::Buffer& from, std::size_t from_offset, gpu::Buffer& to,
            std::size_t to_offset, std::size_t bytes) override {
    auto* const peer = dynamic_cast<CudaDevice*>(&other);
    if (!peer) return false;
    MEDLAR_ASSERT(from_offset + bytes <= from.size() && to_offset + bytes <= to.size());
    if (reached_.insert(peer->context_.number()).second) context_.reach(peer->context_);
    peer->context_.enter();
    driver_.check(driver_.record_event(peer->done_.handle, peer->stream_.handle), "record an event");
    context_.enter();
    driver_.check(driver_.stream_wait(stream_.handle, peer->done_.handle, 0), "wait for the other GPU");
    driver_.check(driver_.copy_peer(address(to, to_offset), context_.handle(), address(from, from_offset),
                                    peer->context_.handle(), bytes, stream_.handle),
                  "copy between GPUs");
    return true;
  }
  // Memory of the GPU is one piece; nothing goes back before the whole buffer does.
  void discard(gpu::Buffer&, std::size_t, std::size_t) override {}

  void prepare(std::span<const gpu::KernelInfo* const> kernels, const std::filesystem::path& cache) override {
    std::vector<gpu::KernelInfo> missing;
    for (const gpu::KernelInfo* kernel : kernels)
      if (!pipelines_.contains(kernel->name)) missing.push_back(*kernel);
    if (missing.empty()) return;
    context_.enter();
    for (const cuda::CompiledKernels& part : cuda::compile_parts(missing, capability_, cache)) {
      const Handle module = load(part, cuda::KernelCache(cache));
      for (const gpu::KernelInfo& kernel : part.kernels) add(kernel, module);
    }
  }

  gpu::Pipeline pipeline(const gpu::KernelInfo& kernel) override {
    const gpu::KernelInfo* const one = &kernel;
    prepare({&one, 1}, {});
    return {pipelines_.at(kernel.name)};
  }

  std::unique_ptr<gpu::CommandList> record(std::vector<gpu::Dispatch> dispatches) override {
    context_.enter();
    if (early_) {
      try {
        return graph(dispatches, true);
      } catch (const Error&) {
        early_ = false;  // a driver that does not take such edges; what else is wrong shows below
      }
    }
    return graph(dispatches, false);
  }

  void submit(gpu::CommandList& list) override {
    context_.enter();
    static_cast<Graph&>(list).launch(stream_.handle);
  }
  bool tells_times() const override { return true; }
  std::chrono::nanoseconds run_timed(gpu::CommandList& list) override {
    context_.enter();
    // Clearing memory keeps the GPU busy until the list has come: what the host takes to start it does not
    // count.
    if (!cleared_) cleared_ = std::make_unique<CudaBuffer>(driver_, kClearedBytes);
    driver_.check(driver_.set_bytes(cleared_->address(), 0, kClearedBytes, stream_.handle),
                  "clear memory of the GPU");
    clock_.start();
    submit(list);
    return clock_.stop();
  }

 private:
  // What the cache has and the driver does not take any more is compiled again.
  Handle load(const cuda::CompiledKernels& part, const cuda::KernelCache& cache) {
    try {
      return modules_.load(part.cubin);
    } catch (const Error& error) {
      if (!part.kept || error.kind() == ErrorKind::out_of_memory) throw;
    }
    const std::vector<std::byte> cubin = cuda::compile(part.text, capability_);
    cache.keep(part.text, capability_, cubin);
    return modules_.load(cubin);
  }

  void add(const gpu::KernelInfo& kernel, Handle module) {
    Handle function = nullptr;
    driver_.check(driver_.get_function(&function, module, std::string(kernel.name).c_str()), "find a kernel");
    if (kernel.shared_bytes)
      driver_.check(driver_.set_attribute(function, cuda::FunctionAttribute::shared_bytes,
                                          static_cast<int>(kernel.shared_bytes)),
                    "give a kernel its memory");
    pipelines_[kernel.name] = static_cast<int>(functions_.size());
    functions_.push_back({function, kernel.shared_bytes});
  }

  std::unique_ptr<Graph> graph(std::vector<gpu::Dispatch>& dispatches, bool early) {
    auto graph = std::make_unique<Graph>(driver_, early);
    for (gpu::Dispatch& d : dispatches) graph->add(d, functions_[static_cast<std::size_t>(d.pipeline.id)]);
    graph->instantiate();
    return graph;
  }

  const Driver driver_;
  const Context context_;
  const std::string name_;
  const int capability_, cores_;
  const Stream stream_;
  const Event done_;  // what was submitted before a copy to another GPU
  const StreamClock clock_;
  std::unique_ptr<CudaBuffer> cleared_;
  std::set<int> reached_;
  cuda::Staging staging_;
  Modules modules_;
  bool early_ = driver_.add_edges && capability_ >= kEarlyCapability;
  std::vector<Function> functions_;
  std::map<std::string_view, int> pipelines_;  // names are those of the catalogue
};

}  // namespace

std::unique_ptr<gpu::Device> make_cuda_device(int number) { return std::make_unique<CudaDevice>(number); }

std::unique_ptr<Backend> make_cuda_backend(int number) {
  auto device = std::make_unique<CudaDevice>(number);
  const gpu::LowerOptions tuning = device->lowering();
  return gpu::make_backend(std::move(device), tuning);
}

int cuda_device_count() {
  const Driver driver;
  int count = 0;
  driver.check(driver.device_count(&count), "count the GPUs");
  return count;
}

}  // namespace medlar::runtime
