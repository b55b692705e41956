// SPDX-License-Identifier: Apache-2.0
// What the relay remembers of one party beside what is in force: what it was shown, and what its client said.
// Control thread only; the leg owns all of it.
#pragma once

#include "control/request/request.hpp"
#include "relay/base/address.hpp"
#include "relay/core/recording.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// The `o=` and `s=` lines that one leg was shown, which later SDP must go on with
/// (docs/reference/ng.md#replace).
struct OriginMemory {
  /// The user name of `o=` and the text of `s=` that are kept. Empty = none.
  std::string username;
  std::string session_name;
  /// The address of `o=` that is kept. Unset = none.
  IpAddress address;
  /// The version of `o=` that was shown last. Unset = the relay has not counted any.
  std::optional<std::uint64_t> version;
  /// Hash of the SDP that was shown last: the version rises only if it changes.
  std::size_t body_hash = 0;
  /// For a party that one-party commands speak with: user name, session id, address type and address of `o=`
  /// in its first SDP, with blanks between them. Empty for others.
  std::string identity;
};

/// The digits of one party that control the recording.
struct RecordingCodes {
  /// The digits of each action.
  RecordingDigits digits;
  /// The last digits that it pressed.
  std::string pressed;
};

/// Words of an offer that later offers to the same party go on with (docs/reference/ng.md#ice). An offer to
/// the party sets them; an offer with other words changes them. Offers of the party set `ice_lite`, too.
struct KeptWishes {
  /// `ICE=force` or `ICE=remove`. It counts until the party has answered; then the ICE that it uses counts.
  IceWishes::Offer ice = IceWishes::Offer::kAsOffered;
  /// The party is offered no SDES, or no DTLS. False by default.
  bool sdes_off = false;
  bool dtls_off = false;
  /// True if the relay is a lite ICE agent toward the party (key `ICE-lite`).
  bool ice_lite = false;
  bool operator==(const KeptWishes&) const = default;
};

/// The BUNDLE groups that the relay and one party have offered each other (RFC 9143), and the words of the
/// client about them. `Media::via` says which medias share a transport.
struct LegBundle {
  /// How the relay offers the party a BUNDLE group. kNone: not at all. kOffer: each section has ports of its
  /// own until an answer takes the group (word `offer`). kRequire: all sections are on one port (word
  /// `require`).
  enum class Wish : std::uint8_t { kNone, kOffer, kRequire };
  /// Set by the words of an offer, and kept for later offers.
  Wish wish = Wish::kNone;
  /// True if the relay takes the BUNDLE groups of the party's own offers (word `accept`), false if not (word
  /// `reject`). Unset = option `bundle` decides.
  std::optional<bool> is_accepted;
  /// True if the party's last own offer had BUNDLE groups, and the relay took them.
  bool offered_by_peer = false;
  /// True if the party's last own offer had a BUNDLE group with one place for all its sections, and the relay
  /// did not take it. `explain` tells it (BND-9).
  bool refused_to_peer = false;
  /// True if the relay's last offer to the party had a BUNDLE group.
  bool offered_to_peer = false;
  /// MIDs that the party's sections had before they got others, the oldest first; at most 64. No other
  /// section of the party gets one of them (WEB-1).
  std::vector<std::string> former_mids;
};

/// An offer of the party that ended without its answer. A late answer belongs to it.
struct LapsedOffer {
  /// The SDP of the offer, and the order of its m-lines.
  std::string sdp;
  std::vector<unsigned> section_order;
};

}  // namespace ferry
