// SPDX-License-Identifier: Apache-2.0
// Keeps RTP that overtakes the answer: the callee speaks before its SDP has come (LAT-14).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace ferry {

/// Memory that the kept packets of one worker use. One object for each worker; it must outlive the worker's
/// `EarlyMedia` objects.
struct EarlyBudget {
  static constexpr std::size_t kMost = std::size_t{8} * 1024 * 1024;  // LAT-14
  /// Octets in use now.
  std::size_t used = 0;
};

/// Keeps what arrives at one component while its party has not answered, without letting anybody hear it.
/// Once the answer says who the party is, the packets of that source go out in order, at twice their speed.
///
/// Pure: no clock, no socket, no judgement of who may speak. Datagrams are copied as they came, so SRTP whose
/// key comes with the answer can be kept too. It allocates when a source is new or its packets get longer;
/// all its memory counts in the budget until the destructor gives it back. One object for each component,
/// owned by one worker.
class EarlyMedia {
 public:
  /// Sources kept at a time.
  static constexpr std::size_t kSources = 4;
  /// Packets kept of each source; the oldest gives way.
  static constexpr std::size_t kPackets = 25;
  /// Packets older than this, counted back from the source's newest one, are dropped.
  static constexpr Duration kTime = std::chrono::milliseconds(500);

  /// `budget` is the worker's and must outlive this object.
  explicit EarlyMedia(EarlyBudget& budget) : budget_(&budget) {}
  ~EarlyMedia() { drop_all(); }
  EarlyMedia(const EarlyMedia&) = delete;
  EarlyMedia& operator=(const EarlyMedia&) = delete;

  /// Answer of `keep`.
  enum class KeepResult : std::uint8_t {
    kKept,
    kTooManySources,  ///< four others sent within the last half second, or another one is being released
    kNoRoom,          ///< the budget is used up
  };
  /// Copies a datagram. Older packets of its source give way to it. With four sources already, one that has
  /// been silent for `kTime` gives way too. Whatever gives way counts as dropped. May throw std::bad_alloc;
  /// the budget is right even then.
  [[nodiscard]] KeepResult keep(const Endpoint& from, Bytes datagram, Instant now);

  /// Begins to release packets, because the answer came. `rank_of(from)` says how well a source fits the
  /// answer; 0 means that it is not the party. The source with the best rank goes out, the most recent one of
  /// equals; the packets of all others are dropped.
  template <class RankOf>
  void release(RankOf rank_of, Instant now) {
    Source* best = nullptr;
    unsigned best_rank = 0;
    for (const auto& source : sources_) {
      const unsigned rank = rank_of(std::as_const(source->from));
      const bool better =
          rank > best_rank || (best != nullptr && rank == best_rank && source->newest > best->newest);
      if (rank == 0 || !better) continue;
      best = source.get();
      best_rank = rank;
    }
    let_out(best, now);
  }
  /// True while a source is being released, and until its next live packet can no longer come too early.
  [[nodiscard]] bool is_releasing() const noexcept { return is_releasing_; }
  /// The source that is being released; unset if there is none.
  [[nodiscard]] Endpoint released() const noexcept {
    return is_releasing_ && !sources_.empty() ? sources_.front()->from : Endpoint{};
  }
  /// Asked when a live packet of the source arrives that is being released. True if nothing kept is left, so
  /// that the packet may go its normal way. False if it must be kept, to go out behind the others.
  [[nodiscard]] bool has_caught_up(Instant now) const noexcept;
  /// When the next packet is to go out or the release ends; nothing if no source is being released.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  /// The packet that is due now; empty if none is. Borrowed until the next call of a function that changes
  /// this object.
  [[nodiscard]] Bytes next(Instant now) const noexcept;
  /// Removes the packet that `next` returned, because it went out.
  void pop(Instant now) noexcept;
  /// True if nothing is left to release and the next live packet can no longer come too early.
  [[nodiscard]] bool is_over(Instant now) const noexcept;

  /// Drops what was kept of a source that is heard directly by now: it would come too late.
  void forget(const Endpoint& from) noexcept;
  /// Number of packets dropped unheard since the previous call.
  [[nodiscard]] std::uint32_t take_dropped() noexcept { return std::exchange(dropped_, 0u); }
  /// Drops everything that is kept.
  void drop_all() noexcept;
  /// Number of packets that are kept now.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  /// Place for one packet.
  struct Slot {
    /// The datagram. Its capacity is kept for the next packet in this slot.
    std::vector<std::byte> octets;
    Instant arrived{};
  };
  /// The packets of one source, in a ring.
  struct Source {
    Endpoint from;
    std::array<Slot, kPackets> slots;
    /// Slot of the oldest packet.
    std::size_t first = 0;
    std::size_t count = 0;
    /// When its newest packet arrived.
    Instant newest{};
    /// The packet at place `n`, counted from the oldest one.
    [[nodiscard]] Slot& at(std::size_t n) noexcept { return slots[(first + n) % kPackets]; }
    [[nodiscard]] const Slot& at(std::size_t n) const noexcept { return slots[(first + n) % kPackets]; }
    /// Removes the oldest packet.
    void pop() noexcept {
      first = (first + 1) % kPackets;
      --count;
    }
  };

  /// Finds the source or makes a place for it. Null if there is none; `why_not` then says why.
  Source* find_or_make(const Endpoint& from, Instant now, KeepResult& why_not);
  /// Keeps only `source` and begins to release it; null drops all.
  void let_out(Source* source, Instant now) noexcept;
  /// Drops a source with its packets, and gives their memory back to the budget.
  void erase(std::size_t index) noexcept;
  /// When a packet that arrived at `arrived` goes out: the gap to the packet before it is halved, which is
  /// twice real time (LAT-14).
  [[nodiscard]] Instant due_of(Instant arrived) const noexcept;

  EarlyBudget* budget_;
  /// The sources with kept packets; just one while it is being released.
  std::vector<std::unique_ptr<Source>> sources_;
  /// Number of packets that `take_dropped` will return.
  std::uint32_t dropped_ = 0;
  bool is_releasing_ = false;
  /// When the answer came.
  Instant released_at_{};
  /// When the last kept packet went out; `Instant{}` = none yet.
  Instant last_sent_{};
  /// Arrival of that packet.
  Instant last_arrival_{};
};

}  // namespace ferry
