// Every method of Foundation and Metal that is called, as one table: a row has its class, selector and
// signature, and is checked against the running system's own when it is first called. Names and types are
// those of Apple's "Metal" and "Foundation" references; numbers are those of their headers' enumerations.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/metal/encoding.h"
#include "runtime/metal/objc.h"

namespace medlar::runtime::metal {

// Whether the object takes the message, by a method or by forwarding it.
bool responds(const ObjectiveC& objc, Id object, Selector selector);
// Throws Error(device) naming the row where `object` has no such method, or one that is called differently.
void check_method(const ObjectiveC& objc, Id object, Selector selector, const char* row,
                  const std::string& expected);

template <class Signature>
class Method;

template <class Result, class... Args>
class Method<Result(Args...)> {
 public:
  Method(const ObjectiveC& objc, const char* row, const char* selector)
      : objc_(objc), row_(row), selector_(objc.selector(selector)) {}

  // Sends the message. A class is the object of its own methods. `object` is not null.
  Result operator()(Id object, Args... args) const {
    if (!checked_.load(std::memory_order_relaxed)) {
      check_method(objc_, object, selector_, row_, Encoding<Result(Args...)>::of());
      checked_ = true;
    }
    return reinterpret_cast<Result (*)(Id, Selector, Args...)>(objc_.send)(object, selector_, args...);
  }
  // Newer methods are not in older systems.
  bool exists(Id object) const { return responds(objc_, object, selector_); }

 private:
  const ObjectiveC& objc_;
  const char* const row_;
  const Selector selector_;
  mutable std::atomic<bool> checked_ = false;
};

// F(member, + of a class or - of an object, class or protocol, selector, signature)
#define MEDLAR_METAL_METHODS(F)                                                                             \
  F(make, +, NSObject, "new", Id())                                                                         \
  F(string, +, NSString, "stringWithUTF8String:", Id(const char*))                                          \
  F(utf8, -, NSString, "UTF8String", const char*())                                                         \
  F(description, -, NSError, "localizedDescription", Id())                                                  \
  F(code, -, NSError, "code", std::int64_t())                                                               \
  F(device_name, -, MTLDevice, "name", Id())                                                                \
  F(supports_family, -, MTLDevice, "supportsFamily:", bool(std::int64_t))                                   \
  F(working_set, -, MTLDevice, "recommendedMaxWorkingSetSize", std::uint64_t())                             \
  F(max_buffer, -, MTLDevice, "maxBufferLength", std::uint64_t())                                           \
  F(make_queue, -, MTLDevice, "newCommandQueue", Id())                                                      \
  F(make_buffer, -, MTLDevice, "newBufferWithLength:options:", Id(std::uint64_t, std::uint64_t))            \
  F(view_bytes, -, MTLDevice,                                                                               \
    "newBufferWithBytesNoCopy:length:options:deallocator:", Id(void*, std::uint64_t, std::uint64_t, Id))    \
  F(compile, -, MTLDevice, "newLibraryWithSource:options:error:", Id(Id, Id, Id*))                          \
  F(make_pipeline, -, MTLDevice, "newComputePipelineStateWithFunction:error:", Id(Id, Id*))                 \
  F(make_residency, -, MTLDevice, "newResidencySetWithDescriptor:error:", Id(Id, Id*))                      \
  F(set_language, -, MTLCompileOptions, "setLanguageVersion:", void(std::uint64_t))                         \
  F(set_math_mode, -, MTLCompileOptions, "setMathMode:", void(std::int64_t))                                \
  F(set_fast_math, -, MTLCompileOptions, "setFastMathEnabled:", void(bool))                                 \
  F(find_function, -, MTLLibrary, "newFunctionWithName:", Id(Id))                                           \
  F(max_threads, -, MTLComputePipelineState, "maxTotalThreadsPerThreadgroup", std::uint64_t())              \
  F(simd_width, -, MTLComputePipelineState, "threadExecutionWidth", std::uint64_t())                        \
  F(contents, -, MTLBuffer, "contents", void*())                                                            \
  F(set_purgeable, -, MTLResource, "setPurgeableState:", std::uint64_t(std::uint64_t))                      \
  F(add_allocation, -, MTLResidencySet, "addAllocation:", void(Id))                                         \
  F(remove_allocation, -, MTLResidencySet, "removeAllocation:", void(Id))                                   \
  F(commit_residency, -, MTLResidencySet, "commit", void())                                                 \
  F(request_residency, -, MTLResidencySet, "requestResidency", void())                                      \
  F(end_residency, -, MTLResidencySet, "endResidency", void())                                              \
  F(add_residency, -, MTLCommandQueue, "addResidencySet:", void(Id))                                        \
  F(remove_residency, -, MTLCommandQueue, "removeResidencySet:", void(Id))                                  \
  F(command_buffer, -, MTLCommandQueue, "commandBufferWithUnretainedReferences", Id())                      \
  F(compute_encoder, -, MTLCommandBuffer, "computeCommandEncoderWithDispatchType:", Id(std::uint64_t))      \
  F(commit, -, MTLCommandBuffer, "commit", void())                                                          \
  F(wait, -, MTLCommandBuffer, "waitUntilCompleted", void())                                                \
  F(status, -, MTLCommandBuffer, "status", std::uint64_t())                                                 \
  F(error, -, MTLCommandBuffer, "error", Id())                                                              \
  F(start_time, -, MTLCommandBuffer, "GPUStartTime", double())                                              \
  F(end_time, -, MTLCommandBuffer, "GPUEndTime", double())                                                  \
  F(set_pipeline, -, MTLComputeCommandEncoder, "setComputePipelineState:", void(Id))                        \
  F(set_buffer, -, MTLComputeCommandEncoder,                                                                \
    "setBuffer:offset:atIndex:", void(Id, std::uint64_t, std::uint64_t))                                    \
  F(set_bytes, -, MTLComputeCommandEncoder,                                                                 \
    "setBytes:length:atIndex:", void(const void*, std::uint64_t, std::uint64_t))                            \
  F(barrier, -, MTLComputeCommandEncoder, "memoryBarrierWithScope:", void(std::uint64_t))                   \
  F(dispatch, -, MTLComputeCommandEncoder, "dispatchThreadgroups:threadsPerThreadgroup:", void(Size, Size)) \
  F(end_encoding, -, MTLComputeCommandEncoder, "endEncoding", void())

struct Methods {
  explicit Methods(const ObjectiveC& objc_functions);

  const ObjectiveC& objc;
#define MEDLAR_MEMBER(member, sign, owner, selector, ...) Method<__VA_ARGS__> member;
  MEDLAR_METAL_METHODS(MEDLAR_MEMBER)
#undef MEDLAR_MEMBER
};

inline constexpr std::int64_t kFamilyApple7 =
    1007;  // MTLGPUFamily: the M1's, the first with simdgroup matrices
inline constexpr std::uint64_t kLanguage3_0 = 3 << 16;  // MTLLanguageVersion, of macOS 13
inline constexpr std::int64_t kMathSafe = 0;            // MTLMathMode
inline constexpr std::uint64_t kSharedUntracked =
    256;  // MTLResourceOptions: storage shared, hazards untracked
inline constexpr std::uint64_t kNonVolatile = 2, kVolatile = 3;  // MTLPurgeableState
inline constexpr std::uint64_t kConcurrent = 1;                  // MTLDispatchType
inline constexpr std::uint64_t kBuffers = 1;                     // MTLBarrierScope
inline constexpr std::uint64_t kCompleted = 4;                   // MTLCommandBufferStatus
inline constexpr std::int64_t kErrorOutOfMemory = 8;             // MTLCommandBufferError
inline constexpr std::size_t kMaxParameterBytes = 4096;          // of setBytes:length:atIndex:

}  // namespace medlar::runtime::metal
