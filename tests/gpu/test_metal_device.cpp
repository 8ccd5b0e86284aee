// An Apple GPU as a device, over a stand-in for macOS: whole models against the scalar references, and that
// the stand-in catches what a host may do wrong.
#include <cstdlib>
#include <cstring>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/page_memory.h"
#include "kernels/gpu/params.h"
#include "runtime/gpu/backend.h"
#include "runtime/gpu/weights.h"
#include "runtime/metal/backend.h"
#include "runtime/metal/buffer.h"
#include "runtime/metal/compiler.h"
#include "runtime/metal/device.h"
#include "runtime/metal/queue.h"
#include "runtime/metal/residency.h"
#include "tests/gpu/metal_runtime_stub/stub.h"
#include "tests/gpu/tiny_steps.h"

namespace medlar::runtime {
namespace {

using ::testing::Contains;
using ::testing::Each;
using testing::expect_same;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Tiny;

constexpr std::uint32_t kThreads = 256;  // of `binary`
constexpr std::size_t kFloats = 64;

template <class Action>
Error error_of(Action action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  return {ErrorKind::usage, "no error"};
}

// Every test leaves no object behind, and no fault that it did not take.
struct Metal : ::testing::Test {
  ~Metal() override {
    metal_stub::behaviour() = {};
    EXPECT_THAT(metal_stub::take_faults(), IsEmpty());
    EXPECT_EQ(metal_stub::live_objects(), live);
  }
  const std::size_t live = metal_stub::live_objects();
};

struct MetalPrograms : Metal, ::testing::WithParamInterface<int> {};

// On systems with residency sets and without.
TEST_P(MetalPrograms, AgreeWithTheReferences) {
  metal_stub::behaviour().macos = GetParam();
  for (const char* architecture : {"llama", "gemma3"}) {
    const Tiny tiny({.architecture = architecture});
    const auto backend = gpu::make_backend(make_metal_device(), {.keys_per_split = 16, .max_splits = 5});
    EXPECT_EQ(backend->name(), "Stub M1");
    for (bool fuse : {false, true})
      expect_same(testing::run(*backend, tiny.model.graph, testing::options(true, fuse)), tiny.expected,
                  1e-5);
    expect_same(testing::run(*backend, tiny.model.graph, testing::options(false, true)), tiny.expected, 1e-2);
  }
}
INSTANTIATE_TEST_SUITE_P(MacOS, MetalPrograms, ::testing::Values(14, 15));

std::vector<float> logits(Program& program, const testing::Batch& batch) {
  program.run(batch.step());
  return {program.logits().begin(), program.logits().end()};
}

// Views of a file overlap by the pages around their borders.
TEST_F(Metal, FilesLargerThanABufferAreSeveralViews) {
  const Tiny tiny({.architecture = "llama", .layers = 6});
  std::int64_t largest = 0;
  for (const ir::NamedTensor& w : tiny.model.graph.weights())
    largest = std::max(largest, std::ssize(w.tensor.bytes));
  metal_stub::behaviour().max_buffer = (static_cast<std::uint64_t>(largest) / 16384 + 4) * 16384;
  ASSERT_GT(tiny.model.graph.weight_bytes(), 3 * largest);
  const auto device = make_metal_device();
  EXPECT_LT(device->largest_import(), tiny.model.graph.weight_bytes());
  runtime::ProgramOptions how = testing::options(true, true);
  how.guard = false, how.kv_pages = {6};
  const std::size_t before = metal_stub::live_objects();
  gpu::Imports imports;
  const gpu::Weights weights(*device, imports, tiny.model.graph);
  EXPECT_GT(metal_stub::live_objects(), before + 3);
  for (int i = 0; i < std::ssize(tiny.model.graph.weights()); ++i) {
    const gpu::Binding at = weights.weight(i);
    const auto bytes = tiny.model.graph.weights()[static_cast<std::size_t>(i)].tensor.bytes;
    ASSERT_LE(at.offset + bytes.size(), at.buffer->size());
    std::vector<std::byte> got(bytes.size());
    device->read(*at.buffer, at.offset, got);
    EXPECT_TRUE(std::ranges::equal(got, bytes)) << i;
  }
  metal_stub::behaviour().max_buffer = 3 * 16384;
  gpu::Imports others;
  const Error error = error_of([&] { gpu::Weights(*device, others, tiny.model.graph); });
  EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
}

// What the GPU's own clock says of each kernel, whose dispatches then run one at a time.
TEST_F(Metal, TellsTimes) {
  const Tiny tiny({});
  const auto backend = make_metal_backend();
  const auto program = backend->lower(tiny.model.graph, testing::options(true, true));
  const std::vector<testing::Batch> all = testing::batches();
  const std::vector<float> first = logits(*program, all[0]);
  std::vector<CallInfo> calls = program->calls();
  int steps = 0;
  program->observe([&](const kernels::Step& step, std::span<const std::chrono::nanoseconds> ends) {
    EXPECT_EQ(step.tokens, std::ssize(all[0].tokens));
    ASSERT_EQ(ends.size(), calls.size());
    EXPECT_TRUE(std::ranges::is_sorted(ends));
    std::chrono::nanoseconds before{0};
    for (std::size_t i = 0; i < calls.size(); before = ends[i++])
      if (calls[i].kernel == "attention_f32_f32") {
        EXPECT_GT(ends[i], before);
      }
    ++steps;
  });
  EXPECT_EQ(logits(*program, all[0]), first);
  program->observe(nullptr);
  EXPECT_EQ(logits(*program, all[0]), first);
  EXPECT_EQ(steps, 1);
}

// Between answers the arena may be taken by the system, and nothing is kept resident.
TEST_F(Metal, RestsBetweenAnswers) {
  const Tiny tiny({});
  const auto backend = make_metal_backend();
  const auto program = backend->lower(tiny.model.graph, testing::options(true, true));
  const std::vector<testing::Batch> all = testing::batches();
  const std::vector<float> first = logits(*program, all[0]);
  const std::vector<float> second = logits(*program, all[1]);
  program->rest();
  program->rest();
  EXPECT_EQ(logits(*program, all[1]), second);
  program->rest();
  EXPECT_EQ(logits(*program, all[0]), first);
}

TEST_F(Metal, RefusesOtherGpus) {
  metal_stub::behaviour().apple_gpu = false;
  const Error error = error_of([] { make_metal_device(); });
  EXPECT_EQ(error.kind(), ErrorKind::device);
  EXPECT_THAT(error.what(), HasSubstr("Stub of another maker"));
  EXPECT_FALSE(error.hint().empty());
}

TEST_F(Metal, NamesTheKernelThatDoesNotCompile) {
  const Tiny tiny({});
  metal_stub::behaviour().broken_kernel = "linear_vec_f32_1";
  const Error error =
      error_of([&] { make_metal_backend()->lower(tiny.model.graph, testing::options(true, true)); });
  EXPECT_EQ(error.kind(), ErrorKind::device);
  EXPECT_THAT(error.what(),
              HasSubstr("the kernel linear_vec_f32_1 does not compile: program_source:7:5: error: "
                        "planted in linear_vec_f32_1"));
}

TEST_F(Metal, TellsWhyCommandsFail) {
  const Tiny tiny({});
  const auto backend = make_metal_backend();
  const auto program = backend->lower(tiny.model.graph, testing::options(true, true));
  const testing::Batch batch = testing::batches()[0];
  const std::vector<float> good = logits(*program, batch);
  for (const auto& [code, kind] : {std::pair{2, ErrorKind::device}, {8, ErrorKind::out_of_memory}}) {
    metal_stub::behaviour().failure = "Caused GPU Hang Error", metal_stub::behaviour().failure_code = code;
    const Error error = error_of([&] { program->run(batch.step()); });
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), HasSubstr("Caused GPU Hang Error"));
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_EQ(logits(*program, batch), good);  // the device goes on
}

TEST_F(Metal, RefusesWhatDoesNotFit) {
  const Tiny tiny({});
  metal_stub::behaviour().working_set = (std::uint64_t{256} << 20) + 1000;
  const auto backend = make_metal_backend();
  EXPECT_EQ(backend->memory().available, 1000);
  Error error = error_of([&] { backend->lower(tiny.model.graph, testing::options(true, true)); });
  EXPECT_EQ(error.kind(), ErrorKind::out_of_memory) << error.what();
  EXPECT_THAT(error.hint(), HasSubstr("--ctx"));
  metal_stub::behaviour().max_buffer = 64 << 10;
  error = error_of([] { make_metal_device()->allocate(100 << 10); });
  EXPECT_EQ(error.kind(), ErrorKind::out_of_memory) << error.what();
}

// --- what the stand-in catches

// y = (a + b) * a in two dispatches, as a device's list.
struct Chain {
  std::unique_ptr<gpu::Device> device = make_metal_device();
  std::unique_ptr<gpu::Buffer> step = device->allocate(256), a = device->allocate(kFloats * 4),
                               sum = device->allocate(kFloats * 4), y = device->allocate(kFloats * 4);

  Chain() {
    std::vector<float> values(kFloats);
    std::iota(values.begin(), values.end(), 1.f);
    device->write(*a, 0, std::as_bytes(std::span(values)));
  }
  std::unique_ptr<gpu::CommandList> list(bool barrier, std::uint32_t threads = kThreads) const {
    return device->record(
        {dispatch(medlar::gpu::kBinaryAdd, {a.get(), a.get(), sum.get()}, true, threads),
         dispatch(medlar::gpu::kBinaryMul, {sum.get(), a.get(), y.get()}, barrier, threads)});
  }
  // Whether y is right. Before that it holds nothing.
  bool right(gpu::CommandList& commands) const {
    const std::vector<float> nothing(kFloats, -1.f);
    for (gpu::Buffer* buffer : {sum.get(), y.get()})
      device->write(*buffer, 0, std::as_bytes(std::span(nothing)));
    device->submit(commands);
    std::vector<float> got(kFloats);
    device->read(*y, 0, std::as_writable_bytes(std::span(got)));
    for (std::size_t i = 0; i < kFloats; ++i)
      if (const auto v = static_cast<float>(i + 1); got[i] != 2 * v * v) return false;
    return true;
  }

 private:
  gpu::Dispatch dispatch(std::uint32_t op, std::vector<gpu::Buffer*> buffers, bool barrier,
                         std::uint32_t threads) const {
    const medlar::gpu::BinaryParams params{medlar::gpu::kRowsOne, kFloats, op, 0};
    gpu::Dispatch d{.pipeline = device->pipeline(*medlar::gpu::find_kernel("binary")),
                    .params = std::vector<std::byte>(sizeof params),
                    .buffers = {{step.get()}},
                    .grid = {},
                    .threads = threads,
                    .barrier = barrier};
    std::memcpy(d.params.data(), &params, sizeof params);
    for (gpu::Buffer* buffer : buffers) d.buffers.push_back({buffer});
    return d;
  }
};

TEST_F(Metal, MissingBarriersGiveWrongResults) {
  constexpr int kRuns = 16;
  const Chain chain;
  const auto good = chain.list(true), bad = chain.list(false);
  int wrong = 0;
  for (int i = 0; i < kRuns; ++i) {
    EXPECT_TRUE(chain.right(*good));
    wrong += !chain.right(*bad);
  }
  EXPECT_GT(wrong, 0);
  EXPECT_LT(wrong, kRuns);  // a race, not a certainty
}

TEST_F(Metal, WrongThreadgroupsAreFaults) {
  const Chain chain;
  chain.right(*chain.list(true, kThreads / 2));
  EXPECT_THAT(metal_stub::take_faults(), Each("binary: a threadgroup of 128 threads, not of 256"));
}

// The parts of a device, to do wrong what it does right.
struct Parts {
  const metal::System system;
  metal::Queue queue{system};
  metal::Residency residency{system, queue.handle()};
  const metal::Buffer::Place place{system, residency, queue};
  metal::Pipelines pipelines{system};
  const metal::Pool pool{system.objc};
  const std::unique_ptr<metal::Buffer> step = std::make_unique<metal::Buffer>(place, 256);
  std::unique_ptr<metal::Buffer> a = std::make_unique<metal::Buffer>(place, kFloats * 4);

  // a += a
  metal::Call twice() {
    const medlar::gpu::KernelInfo* const binary = medlar::gpu::find_kernel("binary");
    pipelines.prepare({&binary, 1});
    const medlar::gpu::BinaryParams params{medlar::gpu::kRowsOne, kFloats, medlar::gpu::kBinaryAdd, 0};
    metal::Call call{.pipeline = pipelines[0],
                     .params = std::vector<std::byte>(sizeof params),
                     .arguments = {{step->handle(), 0}, {a->handle(), 0}, {a->handle(), 0}, {a->handle(), 0}},
                     .grid = {},
                     .group = {.width = kThreads}};
    std::memcpy(call.params.data(), &params, sizeof params);
    return call;
  }
  void run(const metal::Call& call) {
    queue.commit({&call, 1});
    queue.wait();
  }
};

TEST_F(Metal, NothingHappensBeforeSomebodyWaits) {
  Parts parts;
  const metal::Call call = parts.twice();
  auto* const values = reinterpret_cast<float*>(parts.a->data());
  values[0] = 1;
  parts.residency.begin();
  parts.queue.commit({&call, 1});
  EXPECT_EQ(values[0], 1);
  parts.queue.wait();
  EXPECT_EQ(values[0], 2);
  EXPECT_GT(parts.queue.time().count(), 0);
}

TEST_F(Metal, BuffersOutsideResidencySetsAreFaults) {
  Parts parts;
  const metal::Call call = parts.twice();
  parts.residency.begin();
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), IsEmpty());
  parts.residency.remove(parts.a->handle());
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), Contains("binary uses a buffer that is in no residency set"));
  parts.residency.add(parts.a->handle());  // and not committed
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), Contains("binary uses a buffer that is in no residency set"));
  parts.residency.begin();
  parts.residency.end();
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(),
              Contains("binary runs while its buffers' residency is not requested"));
}

TEST_F(Metal, VolatileBuffersAreFaultsAndLoseTheirContents) {
  Parts parts;
  const metal::Call call = parts.twice();
  std::memset(parts.a->data(), 1, parts.a->size());
  parts.a->sleep();
  EXPECT_NE(parts.a->data()[0], std::byte{1});
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), Contains("binary uses a buffer that is volatile"));
}

TEST_F(Metal, ReleasedBuffersAreFaults) {
  Parts parts;
  const metal::Call call = parts.twice();
  parts.a.reset();
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), Each("binary uses a buffer that was released"));
}

TEST_F(Metal, ViewsOfPartsOfPagesAreFaults) {
  Parts parts;
  const PageMemory memory(5 * 16384);
  const auto view = [&](std::size_t offset, std::size_t bytes) {
    const metal::Owned made(parts.system.objc,
                            parts.system.call.view_bytes(parts.system.device.get(), memory.data() + offset,
                                                         bytes, metal::kSharedUntracked, nullptr));
    return static_cast<bool>(made);
  };
  EXPECT_TRUE(view(0, 4 * 16384));
  EXPECT_THAT(metal_stub::take_faults(), IsEmpty());
  EXPECT_FALSE(view(4096, 16384));
  EXPECT_FALSE(view(0, 4096));
  EXPECT_FALSE(view(16384, 1 << 30));
  EXPECT_THAT(metal_stub::take_faults(), ::testing::SizeIs(3));
}

TEST_F(Metal, LongParametersAreFaults) {
  Parts parts;
  metal::Call call = parts.twice();
  parts.residency.begin();
  call.params.resize(metal::kMaxParameterBytes);
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), IsEmpty());
  call.params.resize(metal::kMaxParameterBytes + 1);
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(), Contains("setBytes: no bytes, or more than 4 KiB"));
}

TEST_F(Metal, ArgumentsThatAreNotSetAreFaults) {
  Parts parts;
  metal::Call call = parts.twice();
  parts.residency.begin();
  call.arguments.pop_back();
  parts.run(call);
  call.arguments.push_back({parts.a->handle(), parts.a->size()});
  parts.run(call);
  EXPECT_THAT(metal_stub::take_faults(),
              ::testing::ElementsAre("binary: not all of its arguments are set", HasSubstr("past the end"),
                                     "binary: not all of its arguments are set"));
}

// Commands that nobody waited for may run in any order, as hazards between them are not tracked.
TEST_F(Metal, CommandsThatAreNotWaitedForRunInAnyOrder) {
  Parts parts;
  const metal::Call twice = parts.twice();
  metal::Call square = twice;
  auto* const params = reinterpret_cast<medlar::gpu::BinaryParams*>(square.params.data());
  params->op = medlar::gpu::kBinaryMul;
  parts.residency.begin();
  auto* const value = reinterpret_cast<float*>(parts.a->data());
  const metal::Methods& call = parts.system.call;
  std::vector<float> results;
  for (int i = 0; i < 16; ++i) {
    *value = 3;
    for (const metal::Call& c : {twice, square}) {
      const metal::Id commands = call.command_buffer(parts.queue.handle());
      const metal::Id encoder = call.compute_encoder(commands, metal::kConcurrent);
      call.set_pipeline(encoder, c.pipeline);
      call.set_bytes(encoder, c.params.data(), c.params.size(), 0);
      for (std::size_t k = 0; k < c.arguments.size(); ++k)
        call.set_buffer(encoder, c.arguments[k].buffer, 0, k + 1);
      call.dispatch(encoder, c.grid, c.group);
      call.end_encoding(encoder);
      call.commit(commands);
    }
    parts.run(twice);
    results.push_back(*value);
  }
  EXPECT_THAT(results, Contains(Not(results.front())));
}

// At the end of a process.
TEST_F(Metal, LeaksEndTheProcess) {
  const auto leave = [](bool leak) {
    {
      const metal::System system;
      const metal::Pool pool(system.objc);
      const metal::Id queue = system.call.make_queue(system.device.get());
      if (!leak) system.objc.release(queue);
    }
    std::exit(0);
  };
  EXPECT_EXIT(leave(false), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(leave(true), ::testing::ExitedWithCode(86), "StubCommandQueue: 1 never released");
}

}  // namespace
}  // namespace medlar::runtime
