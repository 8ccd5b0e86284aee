#include "server/shelf.h"

#include <algorithm>
#include <cctype>

#include "server/chat.h"

namespace medlar::server {
namespace {

// "Name:latest" is how Ollama's clients say "name".
std::string comparable(std::string_view name) {
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.remove_suffix(kLatest.size());
  std::string result(name);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

}  // namespace

Model::Model() = default;
Model::~Model() = default;

bool Model::has_name(std::string_view name) const {
  return std::ranges::any_of(names, [&](const auto& own) { return comparable(own) == comparable(name); });
}

struct Shelf::Place {
  std::unique_ptr<Model> model;
  KeepAlive keep;
  Clock::time_point used = Clock::now();
  int leases = 0;
  bool open = true;  // to new leases
  bool resting = false;
};

Shelf::Shelf() = default;
Shelf::~Shelf() { close(); }

Shelf::Lease::~Lease() {
  if (!place_) return;
  const std::lock_guard lock(shelf_->mutex_);
  if (uses_) place_->used = Clock::now();
  if (--place_->leases == 0) shelf_->changed_.notify_all();
}

Model& Shelf::Lease::operator*() const { return *place_->model; }

void Shelf::Lease::keep(KeepAlive time) const {
  const std::lock_guard lock(shelf_->mutex_);
  place_->keep = time;
}

std::optional<std::chrono::system_clock::time_point> Shelf::Lease::leaves() const {
  const std::lock_guard lock(shelf_->mutex_);
  if (!place_->keep) return std::nullopt;
  const auto idle = Clock::now() - place_->used;
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(*place_->keep - idle);
}

Shelf::Lease Shelf::find(std::string_view name) {
  const std::lock_guard lock(mutex_);
  Place* found = nullptr;
  for (Place& place : places_) {
    if (!place.open || !(name.empty() || place.model->has_name(name))) continue;
    if (!found || place.used > found->used) found = &place;
  }
  if (!found) return {};
  ++found->leases;
  found->used = Clock::now();
  found->resting = false;
  return Lease(this, found, true);
}

std::vector<Shelf::Lease> Shelf::all() {
  const std::lock_guard lock(mutex_);
  std::vector<Place*> open;
  for (Place& place : places_)
    if (place.open) open.push_back(&place);
  std::ranges::sort(open, std::greater{}, &Place::used);
  std::vector<Lease> leases;
  for (Place* place : open) {
    ++place->leases;
    leases.push_back(Lease(this, place, false));
  }
  return leases;
}

std::size_t Shelf::size() const {
  const std::lock_guard lock(mutex_);
  return places_.size();
}

void Shelf::add(std::unique_ptr<Model> model, const SchedulerOptions& scheduling, KeepAlive keep) {
  model->scheduler = std::make_unique<Scheduler>(model->engine, scheduling);
  model->chat = std::make_unique<Chat>(*model->engine);
  model->embedder = std::make_shared<Embedder>(*model->scheduler, model->pooling);
  const std::lock_guard lock(mutex_);
  places_.push_back({.model = std::move(model), .keep = keep});
}

bool Shelf::remove(std::string_view name, std::chrono::milliseconds patience) {
  std::unique_ptr<Model> removed;  // ends after the lock: that takes a while
  std::unique_lock lock(mutex_);
  const auto place = std::ranges::find_if(places_, [&](const Place& p) { return p.model->has_name(name); });
  if (place == places_.end()) return true;
  place->open = false;
  changed_.wait_for(lock, patience, [&] { return place->leases == 0 || stopping_; });
  place->open = true;
  if (place->leases > 0) return false;
  removed = std::move(place->model);
  places_.erase(place);
  lock.unlock();
  return true;
}

std::string Shelf::least_used() const {
  const std::lock_guard lock(mutex_);
  const auto order = [](const Place& place) { return std::pair(place.leases > 0, place.used); };
  const auto least = std::ranges::min_element(places_, {}, order);
  return least == places_.end() ? "" : least->model->name();
}

bool Shelf::any_unused(std::chrono::milliseconds time) const {
  const std::lock_guard lock(mutex_);
  const Clock::time_point since = Clock::now() - time;
  return std::ranges::any_of(places_, [&](const Place& p) { return p.leases == 0 && p.used <= since; });
}

void Shelf::hurry(bool on) {
  const std::lock_guard lock(mutex_);
  hurried_ = on;
  changed_.notify_all();
}

void Shelf::expire(std::string_view name) {
  const std::lock_guard lock(mutex_);
  for (Place& place : places_)
    if (place.model->has_name(name)) place.keep = std::chrono::milliseconds(0);
  changed_.notify_all();
}

std::vector<std::string> Shelf::expired() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const Place& place : places_)
    if (place.leases == 0 && (hurried_ || (place.keep && Clock::now() - place.used >= *place.keep)))
      names.push_back(place.model->name());
  return names;
}

void Shelf::rest(std::chrono::milliseconds after) {
  const std::lock_guard lock(mutex_);
  for (Place& place : places_) {
    if (place.resting || place.leases > 0 || Clock::now() - place.used < after) continue;
    place.model->engine->rest();
    place.resting = true;
  }
}

void Shelf::wait(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  if (!stopping_) changed_.wait_until(lock, until);
}

void Shelf::stop_waiting() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

void Shelf::close() {
  for (Place& place : places_) place.model.reset();
}

}  // namespace medlar::server
