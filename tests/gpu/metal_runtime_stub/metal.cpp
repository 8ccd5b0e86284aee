// Metal's device: memory, residency and compilation.
#include "tests/gpu/metal_runtime_stub/metal.h"

#include <cctype>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include <sys/mman.h>

#include "tests/gpu/metal_runtime_stub/stub.h"

namespace medlar::metal_stub {
namespace {

constexpr int kGone = 0xCD;  // what reads from memory that the system took or never cleared
constexpr u64 kShared = 0, kUntracked = 256;

// Whether every byte is mapped.
bool is_mapped(std::uintptr_t begin, std::uintptr_t end) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; begin < end && std::getline(maps, line);) {
    std::uintptr_t from = 0, to = 0;
    char dash = 0;
    std::istringstream(line) >> std::hex >> from >> dash >> to;
    if (from <= begin && begin < to) begin = to;
  }
  return begin >= end;
}

Object* device_name(Object&) { return text(behaviour().apple_gpu ? "Stub M1" : "Stub of another maker"); }
bool supports_family(Object&, std::int64_t family) { return behaviour().apple_gpu && family <= 1007; }
u64 working_set(Object&) { return behaviour().working_set; }
u64 max_buffer(Object&) { return behaviour().max_buffer; }
Object* make_queue(Object&) { return make<Queue>("StubCommandQueue"); }

Object* make_buffer(Object&, u64 length, u64 options) {
  if (options != (kShared | kUntracked)) fault("a buffer that is not shared and untracked");
  if (length == 0) return fault("a buffer of no bytes"), nullptr;
  if (length > behaviour().max_buffer) return nullptr;
  void* const bytes = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return nullptr;
  auto* const buffer = make<Buffer>("StubBuffer");
  buffer->bytes = static_cast<std::byte*>(bytes), buffer->length = length, buffer->own = true;
  return buffer;
}
Object* view_bytes(Object&, void* bytes, u64 length, u64 options, Block* deallocator) {
  const auto at = reinterpret_cast<std::uintptr_t>(bytes);
  if (options != (kShared | kUntracked)) fault("a view that is not shared and untracked");
  if (deallocator) fault("a deallocator is not expected");
  if (at % kPage != 0 || length % kPage != 0 || length == 0)
    return fault("newBufferWithBytesNoCopy: an address or length is not of whole pages of 16 KiB"), nullptr;
  if (length > behaviour().max_buffer)
    return fault("newBufferWithBytesNoCopy: over maxBufferLength"), nullptr;
  if (!is_mapped(at, at + length)) return fault("newBufferWithBytesNoCopy: not all of it is mapped"), nullptr;
  auto* const buffer = make<Buffer>("StubBuffer");
  buffer->bytes = static_cast<std::byte*>(bytes), buffer->length = length;
  return buffer;
}
void* contents(Buffer& self) { return self.bytes; }
u64 set_purgeable(Buffer& self, u64 state) {
  if (!self.own) fault("setPurgeableState: of a view");
  if (state == kVolatile) std::memset(self.bytes, kGone, self.length);
  return std::exchange(self.purgeable, state);
}

Object* make_residency(Object&, Object* descriptor, Object** error) {
  if (!descriptor) return *error = problem("no descriptor"), nullptr;
  return make<ResidencySet>("StubResidencySet");
}
void add_allocation(ResidencySet& self, Object* buffer) {
  auto* const added = dynamic_cast<Buffer*>(buffer);
  if (!added) return fault("addAllocation: what is no buffer");
  if (!self.added.insert(added).second) return fault("addAllocation: twice");
  retain(added);
}
// The references go when the set is committed.
void remove_allocation(ResidencySet& self, Object* buffer) {
  auto* const removed = static_cast<Buffer*>(buffer);
  if (self.added.erase(removed) == 0) return fault("removeAllocation: what is not in the set");
  if (!self.committed.contains(removed)) release(removed);
}
void commit_residency(ResidencySet& self) {
  for (Buffer* buffer : self.committed)
    if (!self.added.contains(buffer)) release(buffer);
  self.committed = self.added;
}
void request_residency(ResidencySet& self) {
  if (self.requested) fault("requestResidency: twice");
  self.requested = true;
}
void end_residency(ResidencySet& self) {
  if (!self.requested) fault("endResidency: without a request");
  self.requested = false;
}

Object* new_options(Class&) { return make<CompileOptions>("MTLCompileOptions"); }
void set_language(CompileOptions& self, u64 version) { self.language = version; }
void set_math_mode(CompileOptions& self, std::int64_t mode) { self.safe_math = mode == 0; }
void set_fast_math(CompileOptions& self, bool fast) { self.safe_math = !fast; }

bool names(const std::string& text, const std::string& word) {
  const auto letter = [&](std::size_t at) {
    return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_');
  };
  for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at)
    if (!letter(at - 1) && !letter(at + word.size())) return true;
  return false;
}

Object* compile(Object&, Object* source, Object* options, Object** error) {
  constexpr u64 kLanguage2_3 = (2 << 16) + 3;  // the first with simdgroup matrices
  const auto& how = *static_cast<CompileOptions*>(options);
  const std::string& text = static_cast<Text*>(source)->text;
  if (!how.safe_math) fault("kernels compiled with fast mathematics");
  const auto refuse = [&](const std::string& why) { return *error = problem(why), nullptr; };
  if (how.language < kLanguage2_3)
    return refuse("program_source:1:1: error: this language version is too old");
  if (text.find("#include <metal_stdlib>") == std::string::npos || text.find("KERNEL(") == std::string::npos)
    return refuse("program_source:1:1: error: no kernel");
  if (const std::string& broken = behaviour().broken_kernel; !broken.empty() && names(text, broken))
    return refuse("program_source:7:5: error: planted in " + broken);
  auto* const library = make<Library>("StubLibrary");
  library->text = text;
  return library;
}
Object* find_function(Library& self, Object* name) {
  const std::string& wanted = static_cast<Text*>(name)->text;
  const emulator::EmulatedKernel* const found = emulator::find_kernel(wanted);
  if (!found || !names(self.text, wanted)) return nullptr;
  auto* const function = make<Kernel>("StubFunction");
  function->kernel = found;
  return function;
}
Object* make_pipeline(Object&, Object* function, Object**) {
  auto* const pipeline = make<Kernel>("StubPipeline");
  pipeline->kernel = static_cast<Kernel*>(function)->kernel;
  return pipeline;
}
u64 max_threads(Kernel& self) { return self.kernel->threads; }
u64 simd_width(Kernel&) { return emulator::kSimdWidth; }

void define_device() {
  Class& device = class_named("StubDevice");
  define<&device_name>(device, "name");
  define<&supports_family>(device, "supportsFamily:");
  define<&working_set>(device, "recommendedMaxWorkingSetSize");
  define<&max_buffer>(device, "maxBufferLength");
  define<&make_queue>(device, "newCommandQueue");
  define<&make_buffer>(device, "newBufferWithLength:options:");
  define<&view_bytes>(device, "newBufferWithBytesNoCopy:length:options:deallocator:");
  define<&compile>(device, "newLibraryWithSource:options:error:");
  define<&make_pipeline>(device, "newComputePipelineStateWithFunction:error:");
  Class& buffer = class_named("StubBuffer");
  define<&contents>(buffer, "contents");
  define<&set_purgeable>(buffer, "setPurgeableState:");
  Class& options = class_named("MTLCompileOptions");
  define<&new_options>(*options.meta, "new");
  define<&set_language>(options, "setLanguageVersion:");
  define<&set_fast_math>(options, "setFastMathEnabled:");
  define<&find_function>(class_named("StubLibrary"), "newFunctionWithName:");
  Class& pipeline = class_named("StubPipeline");
  define<&max_threads>(pipeline, "maxTotalThreadsPerThreadgroup");
  define<&simd_width>(pipeline, "threadExecutionWidth");
}

void define_residency() {
  class_named("MTLResidencySetDescriptor");
  Class& set = class_named("StubResidencySet");
  define<&add_allocation>(set, "addAllocation:");
  define<&remove_allocation>(set, "removeAllocation:");
  define<&commit_residency>(set, "commit");
  define<&request_residency>(set, "requestResidency");
  define<&end_residency>(set, "endResidency");
}

// What is newer than macOS 14 comes and goes with Behaviour::macos.
void define_news() {
  Class &device = class_named("StubDevice"), &options = class_named("MTLCompileOptions");
  if (behaviour().macos >= 15) {
    define<&make_residency>(device, "newResidencySetWithDescriptor:error:");
    define<&set_math_mode>(options, "setMathMode:");
  } else {
    device.methods.erase(name_of("newResidencySetWithDescriptor:error:"));
    options.methods.erase(name_of("setMathMode:"));
  }
}

}  // namespace

void Buffer::end() {
  if (own) ::munmap(bytes, length);
  bytes = nullptr;
}

void ResidencySet::end() {
  std::set<Buffer*> held = added;
  held.insert(committed.begin(), committed.end());
  for (Buffer* buffer : held) release(buffer);
}

void define_metal() {
  define_device();
  define_residency();
  define_commands();
}

}  // namespace medlar::metal_stub

extern "C" medlar::metal_stub::Object* objc_getClass(const char* name);
extern "C" medlar::metal_stub::Object* MTLCreateSystemDefaultDevice() {
  using namespace medlar::metal_stub;
  objc_getClass("NSObject");  // defines everything
  define_news();
  return make<Object>("StubDevice");
}
