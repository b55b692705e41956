// SPDX-License-Identifier: Apache-2.0
// The verdicts on a call, as plain values: one for each party, medium and direction.
#pragma once

#include "control/diagnose/causes.hpp"
#include "control/diagnose/hearing.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Direction of a verdict: what comes from the party, or what is sent to it.
enum class MediaDirection : std::uint8_t { kFrom, kTo };
constexpr std::string_view to_string(MediaDirection direction) noexcept {
  return direction == MediaDirection::kFrom ? "from" : "to";
}

/// The verdict on one direction of one m-line.
struct MediaVerdict {
  std::string leg;
  unsigned media = 0;
  std::string type;
  MediaDirection direction = MediaDirection::kFrom;
  Cause cause = Cause::kFine;
  /// Severity and reception of this verdict if they differ from the row of `cause`. Set by the judges; unset
  /// by default.
  std::optional<Severity> graded;
  std::optional<Reception> received;
  /// Set in the verdict of a listener that hears others, but not one of its senders: when a packet of that
  /// sender last left toward the listener; `Instant{}` = never. Unset for all other verdicts.
  std::optional<Instant> one_heard_until;
  /// The verdict at another party that explains this one: for a listener, that of the sender that it does not
  /// hear. Unset if there is none.
  struct Origin {
    std::string leg;
    unsigned media = 0;
    Cause cause = Cause::kFine;
    bool operator==(const Origin&) const = default;
  };
  std::optional<Origin> origin;
  /// The figures behind the verdict; unset if there was no RTP stream to count.
  std::optional<EarFigures> figures;
  /// The verdict in one sentence, and the facts behind it. Both are empty in verdicts of `glance`.
  std::string sentence;
  std::vector<std::string> evidence;

  /// Severity and reception of this verdict.
  [[nodiscard]] Severity severity() const noexcept { return graded.value_or(row_of(cause).severity); }
  [[nodiscard]] Reception reception() const noexcept { return received.value_or(row_of(cause).reception); }
  /// Rank for lists, where the highest is the worst: a fault is above a note, and a listener that hears
  /// nothing above one that hears something.
  [[nodiscard]] int rank() const noexcept {
    return static_cast<int>(severity()) * 4 + static_cast<int>(reception());
  }
};

/// The verdicts on one call: two for each m-line, in the order of the call's legs.
struct Explanation {
  std::string call_id;
  std::vector<MediaVerdict> verdicts;
  /// Severity of `main`; kFine if there is no verdict.
  [[nodiscard]] Severity worst() const noexcept;
  /// The worst verdict by `MediaVerdict::rank`, and among equals that of a listener; null if there is none.
  [[nodiscard]] const MediaVerdict* main() const noexcept;
  /// True if there is no fault and all that was spoken is heard.
  [[nodiscard]] bool is_all_heard() const noexcept;
  /// One sentence for people: that of `main`, or that everybody hears everybody. Empty if there is no
  /// verdict.
  [[nodiscard]] std::string summary() const;
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept;
};

}  // namespace ferry
