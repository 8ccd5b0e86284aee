#include "cli/eval_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/terminal.h"

namespace medlar::cli {
namespace {

namespace json = boost::json;

std::string percent(const eval::Proportion& p) {
  return fmt::format("{:.2f} % | {:.2f} to {:.2f} %", 100 * p.value, 100 * p.low, 100 * p.high);
}

std::string row(std::string_view name, const EvalScore& s) {
  const std::string sum =
      s.choices > 0 ? fmt::format("{:.2f} %", 100 * eval::wilson(s.correct_sum, s.choices).value) : "";
  return fmt::format("| {} | {} | {} | {} |\n", visible(name), s.answered,
                     percent(eval::wilson(s.correct, s.answered)), sum);
}

json::object proportion(std::int64_t correct, std::int64_t of) {
  const eval::Proportion p = eval::wilson(correct, of);
  return {{"value", p.value}, {"low", p.low}, {"high", p.high}};
}

json::object score_json(const EvalScore& s) {
  json::object object{{"answered", s.answered},
                      {"correct", s.correct},
                      {"accuracy", proportion(s.correct, s.answered)},
                      {"choices", s.choices}};
  if (s.choices > 0) object["accuracy_sum"] = proportion(s.correct_sum, s.choices);
  return object;
}

}  // namespace

void EvalScore::count(const EvalAnswer& a) {
  ++answered;
  correct += a.correct ? 1 : 0;
  if (!a.choice) return;
  ++choices;
  correct_sum += a.correct_sum ? 1 : 0;
}

void EvalReport::count(const EvalAnswer& answer) {
  all.count(answer);
  auto found_task = std::ranges::find(tasks, answer.task, &EvalScore::task);
  if (found_task == tasks.end()) found_task = tasks.insert(tasks.end(), {.task = answer.task});
  found_task->count(answer);
}

std::string to_text(const EvalReport& r) {
  std::string text =
      fmt::format("{} on {}: {} of {} items\n\n", visible(r.model), visible(r.file), r.all.answered, r.items);
  text += "| task | items | accuracy | 95 % interval | by ln p alone |\n|---|--:|--:|--:|--:|\n";
  if (r.tasks.size() > 1)
    for (const EvalScore& s : r.tasks) text += row(s.task, s);
  return text + row(r.tasks.size() == 1 && !r.tasks[0].task.empty() ? r.tasks[0].task : "all", r.all);
}

json::object to_json(const EvalReport& r) {
  json::object object{{"model", r.model},
                      {"file", r.file},
                      {"results", r.results.empty() ? json::value(nullptr) : json::value(r.results)},
                      {"items", r.items},
                      {"found", r.found},
                      {"complete", r.complete()},
                      {"seed", r.seed},
                      {"seconds", r.seconds}};
  for (auto& [key, value] : score_json(r.all)) object[key] = value;
  json::array tasks;
  for (const EvalScore& s : r.tasks) {
    json::object task = score_json(s);
    task["task"] = s.task;
    tasks.push_back(std::move(task));
  }
  object["tasks"] = std::move(tasks);
  return object;
}

}  // namespace medlar::cli
