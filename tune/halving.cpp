#include "tune/halving.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "tune/statistics.h"

namespace medlar::tune {
namespace {

constexpr int kFirstRounds = 2, kDuelRounds = kDuelMeasurements / 2;  // even, for there and back
constexpr double kWorthwhile = 1.01;
constexpr std::ptrdiff_t kFewestRounds = 4;

// Candidate 0 and those that may still beat it, with what was measured of them.
struct Field {
  std::vector<double> reference;
  std::vector<Rival> rivals;
};

// Measures everything once. False: stopped in the midst, and nothing was added.
bool add_round(Field& field, bool backwards, const Measure& measure) {
  std::vector<double> seconds(field.rivals.size() + 1);
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    const std::size_t at = backwards ? seconds.size() - 1 - i : i;
    const std::optional<double> measured = measure(at == 0 ? 0 : field.rivals[at - 1].candidate);
    if (!measured) return false;
    seconds[at] = *measured;
  }
  field.reference.push_back(seconds[0]);
  for (std::size_t i = 1; i < seconds.size(); ++i)
    field.rivals[i - 1].ratios.push_back(seconds[0] / seconds[i]);
  return true;
}

bool add_rounds(Field& field, int rounds, const Measure& measure) {
  for (int r = 0; r < rounds; ++r)
    if (!add_round(field, r % 2 == 1, measure)) return false;
  return true;
}

// Moves the slower half, and who never was faster, to `tried`.
void leave_out(std::vector<Rival>& rivals, std::vector<Rival>& tried) {
  std::ranges::sort(rivals, {}, &Rival::median);
  const std::size_t out = rivals.size() / 2;
  std::vector<Rival> left;
  for (std::size_t i = 0; i < rivals.size(); ++i) {
    const bool never = std::ranges::all_of(rivals[i].ratios, [](double ratio) { return ratio <= 1; });
    (i < out || never ? tried : left).push_back(std::move(rivals[i]));
  }
  rivals = std::move(left);
}

// Ends with what `field` tells.
Halving conclude(Field field, Halving result) {
  std::ranges::sort(field.rivals, {}, &Rival::median);
  if (!field.rivals.empty() && field.rivals.back().wins()) result.best = field.rivals.back().candidate;
  std::ranges::move(field.rivals, std::back_inserter(result.tried));
  result.reference = std::move(field.reference);
  return result;
}

// New rounds, as those that chose a rival flatter it.
Halving decide(Field field, Halving result, const Measure& measure) {
  Field fresh{.rivals = {{.candidate = field.rivals.at(0).candidate}}};
  result.complete = add_rounds(fresh, kDuelRounds, measure);
  const bool tells = result.complete || std::ssize(fresh.reference) >= kFewestRounds;
  return conclude(tells ? std::move(fresh) : std::move(field), std::move(result));
}

}  // namespace

double Rival::median() const { return ratios.empty() ? 0 : summarize(ratios).median; }

bool Rival::wins() const {
  const std::ptrdiff_t rounds = std::ssize(ratios);
  const auto won = std::ranges::count_if(ratios, [](double ratio) { return ratio > 1; });
  return rounds >= kFewestRounds && won >= rounds - rounds / 8 && median() >= kWorthwhile;
}

Halving halve(std::size_t candidates, const Measure& measure) {
  Field field;
  for (std::size_t i = 1; i < candidates; ++i) field.rivals.push_back({.candidate = i});
  Halving result;
  for (int rounds = kFirstRounds; !field.rivals.empty(); rounds *= 2) {
    if (rounds > kFirstRounds && field.rivals.size() == 1)
      return decide(std::move(field), std::move(result), measure);
    if (!add_rounds(field, rounds, measure)) {
      result.complete = false;
      break;
    }
    leave_out(field.rivals, result.tried);
  }
  return conclude(std::move(field), std::move(result));
}

Halving duel(const Measure& measure) { return decide({.rivals = {{.candidate = 1}}}, {}, measure); }

int most_measurements(std::size_t candidates) {
  int count = 0;
  std::size_t rivals = candidates > 0 ? candidates - 1 : 0;
  for (int rounds = kFirstRounds; rivals > 0; rounds *= 2) {
    if (rounds > kFirstRounds && rivals == 1) return count + kDuelMeasurements;
    count += rounds * static_cast<int>(rivals + 1);
    rivals -= rivals / 2;
  }
  return count;
}

}  // namespace medlar::tune
