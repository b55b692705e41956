// SPDX-License-Identifier: Apache-2.0
// The sources that one component has handshakes with. The set is bounded, and a half-open handshake of one
// source keeps no other source out (DTL-4, DTL-13).
#pragma once

#include "relay/core/dtls/handshake.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace ferry {

/// How often one source may begin a handshake (DTL-4): four times in 10 s. If the last one led to nothing,
/// another may follow each second, because somebody else may have spoiled it (DTL-13).
class DtlsStarts {
 public:
  /// True if a handshake may begin now; it is then counted.
  bool take(Instant now) noexcept;
  /// The handshake counted last led to keys.
  void succeed() noexcept { has_succeeded_ = true; }
  /// True if no handshake was counted in the last 10 s.
  [[nodiscard]] bool is_fresh(Instant now) const noexcept;
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    for (Instant& each : starts_) postpone(each, pause);
  }

  static constexpr Duration kTime = std::chrono::seconds(10);

 private:
  static constexpr std::size_t kMost = 4;
  static constexpr Duration kAgain = std::chrono::seconds(1);
  /// When the last handshakes began, in no order.
  std::array<Instant, kMost> starts_{};
  bool has_succeeded_ = false;
};

/// One source and its handshakes: one that is under way, or one that is complete and perhaps another beside
/// it (DTL-11).
struct DtlsParty {
  /// Path to the source and back.
  Path path;
  /// True if the source is signalled or locked; it then keeps its place whatever the others do.
  bool is_named = false;
  /// The complete handshake, or the first one under way.
  DtlsHandshake live;
  /// A handshake under way beside a complete one.
  DtlsHandshake next;
  /// Pieces of its next ClientHello.
  HelloAssembly assembly;
  DtlsStarts starts;
  /// When it was last heard.
  Instant heard{};

  /// The handshake that takes its records; null if it has none.
  [[nodiscard]] DtlsHandshake* taker() noexcept { return next ? &next : live ? &live : nullptr; }
  /// The handshake that began with this message, which comes again; null if there is none.
  [[nodiscard]] DtlsHandshake* begun_with(const ClientHello& hello) noexcept {
    return next.began_with(hello) ? &next : live.began_with(hello) ? &live : nullptr;
  }
  /// Place for the next handshake.
  [[nodiscard]] DtlsHandshake& place() noexcept { return live.is_established() ? next : live; }
  [[nodiscard]] bool is_under_way() const noexcept { return live.is_under_way() || next.is_under_way(); }
};

/// All sources of one channel. Pure; it allocates when a source gets a place. Pointers stay valid until
/// another source takes the place.
class DtlsParties {
 public:
  /// Sources besides the named ones (DTL-13).
  static constexpr std::size_t kMostOthers = 4;

  /// The source that datagrams from `from` belong to; null if it has no place. `is_one`: all sources are one
  /// party, because ICE has authenticated them.
  [[nodiscard]] DtlsParty* find(const Path& from, bool is_one) noexcept;
  /// Finds a source like `find`, or makes a place for it. If all are taken, another source that is not named
  /// gives way: first one without a handshake, then one that has not proved to be there, then the one that
  /// has been silent longest.
  DtlsParty& make(const Path& from, bool is_one, Instant now);
  /// Says which sources are named from now on: those by `way` and from `signalled`.
  void name(const Path& way, const Endpoint& signalled, bool is_one) noexcept;

  /// Removes sources that have no handshake and were not heard for 10 s.
  void forget_idle(Instant now) noexcept;

  /// Calls `visit` with each source.
  template <class Visit>
  void for_each(Visit visit) {
    for (const auto& party : parties_) visit(*party);
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& party : parties_) visit(static_cast<const DtlsParty&>(*party));
  }
  /// True if any source has a handshake under way.
  [[nodiscard]] bool any_under_way() const noexcept {
    return std::ranges::any_of(parties_, [](const auto& party) { return party->is_under_way(); });
  }
  [[nodiscard]] std::size_t size() const noexcept { return parties_.size(); }

 private:
  /// Removes sources that are not named until `more` fit.
  void leave_room_for(std::size_t more) noexcept;
  /// True if the source that uses `path` is named.
  [[nodiscard]] bool is_named(const Path& path, bool is_one) const noexcept {
    return is_one || path == way_ || (signalled_.is_set() && path.peer == signalled_);
  }

  std::vector<std::unique_ptr<DtlsParty>> parties_;
  /// The named sources, as `name` was told last.
  Path way_;
  Endpoint signalled_;
};

}  // namespace ferry
