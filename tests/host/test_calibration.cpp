// What is measured of this machine and what is learned from predictions: kept, found again, and robust to
// files that are damaged. Nothing here depends on time.
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "host/calibration.h"
#include "host/speed_log.h"
#include "tests/support/tiny_model.h"

namespace medlar::host {
namespace {

using testing::TemporaryFolder;

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(Calibration, IsKeptByMachine) {
  const TemporaryFolder folder;
  EXPECT_FALSE(load_calibration(folder.path(), "a"));
  save_calibration(folder.path() / "new", "a",
                   {.read = 1e10, .attend = 4e9, .products = 1e12, .floats = 5e11, .tiles = true});
  save_calibration(folder.path() / "new", "b",
                   {.read = 2e10, .attend = 4e9, .products = 2e12, .floats = 1e12});
  const auto a = load_calibration(folder.path() / "new", "a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->read, 1e10);
  EXPECT_EQ(a->attend, 4e9);
  EXPECT_EQ(a->floats, 5e11);
  EXPECT_TRUE(a->tiles);
  EXPECT_FALSE(load_calibration(folder.path() / "new", "c"));
  EXPECT_EQ(load_calibration(folder.path() / "new", "b")->products, 2e12);
}

TEST(Calibration, DamagedFilesAreAsGoodAsNone) {
  const TemporaryFolder folder;
  for (const char* text : {"", "{", "[]", "null", "{\"a\":1}", "{\"a\":{}}", "{\"a\":{\"read\":\"fast\"}}",
                           "{\"a\":{\"read\":-1,\"attend\":1,\"products\":1,\"floats\":1}}",
                           "{\"a\":{\"read\":1,\"products\":1,\"floats\":1}}",
                           "{\"a\":{\"read\":1e999,\"attend\":1,\"products\":1,\"floats\":1}}"}) {
    write(folder / "calibration.json", text);
    EXPECT_FALSE(load_calibration(folder.path(), "a")) << text;
  }
  save_calibration(folder.path(), "a", {.read = 1, .attend = 1, .products = 1, .floats = 1});
  EXPECT_TRUE(load_calibration(folder.path(), "a"));
}

TEST(Calibration, MeasuresSomething) {
  double last = 0;
  const Calibration c = calibrate({.threads = 1, .seconds = 0, .progress = [&](double share) {
                                     EXPECT_GE(share, last);
                                     last = share;
                                   }});
#if defined(__SANITIZE_THREAD__)
  constexpr double kSlower = 100;
#else
  constexpr double kSlower = 1;
#endif
  EXPECT_GT(c.read, 1e8 / kSlower);
  EXPECT_GT(c.attend, 1e7 / kSlower);
  EXPECT_GT(c.products, 1e8 / kSlower);
  EXPECT_GT(c.floats, 1e8 / kSlower);
  EXPECT_NEAR(last, 1, 1e-9);
  EXPECT_FALSE(c.thorough);
  const Rates r = rates_of(c);
  EXPECT_EQ(r.read, c.read);
  EXPECT_EQ(r.attend, c.attend);
  EXPECT_LT(r.products, c.products);
}

TEST(Calibration, AnotherMachineIsAnother) {
  HostInfo host{.cpu = "CPU", .memory_bytes = 16'000'000'000};
  const std::string one = machine_identity(host, 4);
  EXPECT_NE(machine_identity(host, 8), one);
  host.memory_bytes *= 2;
  EXPECT_NE(machine_identity(host, 4), one);
  host.cpu = "other";
  host.memory_bytes /= 2;
  EXPECT_NE(machine_identity(host, 4), one);
}

void log(const TemporaryFolder& folder, double predicted, double measured, SpeedOf of = SpeedOf::decode) {
  log_speed(folder.path(),
            {.machine = "here", .model = "m", .of = of, .predicted = predicted, .measured = measured});
}

TEST(SpeedLog, CorrectsByTheMedianOnceThereIsEnough) {
  const TemporaryFolder folder;
  EXPECT_EQ(correction(folder.path(), "here").decode, 1);
  log(folder, 10, 5), log(folder, 10, 6);
  EXPECT_EQ(correction(folder.path(), "here").decode, 1);
  log(folder, 10, 100);
  EXPECT_DOUBLE_EQ(correction(folder.path(), "here").decode, 0.6);
  EXPECT_EQ(correction(folder.path(), "here").prompt, 1);
  EXPECT_EQ(correction(folder.path(), "elsewhere").decode, 1);
}

TEST(SpeedLog, IsBoundedAndFollowsTheLatest) {
  const TemporaryFolder folder;
  for (int i = 0; i < 30; ++i) log(folder, 1, 1000, SpeedOf::prompt);
  EXPECT_EQ(correction(folder.path(), "here").prompt, 4);
  for (int i = 0; i < 30; ++i) log(folder, 1000, 1, SpeedOf::prompt);
  EXPECT_EQ(correction(folder.path(), "here").prompt, 0.25);
}

TEST(SpeedLog, PassesOverWhatItCannotRead) {
  const TemporaryFolder folder;
  for (int i = 0; i < 3; ++i) log(folder, 10, 20);
  {
    std::ofstream out(folder / "speed.jsonl", std::ios::app | std::ios::binary);
    out << "nonsense\n[]\n{\"machine\":\"here\",\"of\":\"decode\",\"predicted\":0,\"measured\":1}\n"
        << "{\"machine\":\"here\",\"of\":\"decode\",\"predicted\":\"a\",\"measured\":1}\n\n"
        << std::string(100'000, 'x') << "\n{\"machine\":";
  }
  EXPECT_EQ(correction(folder.path(), "here").decode, 2);
  log(folder, 10, 20);  // the torn line takes this one with it
  log(folder, 10, 20);
  EXPECT_EQ(correction(folder.path(), "here").decode, 2);
  log(folder, 0, 5), log(folder, 5, 0);
  EXPECT_EQ(correction(folder.path(), "here").decode, 2);
}

TEST(SpeedLog, DoesNotGrowWithoutEnd) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 5000; ++i)
    text += "{\"machine\":\"here\",\"model\":\"m\",\"of\":\"decode\",\"predicted\":10,\"measured\":10}\n";
  write(folder / "speed.jsonl", text);
  log(folder, 10, 10);
  EXPECT_LT(std::filesystem::file_size(folder / "speed.jsonl"), text.size() / 3);
  EXPECT_EQ(correction(folder.path(), "here").decode, 1);
}

TEST(SpeedLog, AFolderThatCannotBeIsNoError) {
  const TemporaryFolder folder;
  write(folder / "file", "");
  log_speed(folder / "file", {.machine = "here", .predicted = 1, .measured = 1});
  EXPECT_EQ(correction(folder / "file", "here").decode, 1);
}

}  // namespace
}  // namespace medlar::host
