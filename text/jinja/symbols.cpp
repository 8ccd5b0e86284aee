// Resolving names within frames.
#include "text/jinja/symbols.h"

#include <limits>

#include "base/error.h"

namespace medlar::jinja {

std::uint16_t FunctionSlots::slot(int level, const std::string& name) {
  const auto next = slots_.size();
  const auto [at, added] = slots_.try_emplace({level, name}, static_cast<std::uint16_t>(next));
  if (added && next >= std::numeric_limits<std::uint16_t>::max()) {
    fail(ErrorKind::limit, "chat template: more than {} variables",
         std::numeric_limits<std::uint16_t>::max());
  }
  return at->second;
}

Symbols::Symbols(const Symbols* outer, FunctionSlots& function)
    : outer_(outer), function_(&function), level_(outer == nullptr ? 0 : outer->level_ + 1) {}

const Symbols::Variable* Symbols::own(const std::string& name) const {
  for (const Symbols* s = this; s != nullptr; s = s->whole_) {
    if (const auto found = s->variables_.find(name); found != s->variables_.end()) return &found->second;
  }
  return nullptr;
}

std::optional<Symbols::Variable> Symbols::find(const std::string& name) const {
  for (const Symbols* s = this; s != nullptr; s = s->outer_) {
    if (const Variable* variable = s->own(name)) return *variable;
  }
  return std::nullopt;
}

bool Symbols::writes(const std::string& name) const {
  for (const Symbols* s = this; s != nullptr; s = s->whole_) {
    if (s->written_.contains(name)) return true;
  }
  return false;
}

void Symbols::define(const std::string& name, Origin origin) {
  const Variable variable{.function = function_, .index = function_->slot(level_, name)};
  variables_[name] = variable;
  origins_[variable.index] = std::move(origin);
}

Symbols::Origin Symbols::from_outside(const std::string& name, Origin otherwise) const {
  const auto outside = outer_ == nullptr ? std::nullopt : outer_->find(name);
  return outside ? Origin{.kind = Origin::Kind::variable, .variable = *outside} : std::move(otherwise);
}

void Symbols::read(const std::string& name) {
  if (!find(name)) define(name, {.kind = Origin::Kind::context, .name = name});
}

void Symbols::write(const std::string& name) {
  written_.insert(name);
  if (own(name) == nullptr) define(name, from_outside(name, {.kind = Origin::Kind::nothing}));
}

void Symbols::parameter(const std::string& name) {
  written_.insert(name);
  define(name, {.kind = Origin::Kind::parameter});
}

void Symbols::join(const std::vector<const Symbols*>& branches) {
  std::set<std::string> newly_written;
  for (const Symbols* branch : branches) {
    for (const std::string& name : branch->written_) {
      if (!writes(name)) newly_written.insert(name);
    }
  }
  for (const Symbols* branch : branches) {
    for (const auto& [name, variable] : branch->variables_) variables_[name] = variable;
    for (const auto& [index, origin] : branch->origins_) origins_[index] = origin;
    written_.insert(branch->written_.begin(), branch->written_.end());
  }
  for (const std::string& name : newly_written) {
    origins_[find(name)->index] = from_outside(name, {.kind = Origin::Kind::context, .name = name});
  }
}

Slot Symbols::slot(const std::string& name, const FunctionSlots& function) {
  read(name);
  const Variable variable = *find(name);
  return {.hops = static_cast<std::uint16_t>(function.depth() - variable.function->depth()),
          .index = variable.index};
}

Frame Symbols::frame() const {
  Frame frame;
  for (const auto& [index, origin] : origins_) {
    frame.unloaded.push_back(index);
    Load load{.index = index};
    switch (origin.kind) {
      case Origin::Kind::parameter:
        continue;
      case Origin::Kind::nothing:
        break;
      case Origin::Kind::context:
        load.from = Load::From::context;
        load.name = origin.name;
        break;
      case Origin::Kind::variable:
        load.from = Load::From::variable;
        load.source = {
            .hops = static_cast<std::uint16_t>(function_->depth() - origin.variable.function->depth()),
            .index = origin.variable.index};
    }
    frame.loads.push_back(std::move(load));
  }
  return frame;
}

std::vector<std::string> Symbols::written() const {
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (const Symbols* s = this; s != nullptr; s = s->outer_) {
    for (const std::string& name : s->written_) {
      if (seen.insert(name).second) names.push_back(name);
    }
  }
  return names;
}

}  // namespace medlar::jinja
