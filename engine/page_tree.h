// The bookkeeping of the KV cache: the pages of all timelines as one tree, so that timelines that begin alike
// share what they share (Kwon et al., PagedAttention, 2023; Zheng et al., SGLang, 2024). The bytes are the
// Program's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/step.h"

namespace medlar {

using kernels::kMaxKvGroups;
using kernels::kPageTokens;

// Pages a sequence of `tokens` positions needs in a group with this window (0: all positions are kept), when
// at most `batch` tokens are written at once.
std::int32_t kv_pages_needed(std::int64_t tokens, std::int64_t window, std::int64_t batch);

// The same of a group of recurrent layers: for each sequence the state before a step and that behind it, and
// `kept` more for others.
constexpr std::int32_t state_pages_needed(std::int32_t sequences, std::int32_t kept) {
  return 2 * sequences + kept;
}

// Positions of a group's sliding window that can be rewound without reading the text again, beyond the
// window.
inline constexpr std::int64_t kRewindSlack = 4 * kPageTokens;

struct PageTreeOptions {
  std::vector<std::int64_t> windows;  // of each group; 0: keeps everything; kRecurrent: states
  std::vector<std::int32_t> pages;    // of each group
  std::int32_t max_sequences = 1;
  std::int64_t max_positions = 0;  // of one sequence
  // Copies the bytes of a page to another of its group.
  std::function<void(int group, std::int32_t from, std::int32_t to)> copy_page;
};

// Where a timeline leaves all that are known: the first token that differs, and those that were there.
struct Divergence {
  std::int64_t position = 0;
  std::vector<std::int32_t> cached;  // from that position on; at least one
};

// A sequence is a path from a scope's root; every node is one page of tokens. Only the last node of a path
// may have room left; while it has, it is of one sequence alone. Nodes that no sequence uses stay until their
// pages are needed, the least recently used first. In groups with a window, pages that no sequence can see
// any more go the same way, each by itself.
//
// In a group of recurrent layers a node's page is a snapshot of the state after all of its tokens. A sequence
// can only begin where there is one: where its tokens part from those that are known, the nearest before
// that. Steps leave them behind where they end, where they cross the end of a page that has one, and at the
// end of the last page before their end. As copies of a node's page are of the whole of it, no state is ever
// of other tokens than its node's.
class PageTree {
 public:
  explicit PageTree(PageTreeOptions options);
  ~PageTree();

  // The page tables to hand to a step; row s is sequence s.
  kernels::PageTable table(int group) const;
  std::int64_t length(int sequence) const { return sequences_[at(sequence)].length; }

  struct Begun {
    std::int64_t cached = 0;  // tokens that the sequence now has
    std::optional<Divergence> divergence;
  };
  // Sequence `s`, which is empty, takes what the tree has of `tokens`, in pages of the same scope only. A
  // part of a page is copied.
  Begun begin(int s, std::string_view scope, std::span<const std::int32_t> tokens);
  // How many begin() would take, without a part of a page.
  std::int64_t cached(std::string_view scope, std::span<const std::int32_t> tokens) const;

  // A page that nobody has computed here: the last of the whole pages `tokens`, the others of which are
  // there. Its pages of those groups for which `has` is set, to be written at once; or nothing, where it
  // cannot be.
  using GroupPages = std::array<std::int32_t, kMaxKvGroups>;
  std::optional<GroupPages> adopt(std::string_view scope, std::span<const std::int32_t> tokens,
                                  const std::array<bool, kMaxKvGroups>& has);

  // Makes room for the tokens at the sequence's end. False when there are not enough pages, or more than
  // max_positions; then nothing changed. Their keys and values must be written before anyone else begins.
  bool extend(int s, std::span<const std::int32_t> tokens);
  // Sequence `to`, which is empty, becomes a copy of `from`. False when there is no page for the part of one.
  bool fork(int from, int to);
  // The sequence is empty again; what it had stays for others.
  void end(int s);
  // Forgets what no sequence uses; of all scopes.
  void forget_unused();

  // Pages in use by sequences, and kept for others, of the group that keeps most.
  struct Usage {
    std::int64_t used = 0, kept = 0, pages = 0;
  };
  Usage usage() const;

  // Of a group: pages whose memory is in use, or was and has not been taken since.
  std::int64_t touched(int group) const;
  // Pages that became free since the last call and whose memory nobody needs, by group.
  std::vector<std::int32_t> take_released(int group);

 private:
  struct Node;
  struct Group {
    std::int64_t window;
    std::int32_t pages;
    std::vector<std::int32_t> table;  // (max_sequences, stride), -1: no page
    std::vector<std::int32_t> free;
    std::vector<std::int32_t> released;
  };
  struct Sequence {
    std::int64_t length = 0;
    std::int64_t before = 0;  // its length before the tokens that the last extend() added
    std::vector<Node*> path;  // a node for each page
    Node* root = nullptr;
  };
  struct Found {
    std::vector<Node*> path;  // whole pages
    Node* part = nullptr;     // a page of which `part_tokens` fit
    std::int64_t part_tokens = 0;
    std::int64_t length = 0;
  };

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  Found find(const Node& root, std::span<const std::int32_t> tokens) const;
  void shorten_to_complete(Found& found) const;
  std::optional<Divergence> divergence(const Node& root, const Found& found) const;
  bool take_part(int s, Node& part, std::int64_t tokens);
  void push(int s, Node& node);
  void pop(int s);
  bool recurrent(std::size_t group) const { return groups_[group].window == kernels::kRecurrent; }
  bool add_page(int s, bool last, bool keep_state);
  bool complete(const Found& found) const;
  // A child of `parent` with a page in each of these groups; null: no page left.
  Node* new_node(Node& parent, const std::array<bool, kMaxKvGroups>& groups);
  std::int32_t allocate(int group);
  bool evict(int group);
  void settle(Node& node);
  void drop_page(Node& node, int group);
  void remove(Node& node);
  bool needed(const Node& node, int group) const;

  PageTreeOptions options_;
  std::int64_t stride_;
  std::vector<Group> groups_;
  std::vector<Sequence> sequences_;
  std::map<std::string, std::unique_ptr<Node>, std::less<>> roots_;
  std::vector<std::unique_ptr<Node>> nodes_;  // all but the roots
  std::uint64_t clock_ = 0;
};

}  // namespace medlar
