#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/process_memory.h"

namespace medlar::server {
namespace {

using prometheus::Registry;

prometheus::Histogram::BucketBoundaries seconds_from(double first) {
  prometheus::Histogram::BucketBoundaries bounds;
  for (double bound = first; bounds.size() < 16; bound *= 2) bounds.push_back(bound);
  return bounds;
}

prometheus::Histogram& histogram(Registry& registry, const char* name, const char* help, double first) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, seconds_from(first));
}

prometheus::Counter& counter(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

prometheus::Gauge& gauge(Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct Metrics::Impl {
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("medlar_requests_total")
                                                          .Help("Requests answered, by route and status")
                                                          .Register(*registry);
  prometheus::Histogram& request_seconds =
      histogram(*registry, "medlar_request_seconds", "From a request's head to its answer's end", 0.001);
  prometheus::Histogram& ttft =
      histogram(*registry, "medlar_time_to_first_token_seconds", "From the request to its first text", 0.001);
  prometheus::Histogram& itl =
      histogram(*registry, "medlar_inter_token_seconds", "Between two pieces of a text", 0.0005);
  prometheus::Counter& prompt_tokens = counter(*registry, "medlar_prompt_tokens_total", "Tokens of prompts");
  prometheus::Counter& cached_tokens =
      counter(*registry, "medlar_cached_prompt_tokens_total", "Tokens of prompts that were in the cache");
  prometheus::Counter& generated_tokens =
      counter(*registry, "medlar_generated_tokens_total", "Tokens written");
  prometheus::Gauge& active = gauge(*registry, "medlar_requests_active", "Requests being answered");
  prometheus::Gauge& waiting = gauge(*registry, "medlar_requests_waiting", "Requests in the queue");
  prometheus::Gauge& preempted = gauge(*registry, "medlar_requests_preempted",
                                       "Requests that had to give up their place, since the start");
  prometheus::Gauge& steps = gauge(*registry, "medlar_engine_steps", "Steps of the model since the start");
  prometheus::Family<prometheus::Gauge>& cache =
      prometheus::BuildGauge()
          .Name("medlar_kv_cache_tokens")
          .Help("Tokens of the KV cache: capacity, held, held by nobody")
          .Register(*registry);
  prometheus::Family<prometheus::Gauge>& memory =
      prometheus::BuildGauge().Name("medlar_memory_bytes").Help("Memory by category").Register(*registry);
  prometheus::Family<prometheus::Gauge>& device_memory = prometheus::BuildGauge()
                                                             .Name("medlar_device_memory_bytes")
                                                             .Help("Memory of GPUs' own by category")
                                                             .Register(*registry);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::request(std::string_view method, std::string_view route, int status, double seconds) {
  impl_->requests
      .Add({{"method", std::string(method)},
            {"route", std::string(route)},
            {"status", std::to_string(status)}})
      .Increment();
  impl_->request_seconds.Observe(seconds);
}

void Metrics::first_token(double seconds) { impl_->ttft.Observe(seconds); }
void Metrics::next_token(double seconds) { impl_->itl.Observe(seconds); }

void Metrics::generated(const Usage& usage) {
  impl_->prompt_tokens.Increment(static_cast<double>(usage.prompt_tokens));
  impl_->cached_tokens.Increment(static_cast<double>(usage.cached_tokens));
  impl_->generated_tokens.Increment(static_cast<double>(usage.completion_tokens));
}

std::string Metrics::text(std::span<const SchedulerStatus> models, const Ledger::Snapshot& memory,
                          std::span<const std::pair<int, Ledger::Snapshot>> devices) const {
  const auto set = [](prometheus::Family<prometheus::Gauge>& family, const char* label, std::string_view name,
                      auto value) {
    family.Add({{label, std::string(name)}}).Set(static_cast<double>(value));
  };
  const auto sum = [&](auto member) {
    double total = 0;
    for (const SchedulerStatus& status : models) total += static_cast<double>(status.*member);
    return total;
  };
  impl_->active.Set(sum(&SchedulerStatus::active));
  impl_->waiting.Set(sum(&SchedulerStatus::waiting));
  impl_->preempted.Set(sum(&SchedulerStatus::preempted));
  impl_->steps.Set(sum(&SchedulerStatus::steps));
  set(impl_->cache, "state", "capacity", sum(&SchedulerStatus::cache_tokens));
  set(impl_->cache, "state", "used", sum(&SchedulerStatus::cache_used));
  set(impl_->cache, "state", "shared", sum(&SchedulerStatus::cache_shared));
  const auto set_books = [&](prometheus::Family<prometheus::Gauge>& family, const Ledger::Snapshot& books,
                             const prometheus::Labels& labels) {
    const auto set_one = [&](std::string_view category, std::uint64_t bytes) {
      prometheus::Labels all = labels;
      all["category"] = std::string(category);
      family.Add(all).Set(static_cast<double>(bytes));
    };
    for (std::size_t i = 0; i < kMemoryUses; ++i)
      set_one(to_string(static_cast<MemoryUse>(i)), books.accounts[i].used);
    set_one("held", books.total().held);
    set_one("ceiling", books.ceiling);
  };
  set_books(impl_->memory, memory, {});
  for (const auto& [number, books] : devices)
    set_books(impl_->device_memory, books, {{"device", std::to_string(number)}});
  const ProcessMemory now = process_memory();
  set(impl_->memory, "category", "resident", now.resident);
  set(impl_->memory, "category", "resident_anonymous", now.anonymous);
  return prometheus::TextSerializer().Serialize(impl_->registry->Collect());
}

}  // namespace medlar::server
