// RTP that overtakes the answer (media-security LAT-14): the callee speaks before its SDP has come.
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

/// Octets that the kept packets of one worker take. One for each worker; outlives its `EarlyMedia`.
struct EarlyBudget {
  static constexpr std::size_t kMost = std::size_t{8} * 1024 * 1024;  // LAT-14
  std::size_t used = 0;
};

/// Keeps what arrives at one component while its party has not answered, unheard, and lets it out in order
/// and slowly once the answer says who the party is.
///
/// Pure: no clock, no socket, no judgement of who may speak. Datagrams are copied as they came, so that SRTP
/// whose keys come with the answer is kept too. Allocates when a source is new or its packets get longer.
/// Everything it takes counts in the budget, which gets it back with the destructor. One for each component,
/// owned by one worker.
class EarlyMedia {
 public:
  static constexpr std::size_t kSources = 4;                         // LAT-14
  static constexpr std::size_t kPackets = 25;                        // LAT-14, the newest of each source
  static constexpr Duration kTime = std::chrono::milliseconds(500);  // LAT-14, from its newest packet back

  explicit EarlyMedia(EarlyBudget& budget) : budget_(&budget) {}
  ~EarlyMedia() { drop_all(); }
  EarlyMedia(const EarlyMedia&) = delete;
  EarlyMedia& operator=(const EarlyMedia&) = delete;

  enum class Kept : std::uint8_t {
    kKept,
    kTooManySources,  ///< four others sent within the last half second, or another one is let out
    kNoRoom,          ///< the budget is used up
  };
  /// Copies a datagram. Older ones of its source give way to it, and so does a source that has been silent
  /// for `kTime` if there are four already; both count as dropped.
  [[nodiscard]] Kept keep(const Endpoint& from, Bytes datagram, Instant now);

  /// The answer came. `rank_of(from)` is how good a source is by it; 0: it is not the party. The best one is
  /// let out, the newest of equals; the others are dropped.
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
  /// Something is let out, or was a moment ago.
  [[nodiscard]] bool is_releasing() const noexcept { return is_releasing_; }
  /// Whose packets are let out; unset if nobody's.
  [[nodiscard]] Endpoint released() const noexcept {
    return is_releasing_ && !sources_.empty() ? sources_.front()->from : Endpoint{};
  }
  /// A packet of the source that is let out arrives: true if nothing of it waits any more, so that the packet
  /// goes its way and this is over. Else it has to be kept, and comes out behind the others.
  [[nodiscard]] bool has_caught_up(Instant now) const noexcept;
  /// When the next packet is to go out, or all is over; unset if nothing is let out.
  [[nodiscard]] std::optional<Instant> due() const noexcept;
  /// The packet that is due, or an empty span. Borrowed until the next call of anything else.
  [[nodiscard]] Bytes next(Instant now) const noexcept;
  /// It went out.
  void pop(Instant now) noexcept;
  /// Nothing is left to let out, and the next packet cannot come too early any more.
  [[nodiscard]] bool is_over(Instant now) const noexcept;

  /// A source is heard by now: what was kept of it would come too late.
  void forget(const Endpoint& from) noexcept;
  /// Packets that were dropped since the last call, and never heard.
  [[nodiscard]] std::uint32_t take_dropped() noexcept { return std::exchange(dropped_, 0u); }
  /// Drops everything that is kept.
  void drop_all() noexcept;
  /// Packets that are kept now.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  struct Slot {
    std::vector<std::byte> octets;  // its capacity is kept for the next packet
    Instant arrived{};
  };
  struct Source {
    Endpoint from;
    std::array<Slot, kPackets> slots;  // a ring
    std::size_t first = 0;
    std::size_t count = 0;
    Instant newest{};  // when its newest packet arrived
    [[nodiscard]] Slot& at(std::size_t n) noexcept { return slots[(first + n) % kPackets]; }
    [[nodiscard]] const Slot& at(std::size_t n) const noexcept { return slots[(first + n) % kPackets]; }
    void pop() noexcept {
      first = (first + 1) % kPackets;
      --count;
    }
  };

  Source* find_or_make(const Endpoint& from, Instant now, Kept& why_not);
  void let_out(Source* source, Instant now) noexcept;
  void erase(std::size_t index) noexcept;
  /// Half the time between two arrivals later: twice real time (LAT-14).
  [[nodiscard]] Instant due_of(Instant arrived) const noexcept;

  EarlyBudget* budget_;
  std::vector<std::unique_ptr<Source>> sources_;  // while something is let out: one
  std::uint32_t dropped_ = 0;
  bool is_releasing_ = false;
  Instant released_at_{};   // when the answer came
  Instant last_sent_{};     // of the packet that went out last; unset: none did
  Instant last_arrival_{};  // and when that had arrived
};

}  // namespace ferry
