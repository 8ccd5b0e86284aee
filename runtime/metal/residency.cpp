#include "runtime/metal/residency.h"

#include <algorithm>

#include "base/error.h"

namespace medlar::runtime::metal {

Residency::~Residency() {
  if (!set_) return;
  const Pool pool(system_.objc);
  if (requested_) system_.call.end_residency(set_.get());
  system_.call.remove_residency(queue_, set_.get());
}

void Residency::add(Id buffer) {
  const std::lock_guard lock(mutex_);
  const Pool pool(system_.objc);
  buffers_.push_back(buffer);
  if (!set_) return;
  system_.call.add_allocation(set_.get(), buffer);
  changed_ = true;
}

// The set holds a reference to what is removed until that is committed.
void Residency::remove(Id buffer) {
  const std::lock_guard lock(mutex_);
  const Pool pool(system_.objc);
  buffers_.erase(std::ranges::find(buffers_, buffer));
  if (!set_) return;
  system_.call.remove_allocation(set_.get(), buffer);
  system_.call.commit_residency(set_.get());
  changed_ = false;
}

void Residency::begin() {
  const std::lock_guard lock(mutex_);
  const Pool pool(system_.objc);
  if (!set_) make();
  if (!set_) return;
  if (changed_) system_.call.commit_residency(set_.get());
  if (!requested_) system_.call.request_residency(set_.get());
  changed_ = false, requested_ = true;
}

void Residency::end() {
  const std::lock_guard lock(mutex_);
  const Pool pool(system_.objc);
  if (requested_) system_.call.end_residency(set_.get());
  requested_ = false;
}

void Residency::make() {
  const Methods& call = system_.call;
  if (!call.make_residency.exists(system_.device.get())) return;
  const Owned descriptor = system_.make("MTLResidencySetDescriptor");
  Id error = nullptr;
  set_ = {system_.objc, call.make_residency(system_.device.get(), descriptor.get(), &error)};
  if (!set_)
    throw Error(ErrorKind::device,
                fmt::format("Metal: cannot make a residency set: {}", system_.reason(error)),
                "use --device cpu");
  for (Id buffer : buffers_) call.add_allocation(set_.get(), buffer);
  call.add_residency(queue_, set_.get());
  changed_ = true;
}

}  // namespace medlar::runtime::metal
