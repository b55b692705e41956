// ICE attributes (RFC 8839).
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// One a=candidate of UDP with a numeric address.
struct IceCandidateLine {
  std::uint16_t component = 1;
  std::uint32_t priority = 0;
  Endpoint at;
  bool operator==(const IceCandidateLine&) const = default;
};

/// What a party says of its ICE.
struct IceDescription {
  std::string ufrag;
  std::string password;
  std::vector<IceCandidateLine> candidates;
  bool trickles = false;
  bool is_lite = false;
  [[nodiscard]] bool is_there() const { return !ufrag.empty() && !password.empty(); }
  /// Shorter than RFC 8839 §5.4 allows (4 and 22 characters): used all the same, and told by `show`,
  /// `explain`.
  [[nodiscard]] bool is_too_short() const { return is_there() && (ufrag.size() < 4 || password.size() < 22); }
  bool operator==(const IceDescription&) const = default;
};

/// The ICE attributes of a section. `is_there()` is false if the credentials are missing or longer than they
/// may be (RFC 8839 §5.4).
[[nodiscard]] IceDescription read_ice(const MediaSection& section);

/// Of an a=candidate value. Nothing for TCP, host and mDNS names (ICE-5), components above 2, and what cannot
/// be read.
[[nodiscard]] std::optional<IceCandidateLine> parse_candidate(std::string_view value);

/// Lines of a trickle fragment (RFC 8840 §9): candidates of the section with this `mid`, or with this index
/// from 0 if it has none.
struct IceFragment {
  struct Section {
    std::string mid;
    IceDescription ice;
  };
  std::vector<Section> sections;
};
/// Nothing if there is a line that is none of SDP's.
[[nodiscard]] std::optional<IceFragment> parse_fragment(std::string_view text);

}  // namespace ferry::sdp
