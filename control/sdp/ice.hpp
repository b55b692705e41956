// SPDX-License-Identifier: Apache-2.0
// Reads the ICE attributes of SDP (RFC 8839). Pure.
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// One a=candidate line over UDP with a numeric address.
struct IceCandidateLine {
  /// 1 = RTP, 2 = RTCP.
  std::uint16_t component = 1;
  std::uint32_t priority = 0;
  Endpoint at;
  bool operator==(const IceCandidateLine&) const = default;
};

/// What a party's SDP says about its ICE.
struct IceDescription {
  /// Credentials; empty = the party has no ICE.
  std::string ufrag;
  std::string password;
  std::vector<IceCandidateLine> candidates;
  /// Further candidates may come later (RFC 8840).
  bool trickles = false;
  /// The party is an ICE-lite agent (RFC 8445 §2.5).
  bool is_lite = false;
  /// True if the party has ICE.
  [[nodiscard]] bool is_there() const { return !ufrag.empty() && !password.empty(); }
  /// True if the credentials are shorter than RFC 8839 §5.4 allows (4 and 22 characters). They are used
  /// nevertheless; `show` and `explain` tell it.
  [[nodiscard]] bool is_too_short() const { return is_there() && (ufrag.size() < 4 || password.size() < 22); }
  bool operator==(const IceDescription&) const = default;
};

/// Reads the ICE attributes of a section. `is_there()` is false if the credentials are missing or longer than
/// RFC 8839 §5.4 allows.
[[nodiscard]] IceDescription read_ice(const MediaSection& section);

/// Parses the value of a=candidate. Nothing for TCP, for host and mDNS names (ICE-5), for components above 2,
/// and for text that cannot be read.
[[nodiscard]] std::optional<IceCandidateLine> parse_candidate(std::string_view value);

/// The lines of a trickle fragment (RFC 8840 §9).
struct IceFragment {
  /// Candidates of the section with this `mid`, or with this index from 0 if it has no mid.
  struct Section {
    std::string mid;
    IceDescription ice;
  };
  /// What stands before the first section. Candidates there are those of a BUNDLE group.
  IceDescription session;
  std::vector<Section> sections;
};
/// Parses a trickle fragment; nothing if a line is no line of SDP.
[[nodiscard]] std::optional<IceFragment> parse_fragment(std::string_view text);

}  // namespace ferry::sdp
