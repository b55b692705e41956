// The sources that one component has handshakes with: a bounded set, so that nobody's half-open handshake
// keeps another source out (DTL-4, DTL-13).
#pragma once

#include "relay/core/dtls/handshake.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

namespace ferry {

/// How often one source may begin (DTL-4): the first handshake and three more in 10 s. Where the last one
/// came to nothing another may follow each second, because somebody else may have spoiled it (DTL-13).
class DtlsStarts {
 public:
  /// Whether one may begin now, which is then counted.
  bool take(Instant now) noexcept;
  /// The last one came to keys.
  void succeed() noexcept { has_succeeded_ = true; }
  /// No handshake was counted in the last 10 s.
  [[nodiscard]] bool is_fresh(Instant now) const noexcept;
  /// Time passed in which nobody listened (C-13).
  void skip(Duration pause) noexcept {
    for (Instant& each : starts_) postpone(each, pause);
  }

  static constexpr Duration kTime = std::chrono::seconds(10);

 private:
  static constexpr std::size_t kMost = 4;
  static constexpr Duration kAgain = std::chrono::seconds(1);
  std::array<Instant, kMost> starts_{};
  bool has_succeeded_ = false;
};

/// One source. It has a handshake that is under way, or one that is complete and perhaps another beside it
/// (DTL-11).
struct DtlsParty {
  Path path;
  /// Signalled, or locked: it keeps its place whatever the others do.
  bool is_named = false;
  DtlsHandshake live;
  DtlsHandshake next;
  HelloAssembly assembly;
  DtlsStarts starts;
  Instant heard{};

  /// Whose records it takes; null if it has no handshake.
  [[nodiscard]] DtlsHandshake* taker() noexcept { return next ? &next : live ? &live : nullptr; }
  /// The handshake whose first message comes again; null if there is none.
  [[nodiscard]] DtlsHandshake* begun_with(const ClientHello& hello) noexcept {
    return next.began_with(hello) ? &next : live.began_with(hello) ? &live : nullptr;
  }
  /// Where the next handshake goes.
  [[nodiscard]] DtlsHandshake& place() noexcept { return live.is_established() ? next : live; }
  [[nodiscard]] bool is_under_way() const noexcept { return live.is_under_way() || next.is_under_way(); }
};

/// Pure; allocates when a source gets a place. Owned by one channel. Pointers are good until `clear`, or
/// until another source takes the place.
class DtlsParties {
 public:
  /// Beside those that are named (DTL-13).
  static constexpr std::size_t kMostOthers = 4;

  /// The source that datagrams from `from` belong to; null if it has no place. `is_one`: all sources are one
  /// party (ICE has authenticated them).
  [[nodiscard]] DtlsParty* find(const Path& from, bool is_one) noexcept;
  /// As `find`, but it gets a place: that of another source which is not named, if all are taken. Sources
  /// without a handshake give way first, then those that have not proved to be there, then those that have
  /// been silent longest.
  DtlsParty& make(const Path& from, bool is_one, Instant now);
  /// Which sources are named from now on: those by `way` and from `signalled`.
  void name(const Path& way, const Endpoint& signalled, bool is_one) noexcept;

  /// Sources that have no handshake, and that have begun none for 10 s, leave.
  void forget_idle(Instant now) noexcept;

  template <class Visit>
  void for_each(Visit visit) {
    for (const auto& party : parties_) visit(*party);
  }
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& party : parties_) visit(static_cast<const DtlsParty&>(*party));
  }
  [[nodiscard]] bool any_under_way() const noexcept {
    return std::ranges::any_of(parties_, [](const auto& party) { return party->is_under_way(); });
  }
  [[nodiscard]] std::size_t size() const noexcept { return parties_.size(); }

 private:
  /// Others than the named ones leave until there is room for `more`.
  void leave_room_for(std::size_t more) noexcept;
  [[nodiscard]] bool is_named(const Path& path, bool is_one) const noexcept {
    return is_one || path == way_ || (signalled_.is_set() && path.peer == signalled_);
  }

  std::vector<std::unique_ptr<DtlsParty>> parties_;
  Path way_;
  Endpoint signalled_;
};

}  // namespace ferry
