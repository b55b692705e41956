// Writes the SDP that a party is shown, in the line order of the NG reference, section 8.
#pragma once

#include "control/sdp/sdp.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// What the relay decided about one section; everything else is copied from the sender's section.
struct SectionEdit {
  /// Section of the sender that this one shows; nullptr = the sender left it out (printed with port 0).
  const MediaSection* source = nullptr;
  /// Type, protocol and formats of a section without source.
  std::string type;
  std::string protocol_text;
  std::vector<std::string> formats;

  std::uint16_t port = 0;  // 0 = rejected: nothing but m=, c=, mid and label is printed
  /// Rejected without a c= line: its media is in the section beside it.
  bool merged = false;
  /// Not relayed at all: address, port and attributes of the sender go out as they came (`message`).
  bool untouched = false;
  IpAddress connection;  // address to print
  Protocol protocol;
  std::string_view mid;  // empty = none
  std::string_view label;
  std::vector<std::string_view> extmaps;  // RTP: values of the a=extmap lines that stay
  std::vector<Codec> codecs;              // RTP: what is left of the formats, in order
  /// RTP: whether `direction` is printed, once. Other sections have the sender's own line, if there is one.
  bool print_direction = true;
  Direction direction;
  std::optional<std::uint16_t> rtcp_port;  // a=rtcp; nothing = no line
  bool rtcp_full_form = false;
  bool rtcp_mux = false;
  /// RTP: values of a=crypto lines.
  std::vector<std::string> crypto;
  /// RTP: values of a=setup, a=fingerprint and a=tls-id; empty = no line.
  struct Dtls {
    std::string setup;
    std::string fingerprint;
    std::string tls_id;
  };
  Dtls dtls;
  /// RTP: a=ice-ufrag, a=ice-pwd, values of a=candidate; nothing without `ufrag`.
  struct Ice {
    std::string ufrag;
    std::string password;
    std::vector<std::string> candidates;
    bool trickles = false;
    /// Value of a=remote-candidates; empty = no line.
    std::string remote_candidates;
  };
  Ice ice;
  std::string_view ptime;  // empty = none
  std::string_view maxptime;
};

struct SessionEdit {
  Origin origin;
  std::string_view name;
  std::vector<std::string> extra_attributes;  // whole lines after "a="
  std::vector<SectionEdit> sections;
};

[[nodiscard]] std::string write(const Session& source, const SessionEdit& edit);

/// An opus fmtp in the order that present relays print it; other parameters keep their place at the end.
std::string canonical_opus_fmtp(std::string_view fmtp);

}  // namespace ferry::sdp
