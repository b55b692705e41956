// SPDX-License-Identifier: Apache-2.0
// Parses SDP into views of its text (RFC 8866), and interprets the attributes that a relay must understand.
// Pure; safe on any thread.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/base/text.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// Why a body cannot be parsed.
enum class SdpError : std::uint8_t {
  kTooLarge,
  kBadLine,
  kLineBeforeVersion,
  kTooManyMedia,
  kTooManyFormats
};
/// Text for people.
std::string_view to_string(SdpError error) noexcept;

/// Direction of media, from the point of view of the party whose SDP it is (RFC 8866 §6.7).
struct Direction {
  bool send = true;
  bool receive = true;
  bool operator==(const Direction&) const = default;
};
/// The name of the attribute, such as "sendrecv".
std::string_view to_string(Direction direction) noexcept;
/// True if the attribute of that name is a direction.
[[nodiscard]] bool is_direction(std::string_view attribute) noexcept;

/// One a= line. The views point into the body.
struct Attribute {
  /// Names that the relay understands are in small letters, however the line writes them.
  std::string_view name;
  /// Text behind the colon without blanks around it; empty if there is no colon.
  std::string_view value;
  /// The whole text behind "a=" without blanks around it.
  std::string_view text;
};

/// The o= line; the defaults stand for a body without one.
struct Origin {
  std::string_view username = "-";
  std::string_view session_id = "0";
  std::string_view version = "0";
  std::string_view address_type = "IP4";
  std::string_view address = "0.0.0.0";
};

/// One payload format of an RTP section.
struct Codec {
  std::uint8_t payload_type = 0;
  /// Name of the codec: for a static payload type that of RFC 3551, whatever a=rtpmap says; for others as
  /// `encoding_name` gives it. Empty if nothing says what the number means.
  std::string_view name;
  /// As with the name, that of RFC 3551 for a static type.
  std::uint32_t clock_rate_hz = 0;
  std::uint32_t channels = 1;
  /// Text behind the payload type, as written; empty if there is no a=rtpmap.
  std::string_view rtpmap;
  /// Text behind the payload type; empty if there is no a=fmtp.
  std::string_view fmtp;
  /// Texts of a=rtcp-fb behind the payload type.
  std::vector<std::string_view> feedback;
};

/// Kind of a section's protocol.
enum class ProtocolClass : std::uint8_t { kRtp, kUdptl, kOther };

/// What carries a section's protocol (DMX-6).
enum class Carriage : std::uint8_t {
  /// Nobody knows that it is spoken over UDP.
  kUnknown,
  /// RTP or UDPTL over UDP.
  kDatagrams,
  /// Another protocol inside DTLS over UDP.
  kDtls,
  /// BFCP over UDP.
  kBfcp,
  /// SCTP over DTLS (RFC 8841), over UDP or TCP, in the older spelling too.
  kDataChannel,
  kTcp,
};

/// A protocol of an m= line and its properties: SRTP, RTCP feedback (RFC 4585), keys by DTLS.
struct Protocol {
  ProtocolClass kind = ProtocolClass::kOther;
  bool secure = false;
  bool feedback = false;
  bool dtls = false;
  /// The form that is written; for an unknown protocol the text of the SDP.
  std::string_view text;
};
/// True if a receiver with this protocol is a plain phone beside a sender that may be a browser: it has no
/// feedback, and the sender has. Lines for browsers are not shown to it (FB-5).
[[nodiscard]] constexpr bool is_plainer(const Protocol& receiver, const Protocol& sender) noexcept {
  return sender.feedback && !receiver.feedback;
}
/// Looks up a protocol in any case (docs/reference/ng.md#transport-protocol).
Protocol parse_protocol(std::string_view text) noexcept;
/// Tells what carries a protocol, in any case. `TCP` and all names that begin with `TCP/` run over TCP (RFC
/// 4145, RFC 4571).
Carriage carriage_of(std::string_view protocol) noexcept;

/// One m= section. The views point into the body.
struct MediaSection {
  std::string_view type;
  std::uint16_t port = 0;
  /// The port as the m-line has it. `port` is 0 if the section cannot be relayed, like a data channel
  /// (SCT-1).
  std::uint16_t said_port = 0;
  /// Number of ports behind the slash of the m= line.
  unsigned port_count = 1;
  Protocol protocol;
  std::vector<std::string_view> formats;
  /// Address of the section's c= line, else that of the session; unset if neither can be read.
  std::optional<IpAddress> connection;
  /// Values of i= lines.
  std::vector<std::string_view> information;
  std::vector<std::string_view> bandwidth;  // b= values
  std::vector<Attribute> attributes;

  // Attributes that are interpreted: those of the section, and those of the session where the RFCs let them
  // stand for it. Empty texts: there is no such line.
  Direction direction;
  /// A line in the section or the session gives the direction.
  bool has_direction = false;
  std::string_view mid;
  std::string_view label;
  std::optional<Endpoint> rtcp;  // a=rtcp; address unset = that of the media
  bool rtcp_mux = false;
  bool rtcp_reduced_size = false;
  /// There is a=crypto or a=fingerprint, on a plain profile too: best-effort SRTP (OSRTP, RFC 8643).
  bool has_crypto = false;
  /// Values of a=fingerprint.
  std::vector<std::string_view> fingerprints;
  std::string_view setup;
  std::string_view tls_id;
  std::string_view ice_ufrag;
  std::string_view ice_password;
  std::string_view ice_options;
  /// Values of a=candidate.
  std::vector<std::string_view> candidates;
  bool ice_lite = false;
  std::string_view ptime;
  std::string_view maxptime;
  /// RTP only, in the order of `formats`.
  std::vector<Codec> codecs;

  [[nodiscard]] bool is_rtp() const { return protocol.kind == ProtocolClass::kRtp; }
  [[nodiscard]] bool is_data_channel() const { return carriage_of(protocol.text) == Carriage::kDataChannel; }
  /// The first attribute of that name; null if there is none.
  [[nodiscard]] const Attribute* find(std::string_view name) const;
};

/// A parsed body. The views point into it.
struct Session {
  Origin origin;
  std::string_view name = "-";
  /// The i=, u=, e= and p= lines, whole.
  std::vector<std::string_view> descriptive;
  std::vector<std::string_view> bandwidth;  // b= values
  /// Value of the t= line; empty = none.
  std::string_view timing;
  std::vector<Attribute> attributes;
  std::vector<MediaSection> media;
};

/// Bounds of one body (CTL-4, LIM-6): octets, lines, octets of a line, sections, formats of a section.
struct Limits {
  std::size_t bytes = 128 * 1024;
  std::size_t lines = 4096;
  std::size_t line = 8 * 1024;
  std::size_t media = 32;
  std::size_t formats = 64;
  /// Refuses lines that are none of SDP's; by default they are skipped.
  bool strict = false;
  /// Sections whose protocol is not known to run over UDP keep their port (DMX-6). By default they are read
  /// as rejected, except those of type `message`, which are not relayed.
  bool keeps_unknown_protocols = false;
};

/// Parses a body. Line ends may be CR LF, LF or CR; unknown lines are skipped; the text ends at a NUL or an
/// empty line. Blanks and tabs around lines, values and words mean nothing, and neither does an attribute
/// that stands twice in a section. The result points into `text`, which must outlive it. A body without
/// sections is no error.
[[nodiscard]] Result<Session, SdpError> parse(std::string_view text, const Limits& limits = {});

using ferry::equal_ignoring_case;

/// Returns the name under which the relay knows an encoding: old names and dots are replaced (`G729a` and
/// `G.729` are G729). Other names stay as they are.
[[nodiscard]] std::string_view encoding_name(std::string_view written) noexcept;

/// The value of a=rtpmap behind the payload type: `NAME/clock[/channels]`.
struct RtpMap {
  /// As written.
  std::string_view name;
  std::uint32_t clock_rate_hz = 0;
  std::uint32_t channels = 1;
};
/// Reads such a value. Parts that cannot be read keep their defaults.
[[nodiscard]] RtpMap read_rtpmap(std::string_view value) noexcept;

/// True if an answered format is the offered one. A payload type below 35 means the same to everybody (RFC
/// 3551 §6); for others name, clock rate and channels decide. Format parameters do not count, with one
/// exception: if the payload type changed, the events of telephone-event must have been offered (RFC 4733
/// §2.4.1). A list of events that cannot be read says nothing.
bool same_codec(const Codec& offered, const Codec& answered) noexcept;

/// The octet whose repetition is silence in the codec of that name; 0 = there is none.
std::uint8_t silence_octet(std::string_view codec) noexcept;

/// Most octets a second that the codec produces, for LIM-1; a generous value for unknown codecs.
std::uint32_t peak_octets_per_second(const Codec& codec) noexcept;

}  // namespace ferry::sdp
