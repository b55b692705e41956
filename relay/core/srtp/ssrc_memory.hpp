// SPDX-License-Identifier: Apache-2.0
// The memory of a key for SSRCs whose replay lists gave way (SRT-7a).
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// The highest indices that an SSRC used under a key in one direction.
struct SsrcRecord {
  Ssrc ssrc;
  /// False if there was no RTP, or no RTCP; its highest index then means nothing.
  bool has_rtp = false;
  bool has_rtcp = false;
  /// These have the meaning of the same members of `SrtpStream`.
  bool is_relayed = false;
  bool is_closed = false;
  std::uint32_t timestamp = 0;
  std::uint32_t highest_rtcp = 0;
  std::uint64_t first = 0;
  std::uint64_t highest_rtp = 0;
  bool operator==(const SsrcRecord&) const = default;
};

/// A set of SSRCs in bounded memory (a Bloom filter, 128 kB). It contains everything that was added. It also
/// contains an SSRC by mistake: 1 in 100,000 after 35,000 SSRCs, and 1 in 150 after 100,000.
class SsrcSet {
 public:
  static constexpr std::size_t kWords = 1 << 14;
  /// Allocates its memory, so that `add` needs none. False if there is none.
  [[nodiscard]] bool prepare() noexcept;
  /// Adds an SSRC; only after `prepare` returned true.
  void add(Ssrc ssrc) noexcept;
  /// True if the SSRC was added, or rarely by mistake.
  [[nodiscard]] bool contains(Ssrc ssrc) const noexcept;
  /// Its bits: `kWords` words, or none if nothing was added.
  [[nodiscard]] const std::vector<std::uint64_t>& words() const noexcept { return words_; }
  /// Restores what `words` returned. Another number of words is ignored.
  void restore(const std::vector<std::uint64_t>& words) {
    if (words.size() == kWords) words_ = words;
  }

 private:
  std::vector<std::uint64_t> words_;
};

/// Records of the last 4,096 SSRCs that gave way, and a set of all earlier ones. Every call takes constant
/// time. It allocates when an SSRC gives way, never for a packet.
class SsrcMemory {
 public:
  static constexpr std::size_t kRecords = 4096;

  /// The record of an SSRC; null if there is none.
  [[nodiscard]] const SsrcRecord* find(Ssrc ssrc) const noexcept;
  /// True if the SSRC was used but nobody knows its indices any more. Only meaningful for an SSRC without a
  /// record.
  [[nodiscard]] bool is_forgotten(Ssrc ssrc) const noexcept { return forgotten_.contains(ssrc); }
  /// Stores a record, replacing that of the same SSRC. If there are too many, the oldest SSRC is forgotten.
  /// False if there is no memory; nothing changed then.
  [[nodiscard]] bool keep(const SsrcRecord& record) noexcept;
  /// Removes the record of an SSRC, because it has replay lists again.
  void remove(Ssrc ssrc) noexcept;
  /// Nothing more may be sent under any of the SSRCs.
  void close_all() noexcept;
  /// Visits all records, the oldest first.
  template <class Visit>
  void for_each(Visit visit) const {
    for (Place at = oldest_; at != kNone; at = nodes_[at].newer) visit(nodes_[at].record);
  }

  /// Everything as plain values.
  struct State {
    /// The oldest first.
    std::vector<SsrcRecord> records;
    /// Bits of the set, as `SsrcSet::words` returned them.
    std::vector<std::uint64_t> forgotten;
    bool operator==(const State&) const = default;
  };
  /// All that it knows.
  [[nodiscard]] State state() const;
  /// Loads a state into a new object.
  void restore(const State& state);

 private:
  /// Index of a node.
  using Place = std::uint16_t;
  static constexpr Place kNone = 0xffff;
  /// Length of the hash table.
  static constexpr std::size_t kChains = 4096;
  /// A record in two lists: one by age, one of its hash chain.
  struct Node {
    SsrcRecord record;
    Place older = kNone;
    Place newer = kNone;
    /// The next one in its hash chain, or the next free one.
    Place next = kNone;
  };
  /// The node of an SSRC; kNone if it has no record.
  [[nodiscard]] Place place_of(Ssrc ssrc) const noexcept;
  /// Makes sure that a node is free, forgetting the oldest SSRC if necessary. False if there is no memory.
  [[nodiscard]] bool prepare_place() noexcept;
  /// Takes a node out of both lists and frees it.
  void release(Place at) noexcept;

  std::vector<Node> nodes_;
  /// First node of each hash chain; allocated with the first record.
  std::vector<Place> chains_;
  Place oldest_ = kNone;
  Place newest_ = kNone;
  Place free_ = kNone;
  SsrcSet forgotten_;
};

}  // namespace ferry
