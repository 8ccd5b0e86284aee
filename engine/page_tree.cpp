#include "engine/page_tree.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/assert.h"

namespace medlar {
namespace {

constexpr std::size_t kShownTokens = 16;  // of a divergence
constexpr std::array<bool, kMaxKvGroups> kAllGroups = {true, true, true, true};

std::int64_t pages_for(std::int64_t positions) { return (positions + kPageTokens - 1) / kPageTokens; }

}  // namespace

std::int32_t kv_pages_needed(std::int64_t tokens, std::int64_t window, std::int64_t batch) {
  const std::int64_t all = pages_for(tokens);
  MEDLAR_ASSERT(window >= 0);
  if (window == 0) return static_cast<std::int32_t>(all);
  // The window, the batch being written, the slack, and a partly used page at either end.
  return static_cast<std::int32_t>(std::min(all, pages_for(window + batch + kRewindSlack) + 2));
}

struct PageTree::Node {
  Node* parent = nullptr;  // null: a root
  std::vector<Node*> children;
  std::size_t index = 0;   // in nodes_
  std::int64_t depth = 0;  // pages before it
  int users = 0;           // sequences that go through it
  bool passing = false;    // its last token came alone, as those of answers do
  std::uint64_t last_used = 0;
  std::int64_t count = 0;
  std::array<std::int32_t, kPageTokens> tokens{};
  std::array<std::int32_t, kMaxKvGroups> page{};  // -1: none, or slid away

  std::int64_t shared_with(std::span<const std::int32_t> other) const {
    const auto end = tokens.begin() + count;
    return std::mismatch(tokens.begin(), end, other.begin(), other.end()).first - tokens.begin();
  }
};

PageTree::PageTree(PageTreeOptions options)
    : options_(std::move(options)),
      stride_(pages_for(options_.max_positions)),
      sequences_(at(options_.max_sequences)) {
  MEDLAR_ASSERT(options_.windows.size() == options_.pages.size() && options_.windows.size() <= kMaxKvGroups);
  for (std::size_t i = 0; i < options_.windows.size(); ++i) {
    Group group{options_.windows[i],
                options_.pages[i],
                std::vector<std::int32_t>(at(options_.max_sequences * stride_), -1),
                std::vector<std::int32_t>(at(options_.pages[i])),
                {}};
    std::iota(group.free.rbegin(), group.free.rend(), 0);  // page 0 is taken first
    groups_.push_back(std::move(group));
  }
}

PageTree::~PageTree() = default;

kernels::PageTable PageTree::table(int group) const {
  return {groups_[at(group)].table.data(), static_cast<std::int32_t>(stride_)};
}

// The longest path of whole pages, and of a page after it the part that fits.
PageTree::Found PageTree::find(const Node& root, std::span<const std::int32_t> tokens) const {
  Found found;
  for (const Node* node = &root;;) {
    Node* best = nullptr;
    std::int64_t most = 0;
    // Of equal ones what can be taken as it is: without tokens behind these, and with most groups' pages.
    const auto rank = [&](const Node& child) {
      return std::pair(child.count == most, std::ranges::count_if(child.page, [](auto p) { return p >= 0; }));
    };
    for (Node* child : node->children) {
      const std::int64_t shared = child->shared_with(tokens.subspan(at(found.length)));
      if (shared > most || (best && shared == most && rank(*child) > rank(*best)))
        best = child, most = shared;
    }
    if (!best) return found;
    found.length += most;
    if (most < kPageTokens) {
      found.part = best, found.part_tokens = most;
      return found;
    }
    found.path.push_back(best);
    node = best;
  }
}

// Every group has what the token after these needs.
bool PageTree::complete(const Found& found) const {
  const Node* last = found.part ? found.part : found.path.empty() ? nullptr : found.path.back();
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].window == 0) continue;
    if (recurrent(g)) {
      if (last && (last->page[g] < 0 || (found.part && found.part_tokens != last->count))) return false;
      continue;
    }
    const std::int64_t first = std::max<std::int64_t>(0, found.length - groups_[g].window + 1);
    for (std::int64_t i = first / kPageTokens; i < pages_for(found.length); ++i) {
      const Node* node = i < std::ssize(found.path) ? found.path[at(i)] : found.part;
      if (node->page[g] < 0) return false;
    }
  }
  return true;
}

// Leaves pages off the end until that is so.
void PageTree::shorten_to_complete(Found& found) const {
  while (!complete(found)) {
    if (!found.part) found.path.pop_back();
    found.part = nullptr, found.part_tokens = 0;
    found.length = std::ssize(found.path) * kPageTokens;
  }
}

std::optional<Divergence> PageTree::divergence(const Node& root, const Found& found) const {
  Divergence d{found.length, {}};
  const Node* node = found.part ? found.part : found.path.empty() ? &root : found.path.back();
  std::int64_t from = found.part ? found.part_tokens : node->count;
  while (node && d.cached.size() < kShownTokens) {
    for (; from < node->count && d.cached.size() < kShownTokens; ++from)
      d.cached.push_back(node->tokens[at(from)]);
    const auto latest = std::ranges::max_element(node->children, {}, &Node::last_used);
    node = latest == node->children.end() ? nullptr : *latest;
    from = 0;
  }
  if (d.cached.empty()) return std::nullopt;  // it goes on where a timeline ended
  return d;
}

PageTree::Begun PageTree::begin(int s, std::string_view scope, std::span<const std::int32_t> tokens) {
  Sequence& sequence = sequences_[at(s)];
  MEDLAR_ASSERT(sequence.path.empty());
  auto root = roots_.find(scope);
  if (root == roots_.end()) root = roots_.emplace(scope, std::make_unique<Node>()).first;
  sequence.root = root->second.get();
  ++sequence.root->users;
  ++clock_;
  Found found = find(*sequence.root, tokens);
  Begun begun;
  if (found.length < std::ssize(tokens)) begun.divergence = divergence(*sequence.root, found);
  shorten_to_complete(found);
  for (Node* node : found.path) push(s, *node);
  sequence.length = std::ssize(found.path) * kPageTokens;
  if (found.part && !take_part(s, *found.part, found.part_tokens)) {
    found.part = nullptr, found.part_tokens = 0;
    found.length = sequence.length;
    shorten_to_complete(found);
    while (sequence.path.size() > found.path.size()) pop(s);
    sequence.length = found.length;
  }
  begun.cached = sequence.before = sequence.length;
  return begun;
}

// The first `tokens` of a page: the page itself where it has no more of them and nobody else uses it, else a
// copy; where there is no page for one, a page that nobody uses gives up the rest of its own. False: nothing
// was taken.
bool PageTree::take_part(int s, Node& part, std::int64_t tokens) {
  Sequence& sequence = sequences_[at(s)];
  const bool own = part.users == 0 && part.children.empty();
  Node* node = own && part.count == tokens ? &part : nullptr;
  if (!node) {
    ++part.users;
    std::array<bool, kMaxKvGroups> has{};
    for (std::size_t g = 0; g < groups_.size(); ++g) has[g] = part.page[g] >= 0;
    node = new_node(*part.parent, has);
    --part.users;
    if (node) {
      std::copy_n(part.tokens.begin(), tokens, node->tokens.begin());
      for (std::size_t g = 0; g < groups_.size(); ++g)
        if (part.page[g] >= 0) options_.copy_page(static_cast<int>(g), part.page[g], node->page[g]);
    } else if (own) {
      node = &part;
    } else {
      return false;
    }
    node->count = tokens;
  }
  push(s, *node);
  sequence.length += tokens;
  return true;
}

std::int64_t PageTree::cached(std::string_view scope, std::span<const std::int32_t> tokens) const {
  const auto root = roots_.find(scope);
  if (root == roots_.end()) return 0;
  Found found = find(*root->second, tokens);
  shorten_to_complete(found);
  return std::ssize(found.path) * kPageTokens;
}

std::optional<PageTree::GroupPages> PageTree::adopt(std::string_view scope,
                                                    std::span<const std::int32_t> tokens,
                                                    const std::array<bool, kMaxKvGroups>& has) {
  MEDLAR_ASSERT(!tokens.empty() && tokens.size() % kPageTokens == 0);
  auto root = roots_.find(scope);
  if (root == roots_.end()) root = roots_.emplace(scope, std::make_unique<Node>()).first;
  const Found found = find(*root->second, tokens);
  if (std::ssize(found.path) != std::ssize(tokens) / kPageTokens - 1) return std::nullopt;
  for (Node* node : found.path) node->last_used = clock_;
  Node* node = new_node(found.path.empty() ? *root->second : *found.path.back(), has);
  if (!node) return std::nullopt;
  node->count = kPageTokens;
  std::ranges::copy(tokens.last(kPageTokens), node->tokens.begin());
  return node->page;
}

void PageTree::push(int s, Node& node) {
  Sequence& sequence = sequences_[at(s)];
  ++node.users;
  node.last_used = clock_;
  const std::int64_t i = std::ssize(sequence.path);
  for (std::size_t g = 0; g < groups_.size(); ++g) groups_[g].table[at(s * stride_ + i)] = node.page[g];
  sequence.path.push_back(&node);
}

void PageTree::pop(int s) {
  Sequence& sequence = sequences_[at(s)];
  const std::int64_t i = std::ssize(sequence.path) - 1;
  for (Group& group : groups_) group.table[at(s * stride_ + i)] = -1;
  --sequence.path.back()->users;
  sequence.path.pop_back();
}

// Another page at the sequence's end. The state is kept after the last of a step's pages, and, if there is
// room, where `keep_state`.
bool PageTree::add_page(int s, bool last, bool keep_state) {
  Sequence& sequence = sequences_[at(s)];
  std::array<bool, kMaxKvGroups> groups = kAllGroups;
  for (std::size_t g = 0; g < groups_.size(); ++g) groups[g] = last || !recurrent(g);
  Node* node = new_node(sequence.path.empty() ? *sequence.root : *sequence.path.back(), groups);
  if (!node) return false;
  push(s, *node);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (groups[g] || !keep_state) continue;
    node->page[g] = allocate(static_cast<int>(g));
    groups_[g].table[at(s * stride_ + node->depth)] = node->page[g];
  }
  return true;
}

bool PageTree::extend(int s, std::span<const std::int32_t> tokens) {
  Sequence& sequence = sequences_[at(s)];
  MEDLAR_ASSERT(sequence.root);
  const std::size_t have = sequence.path.size();
  const std::int64_t want = pages_for(sequence.length + std::ssize(tokens));
  if (want > stride_) return false;
  ++clock_;
  sequence.before = sequence.length;
  const bool ends_within = (sequence.length + std::ssize(tokens)) % kPageTokens != 0;
  while (std::ssize(sequence.path) < want) {
    const std::int64_t i = std::ssize(sequence.path);
    if (add_page(s, i + 1 == want, i + 2 == want && ends_within)) continue;
    while (sequence.path.size() > have) {
      Node& added = *sequence.path.back();
      pop(s);
      remove(added);
    }
    return false;
  }
  for (const std::int32_t token : tokens) {
    Node& node = *sequence.path[at(sequence.length++ / kPageTokens)];
    node.tokens[at(node.count++)] = token;
    node.passing = tokens.size() == 1;
  }
  return true;
}

bool PageTree::fork(int from, int to) {
  const Sequence& source = sequences_[at(from)];
  Sequence& sequence = sequences_[at(to)];
  MEDLAR_ASSERT(source.root && sequence.path.empty() && !sequence.root);
  ++clock_;
  sequence.root = source.root;
  ++sequence.root->users;
  for (Node* node : source.path) {
    if (node->count == kPageTokens)
      push(to, *node);
    else
      take_part(to, *node, node->count);
  }
  sequence.length = sequence.before = source.length;
  const bool whole = sequence.path.size() == source.path.size();
  if (!whole) end(to);
  return whole;
}

void PageTree::end(int s) {
  Sequence& sequence = sequences_[at(s)];
  if (!sequence.root) return;
  ++clock_;
  for (std::size_t i = sequence.path.size(); i-- > 0;) {
    Node& node = *sequence.path[i];
    for (Group& group : groups_) group.table[at(s * stride_) + i] = -1;
    --node.users;
    node.last_used = clock_;
  }
  for (Node* node : sequence.path)
    if (node->users == 0) settle(*node);
  --sequence.root->users;
  if (sequence.root->users == 0 && sequence.root->children.empty())
    std::erase_if(roots_, [&](const auto& entry) { return entry.second.get() == sequence.root; });
  sequence = {};
}

// Of a node that nobody uses any more: where another has the same tokens, or more, that one stays for both.
void PageTree::settle(Node& node) {
  const std::span tokens = std::span(node.tokens).first(at(node.count));
  const auto same = [&](const Node* other) {
    if (other == &node || other->shared_with(tokens) < node.count) return false;
    if (other->count > node.count && !node.children.empty()) return false;
    for (std::size_t g = 0; g < groups_.size(); ++g)
      if (node.page[g] >= 0 && (other->page[g] < 0 || (recurrent(g) && other->count > node.count)))
        return false;
    return true;
  };
  const auto twin = std::ranges::find_if(node.parent->children, same);
  if (twin != node.parent->children.end()) {
    (*twin)->last_used = clock_;
    for (Node* child : std::exchange(node.children, {})) {
      child->parent = *twin;
      (*twin)->children.push_back(child);
    }
  } else if (node.count > 0) {
    return;
  }
  remove(node);
}

// Unused nodes have unused children only, so going from the last to the first of them in depth would do; to
// remove leaves until there are none is simpler.
void PageTree::forget_unused() {
  for (bool removed = true; removed;) {
    removed = false;
    for (std::size_t i = nodes_.size(); i-- > 0;) {
      if (i >= nodes_.size() || nodes_[i]->users > 0 || !nodes_[i]->children.empty()) continue;
      remove(*nodes_[i]);
      removed = true;
    }
  }
  std::erase_if(roots_, [](const auto& e) { return e.second->users == 0 && e.second->children.empty(); });
}

PageTree::Node* PageTree::new_node(Node& parent, const std::array<bool, kMaxKvGroups>& groups) {
  auto node = std::make_unique<Node>();
  node->parent = &parent;
  node->index = nodes_.size();
  node->depth = parent.parent ? parent.depth + 1 : 0;
  node->last_used = clock_;
  node->page.fill(-1);
  Node& added = *node;
  // In the tree before its pages are there, so that nothing that it hangs on is evicted for them.
  parent.children.push_back(&added);
  nodes_.push_back(std::move(node));
  added.users = 1;
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g) {
    if (!groups[at(g)]) continue;
    added.page[at(g)] = allocate(g);
    if (added.page[at(g)] >= 0) continue;
    remove(added);
    return nullptr;
  }
  added.users = 0;
  return &added;
}

std::int32_t PageTree::allocate(int group) {
  Group& g = groups_[at(group)];
  if (g.free.empty() && !evict(group)) return -1;
  const std::int32_t page = g.free.back();
  g.free.pop_back();
  std::erase(g.released, page);
  return page;
}

// A sequence still sees the node's page, will write to it, or does so in the step that comes.
bool PageTree::needed(const Node& node, int group) const {
  const std::int64_t window = groups_[at(group)].window;
  if (node.users == 0) return false;
  if (window == 0) return true;
  bool in_path = false;
  for (const Sequence& s : sequences_) {
    if (node.depth >= std::ssize(s.path) || s.path[at(node.depth)] != &node) continue;
    in_path = true;
    if (recurrent(at(group))) {
      const auto page_of_last = [](std::int64_t length) {
        return length == 0 ? -1 : (length - 1) / kPageTokens;
      };
      if (node.depth == page_of_last(s.before) || node.depth >= page_of_last(s.length)) return true;
    } else if (node.depth >= std::max<std::int64_t>(0, s.before - window + 1) / kPageTokens) {
      return true;
    }
  }
  return !in_path;  // being made
}

// Frees a page: of a group with a window any that is not needed; else of a leaf, as what hangs on a page is
// worth nothing without it.
bool PageTree::evict(int group) {
  const bool slides = groups_[at(group)].window != 0;
  // States that an answer has gone past are worth least: few texts part there.
  const auto worth = [&](const Node& node) {
    const bool passed = recurrent(at(group)) && node.passing && !node.children.empty();
    return std::tuple(!passed, node.last_used, node.depth);
  };
  Node* victim = nullptr;
  for (const auto& node : nodes_) {
    if (node->page[at(group)] < 0 || needed(*node, group) || (!slides && !node->children.empty())) continue;
    if (!victim || worth(*node) < worth(*victim)) victim = node.get();
  }
  if (!victim) return false;
  if (slides)
    drop_page(*victim, group);
  else
    remove(*victim);
  return true;
}

void PageTree::drop_page(Node& node, int group) {
  Group& g = groups_[at(group)];
  std::int32_t& page = node.page[at(group)];
  if (page < 0) return;
  g.free.push_back(page);
  g.released.push_back(page);
  page = -1;
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    const auto& path = sequences_[s].path;
    if (node.depth < std::ssize(path) && path[at(node.depth)] == &node)
      g.table[s * at(stride_) + at(node.depth)] = -1;
  }
}

void PageTree::remove(Node& node) {
  MEDLAR_ASSERT(node.children.empty());
  for (int g = 0; g < static_cast<int>(groups_.size()); ++g) drop_page(node, g);
  std::erase(node.parent->children, &node);
  const std::size_t index = node.index;
  std::swap(nodes_[index], nodes_.back());
  nodes_[index]->index = index;
  nodes_.pop_back();
}

PageTree::Usage PageTree::usage() const {
  Usage most;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    Usage u{.pages = groups_[g].pages};
    for (const auto& node : nodes_)
      if (node->page[g] >= 0) ++(node->users > 0 ? u.used : u.kept);
    if (most.pages == 0 || groups_[g].window == 0 || (g == 1 && recurrent(0))) most = u;
  }
  return most;
}

std::int64_t PageTree::touched(int group) const {
  const Group& g = groups_[at(group)];
  return g.pages - std::ssize(g.free) + std::ssize(g.released);
}

std::vector<std::int32_t> PageTree::take_released(int group) {
  return std::exchange(groups_[at(group)].released, {});
}

}  // namespace medlar
