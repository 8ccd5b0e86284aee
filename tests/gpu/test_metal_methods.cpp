// The table of Metal's methods: its encodings, and that a row which is not as the system has it is refused.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/metal/device.h"
#include "runtime/metal/system.h"
#include "tests/gpu/metal_runtime_stub/stub.h"

namespace medlar::runtime::metal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// As compilers of Objective-C write them.
TEST(MetalEncoding, ComparesWhatDecidesACall) {
  EXPECT_EQ(comparable("@32@0:8Q16Q24"), "@@:QQ");             // newBufferWithLength:options:
  EXPECT_EQ(comparable("@48@0:8^v16Q24Q32@?40"), "@@:^vQQ@");  // a block is an object
  EXPECT_EQ(comparable("Vv16@0:8"), "v@:");                    // oneway void
  EXPECT_EQ(comparable("v40@0:8r^v16Q24Q32"), "v@:^vQQ");      // const void*
  EXPECT_EQ(comparable("v64@0:8{?=QQQ}16{?=QQQ}40"), "v@:{?=QQQ}{?=QQQ}");
  EXPECT_EQ(comparable("v64@0:8{MTLSize=QQQ}16{MTLSize=QQQ}40"), "v@:{?=QQQ}{?=QQQ}");
  EXPECT_EQ(comparable("@24@0:8@\"NSString\"16"), "@@:@");
  EXPECT_EQ(comparable("c24@0:8q16"), "B@:Q");             // BOOL on Intel
  EXPECT_EQ(comparable("@40@0:8@16@24o^@32"), "@@:@@^@");  // out NSError**
}

TEST(MetalEncoding, IsThatOfTheSignature) {
  EXPECT_EQ(Encoding<Id(void*, std::uint64_t, std::uint64_t, Id)>::of(), "@@:^vQQ@");
  EXPECT_EQ(Encoding<void(Size, Size)>::of(), "v@:{?=QQQ}{?=QQQ}");
  EXPECT_EQ(Encoding<bool(std::int64_t)>::of(), "B@:q");
  EXPECT_EQ(Encoding<const char*()>::of(), "*@:");
  EXPECT_EQ(Encoding<double()>::of(), "d@:");
}

struct MetalMethods : ::testing::Test {
  ~MetalMethods() override {
    metal_stub::behaviour() = {};
    EXPECT_THAT(metal_stub::take_faults(), IsEmpty());
  }
};

// The stub's class for a row's, which on a Mac is a protocol of private classes.
std::string class_of(std::string owner) {
  if (owner == "MTLResource") return "StubBuffer";
  if (owner == "MTLComputePipelineState") return "StubPipeline";
  if (owner == "MTLComputeCommandEncoder") return "StubEncoder";
  if (owner.starts_with("MTL") && owner != "MTLCompileOptions") owner.replace(0, 3, "Stub");
  return owner;
}

TEST_F(MetalMethods, EveryRowIsAsTheSystemHasIt) {
  const System system;
  const auto check = [&](char sign, const char* owner, const char* selector, const std::string& expected) {
    const Id found = system.objc.find_class(class_of(owner).c_str());
    ASSERT_TRUE(found) << owner;
    const Id holder = sign == '+' ? system.objc.class_of(found) : found;
    const Implementation method = system.objc.method_of(holder, system.objc.selector(selector));
    ASSERT_TRUE(method) << owner << " " << selector;
    EXPECT_EQ(comparable(system.objc.types_of(method)), comparable(expected)) << owner << " " << selector;
  };
#define CHECK_ROW(member, sign, owner, selector, ...) \
  check(#sign[0], #owner, selector, Encoding<__VA_ARGS__>::of());
  MEDLAR_METAL_METHODS(CHECK_ROW)
#undef CHECK_ROW
}

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_FALSE(e.hint().empty());
    return e.what();
  }
  return "no error";
}

TEST_F(MetalMethods, ARowOfOtherTypesIsNamed) {
  const System system;
  const Pool pool(system.objc);
  const Method<Id(std::uint64_t)> planted(system.objc, "-[MTLDevice newCommandQueue]", "newCommandQueue");
  EXPECT_EQ(error_of([&] { planted(system.device.get(), 1); }),
            "-[MTLDevice newCommandQueue] of this system's Metal takes @@:, not @@:Q");
}

TEST_F(MetalMethods, AMissingMethodIsNamed) {
  const System system;
  const Pool pool(system.objc);
  const Method<Id()> planted(system.objc, "-[MTLDevice newTimeMachine]", "newTimeMachine");
  EXPECT_FALSE(planted.exists(system.device.get()));
  EXPECT_THAT(error_of([&] { planted(system.device.get()); }), HasSubstr("-[MTLDevice newTimeMachine]"));
}

// A later system that takes something else.
TEST_F(MetalMethods, ASystemOfOtherTypesIsRefused) {
  metal_stub::behaviour().types = {{"supportsFamily:", "B20@0:8i16"}};
  EXPECT_EQ(error_of([] { make_metal_device(); }),
            "-[MTLDevice supportsFamily:] of this system's Metal takes B@:i, not B@:Q");
}

TEST_F(MetalMethods, AnUnknownSelectorIsAFault) {
  const System system;
  {
    const Pool pool(system.objc);
    reinterpret_cast<void (*)(Id, Selector)>(system.objc.send)(system.device.get(),
                                                               system.objc.selector("frobnicate"));
  }
  EXPECT_THAT(metal_stub::take_faults(), ElementsAre("-[StubDevice frobnicate]: unrecognized selector"));
}

TEST_F(MetalMethods, WithoutAPoolIsAFault) {
  const System system;
  system.objc.release(system.string("text"));
  EXPECT_THAT(metal_stub::take_faults(), ElementsAre(HasSubstr("a message without an autorelease pool"),
                                                     "NSString autoreleased without a pool"));
}

TEST_F(MetalMethods, TooManyReleasesAreAFault) {
  const System system;
  const Pool pool(system.objc);
  const Id queue = system.call.make_queue(system.device.get());
  system.objc.release(queue);
  system.objc.release(queue);
  EXPECT_THAT(metal_stub::take_faults(), ElementsAre("StubCommandQueue released too often"));
  system.call.command_buffer(queue);
  EXPECT_THAT(metal_stub::take_faults(),
              ElementsAre(HasSubstr("the receiver's last reference was released")));
}

TEST_F(MetalMethods, OwnersReleaseWhatTheyHold) {
  const std::size_t before = metal_stub::live_objects();
  {
    const System system;
    const Pool pool(system.objc);
    Owned queue(system.objc, system.call.make_queue(system.device.get()));
    EXPECT_EQ(metal_stub::live_objects(), before + 2);
    queue = Owned();
    system.string("text");
    EXPECT_EQ(metal_stub::live_objects(), before + 2);  // the pool's
  }
  EXPECT_EQ(metal_stub::live_objects(), before);
}

}  // namespace
}  // namespace medlar::runtime::metal
