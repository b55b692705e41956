// SPDX-License-Identifier: Apache-2.0
// Writes the SDP that a party is shown, with its lines in the order of docs/reference/ng.md#sdp. Pure.
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// What the relay decided about one section. All else is copied from the sender's section. Views must outlive
/// `write`.
struct SectionEdit {
  /// Section of the sender that this one shows; null = the sender left it out, and it is written with port 0.
  const MediaSection* source = nullptr;
  /// Type, protocol and formats of a section without `source`.
  std::string type;
  std::string protocol_text;
  std::vector<std::string> formats;

  /// 0 = rejected: only m=, c=, mid and label are written, unless `bundle_only` is set.
  std::uint16_t port = 0;
  /// True if the receiver may accept the section only inside its BUNDLE group: a=bundle-only is written (RFC
  /// 9143 §6).
  bool bundle_only = false;
  /// True if the section is not rejected.
  [[nodiscard]] bool is_alive() const { return port != 0 || bundle_only; }
  /// Rejected without a c= line: its media is in the section beside it.
  bool merged = false;
  /// Not relayed at all (type `message`): address, port and attributes of the sender are copied.
  bool untouched = false;
  /// With `untouched`: the parties do ICE and agree on keys with each other. Their lines about that are
  /// copied from the session level, too, and the candidates of `ice` are added.
  bool passes_through = false;
  /// With `passes_through`: the party's relayed candidates are left out, or all that it says of ICE.
  bool leaves_out_relayed = false;
  bool leaves_out_ice = false;
  /// Address of the c= line.
  IpAddress connection;
  Protocol protocol;
  /// Empty = none.
  std::string_view mid;
  std::string_view label;
  /// For RTP: values of the a=extmap lines that stay.
  std::vector<std::string_view> extmaps;
  /// For RTP: a=extmap-allow-mixed is written even if the source has no such line.
  bool allows_mixed_extensions = false;
  /// For RTP: the formats that are left, in order.
  std::vector<Codec> codecs;
  /// For RTP: write `direction`, once. Other sections have the sender's own line, if there is one.
  bool print_direction = true;
  Direction direction;
  /// Port of a=rtcp; unset = no line.
  std::optional<std::uint16_t> rtcp_port;
  /// The a=rtcp line has the address, too.
  bool rtcp_full_form = false;
  bool rtcp_mux = false;
  /// For RTP: values of the a=crypto lines.
  std::vector<std::string> crypto;
  /// For RTP: values of a=setup, a=fingerprint and a=tls-id; empty = no line.
  struct Dtls {
    std::string setup;
    std::string fingerprint;
    std::string tls_id;
  };
  Dtls dtls;
  /// For RTP: values of a=ice-ufrag, a=ice-pwd and a=candidate; none is written if `ufrag` is empty.
  struct Ice {
    std::string ufrag{};
    std::string password{};
    std::vector<std::string> candidates{};
    bool trickles = false;
    /// a=ice-options has the word `ice2` (RFC 8445 §10).
    bool says_ice2 = false;
    /// We are a lite agent: a=ice-lite is written at session level (RFC 8839 §5.3).
    bool is_lite = false;
    /// Value of a=remote-candidates; empty = no line.
    std::string remote_candidates{};
  };
  Ice ice;
  /// Empty = no line.
  std::string_view ptime;
  std::string_view maxptime;
};

/// What the relay decided about the session level, and about each section.
struct SessionEdit {
  Origin origin;
  std::string_view name;
  /// Values of `a=group:BUNDLE` lines: the MIDs of each group, with blanks between them. Empty = no group.
  std::vector<std::string> bundle_groups;
  /// The groups are the source's own instead, as it wrote them.
  bool keeps_groups = false;
  /// Text behind "a=" of further lines.
  std::vector<std::string> extra_attributes;
  std::vector<SectionEdit> sections;
};

/// Writes a body: lines of `source` with the decisions of `edit`.
[[nodiscard]] std::string write(const Session& source, const SessionEdit& edit);

/// Returns an a=fmtp of Opus with its parameters in the order that present relays use; unknown ones follow in
/// their own order.
std::string canonical_opus_fmtp(std::string_view fmtp);

}  // namespace ferry::sdp
