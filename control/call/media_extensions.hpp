// SPDX-License-Identifier: Apache-2.0
// Header extensions of one media: which number each has toward its party, and which are agreed (RFC 8285
// §5-6, EXT-1 to EXT-5). `ExtensionSide` in control/negotiate decides about them. Control thread only.
//
// Each party has numbers of its own, so the relay renumbers the elements of packets (`extension_map`).
#pragma once

#include "control/sdp/extmap.hpp"
#include "relay/core/rtp/header_extensions.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// The URI of the header extension in which a packet names its section by MID (RFC 9143 §15).
inline constexpr std::string_view kMidExtension = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// The header extensions between this relay and one party, for one section. Made with the first description
/// that has an `a=extmap`.
struct MediaExtensions {
  /// One URI and its number. A number that a party had once is never given to another URI (EXT-1), so entries
  /// stay until the party itself uses their number for something else.
  struct Entry {
    /// The name of the extension.
    std::string uri;
    /// 1 to 255; 0 = the party left the choice to us, and we have not made it.
    std::uint8_t id = 0;
    /// The direction in the last offer from or to the party, as the party sees it. Unset = the offer had no
    /// such extension.
    std::optional<sdp::Direction> offered;
    /// The direction that the last answer settled, as the party sees it. Unset = not agreed.
    std::optional<sdp::Direction> agreed;
    /// True if the other side is not told of it, by the party's last offer (key `extmap`, word `mask`).
    bool is_masked = false;
    bool operator==(const Entry&) const = default;
  };
  /// In the order in which the URIs were first named. Empty by default.
  std::vector<Entry> entries;
  /// True once an answer came: `agreed` is in force. Before it, `offered` is.
  bool is_settled = false;
  /// True if numbers above 14 may be given (`a=extmap-allow-mixed`, RFC 8285 §6). The party's own
  /// descriptions set it.
  bool allows_mixed = false;

  /// The entry of a URI; null if there is none. Borrowed until entries are added or removed.
  [[nodiscard]] Entry* find(std::string_view uri);
  [[nodiscard]] const Entry* find(std::string_view uri) const;
  /// What the party may do with an extension now. Unset = nothing.
  [[nodiscard]] std::optional<sdp::Direction> in_force(const Entry& entry) const {
    return is_settled ? entry.agreed : entry.offered;
  }
};

/// The changes that packets of `source` need on their way to `sink`. Null means a party that never spoke of
/// extensions. `same_mid`: both name the section alike, so that the MID element means the same to both
/// (EXT-4).
HeaderExtensionMap extension_map(const MediaExtensions* source, const MediaExtensions* sink, bool same_mid);

}  // namespace ferry
