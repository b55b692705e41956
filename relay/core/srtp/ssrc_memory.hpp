// What a key remembers of SSRCs whose replay lists gave way (SRT-7a).
#pragma once

#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// The indices that an SSRC used under a key in one direction.
struct SsrcRecord {
  Ssrc ssrc;
  /// False: there was no RTP, or no RTCP, and the index below means nothing.
  bool has_rtp = false;
  bool has_rtcp = false;
  /// As in `SrtpStream`.
  bool is_relayed = false;
  bool is_closed = false;
  std::uint32_t timestamp = 0;
  std::uint32_t highest_rtcp = 0;
  std::uint64_t first = 0;
  std::uint64_t highest_rtp = 0;
  bool operator==(const SsrcRecord&) const = default;
};

/// A set of SSRCs in bounded memory (a Bloom filter): whatever was added is contained. What was not added is
/// contained by mistake with a chance of 1 in 100,000 after 35,000 SSRCs, and of 1 in 150 after 100,000.
class SsrcSet {
 public:
  static constexpr std::size_t kWords = 1 << 14;
  /// Gets its memory ready, so that `add` needs none. False: there is none.
  [[nodiscard]] bool prepare() noexcept;
  /// After `prepare`.
  void add(Ssrc ssrc) noexcept;
  [[nodiscard]] bool contains(Ssrc ssrc) const noexcept;
  /// `kWords` of them, or none if nothing was added.
  [[nodiscard]] const std::vector<std::uint64_t>& words() const noexcept { return words_; }
  /// As `words` gave it; another count of words is ignored.
  void restore(const std::vector<std::uint64_t>& words) {
    if (words.size() == kWords) words_ = words;
  }

 private:
  std::vector<std::uint64_t> words_;
};

/// The records of the last 4,096 SSRCs that gave way, and a set of all before them. Every call takes constant
/// time. Allocates when an SSRC gives way, never for a packet.
class SsrcMemory {
 public:
  static constexpr std::size_t kRecords = 4096;

  /// Null: there is no record.
  [[nodiscard]] const SsrcRecord* find(Ssrc ssrc) const noexcept;
  /// The SSRC was used, and nobody knows any more with which indices. Of an SSRC without a record alone.
  [[nodiscard]] bool is_forgotten(Ssrc ssrc) const noexcept { return forgotten_.contains(ssrc); }
  /// Replaces the record of this SSRC. With too many of them the oldest is forgotten. False: there is no
  /// memory, and nothing changed.
  [[nodiscard]] bool keep(const SsrcRecord& record) noexcept;
  void remove(Ssrc ssrc) noexcept;
  /// Nothing more is to be sent under any of them.
  void close_all() noexcept;
  template <class Visit>
  void for_each(Visit visit) const {  // the oldest first
    for (Place at = oldest_; at != kNone; at = nodes_[at].newer) visit(nodes_[at].record);
  }

  struct State {
    std::vector<SsrcRecord> records;       // the oldest first
    std::vector<std::uint64_t> forgotten;  // as `SsrcSet::words`
    bool operator==(const State&) const = default;
  };
  [[nodiscard]] State state() const;
  /// Loads a state into a new object.
  void restore(const State& state);

 private:
  using Place = std::uint16_t;
  static constexpr Place kNone = 0xffff;
  static constexpr std::size_t kChains = 4096;
  struct Node {
    SsrcRecord record;
    Place older = kNone;
    Place newer = kNone;
    Place next = kNone;  // of its chain, or of those that are free
  };
  [[nodiscard]] Place place_of(Ssrc ssrc) const noexcept;
  /// A place for one more record gets its memory. False: there is none.
  [[nodiscard]] bool prepare_place() noexcept;
  void release(Place at) noexcept;

  std::vector<Node> nodes_;
  std::vector<Place> chains_;  // first node by hash; made with the first record
  Place oldest_ = kNone;
  Place newest_ = kNone;
  Place free_ = kNone;
  SsrcSet forgotten_;
};

}  // namespace ferry
