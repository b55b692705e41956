// SDP as views into its text (RFC 8866), with the attributes that a relay must understand interpreted.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/base/text.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

enum class SdpError : std::uint8_t {
  kTooLarge,
  kBadLine,
  kLineBeforeVersion,
  kTooManyMedia,
  kTooManyFormats
};
std::string_view to_string(SdpError error) noexcept;

/// Who sends, from the point of view of the party whose SDP it is.
struct Direction {
  bool send = true;
  bool receive = true;
  bool operator==(const Direction&) const = default;
};
std::string_view to_string(Direction direction) noexcept;
/// Whether an attribute with this name says a direction.
[[nodiscard]] bool is_direction(std::string_view attribute) noexcept;

struct Attribute {
  /// Names that the relay understands are in small letters, however the line writes them.
  std::string_view name;
  std::string_view value;  // after the colon, without blanks around it; empty without one
  std::string_view text;   // the whole line after "a=", without blanks around it
};

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
  /// Of a static type that of RFC 3551, whatever a=rtpmap says; of others as `encoding_name` has it. Empty if
  /// nothing says what the number means.
  std::string_view name;
  std::uint32_t clock_rate_hz = 0;  // like the name: that of RFC 3551 for a static type
  std::uint32_t channels = 1;
  std::string_view rtpmap;                 // value after the payload type, as written; empty without the line
  std::string_view fmtp;                   // value after the payload type
  std::vector<std::string_view> feedback;  // rtcp-fb values after the payload type
};

enum class ProtocolClass : std::uint8_t { kRtp, kUdptl, kOther };

/// What carries a protocol that is not RTP (DMX-6).
enum class Carriage : std::uint8_t {
  kUnknown,      // nobody knows that it is spoken over UDP
  kDatagrams,    // over UDP: RTP, UDPTL
  kDtls,         // inside DTLS over UDP
  kBfcp,         // BFCP over UDP
  kDataChannel,  // SCTP over DTLS (RFC 8841), over UDP or TCP, in the older spelling too
  kTcp,
};

struct Protocol {
  ProtocolClass kind = ProtocolClass::kOther;
  bool secure = false;
  bool feedback = false;
  bool dtls = false;
  /// Printed form; for unknown protocols the text of the SDP.
  std::string_view text;
};
/// Looks a protocol up without regard to case (NG reference 7.7).
Protocol parse_protocol(std::string_view text) noexcept;
/// Without regard to case. `TCP` and all that begins with `TCP/` runs over TCP (RFC 4145, RFC 4571).
Carriage carriage_of(std::string_view protocol) noexcept;

struct MediaSection {
  std::string_view type;
  std::uint16_t port = 0;
  unsigned port_count = 1;
  Protocol protocol;
  std::vector<std::string_view> formats;
  std::optional<IpAddress> connection;
  std::vector<std::string_view> information;  // i= values
  std::vector<std::string_view> bandwidth;    // b= values
  std::vector<Attribute> attributes;

  // Interpreted; media level first, session level as fallback where the RFCs say so.
  Direction direction;
  bool has_direction = false;  // a line in the section or the session says it
  std::string_view mid;
  std::string_view label;
  std::optional<Endpoint> rtcp;  // a=rtcp; address unset = that of the media
  bool rtcp_mux = false;
  bool rtcp_reduced_size = false;
  bool has_crypto = false;  // a=crypto or a=fingerprint: best-effort SRTP on a plain profile (OSRTP)
  std::vector<std::string_view> fingerprints;  // a=fingerprint values
  std::string_view setup;
  std::string_view tls_id;
  std::string_view ice_ufrag;
  std::string_view ice_password;
  std::string_view ice_options;
  std::vector<std::string_view> candidates;  // a=candidate values
  bool ice_lite = false;
  std::string_view ptime;
  std::string_view maxptime;
  std::vector<Codec> codecs;  // RTP only, in order of `formats`

  [[nodiscard]] bool is_rtp() const { return protocol.kind == ProtocolClass::kRtp; }
  [[nodiscard]] bool is_data_channel() const { return carriage_of(protocol.text) == Carriage::kDataChannel; }
  [[nodiscard]] const Attribute* find(std::string_view name) const;
};

struct Session {
  Origin origin;
  std::string_view name = "-";
  std::vector<std::string_view> descriptive;  // i=, u=, e=, p= lines, whole
  std::vector<std::string_view> bandwidth;    // b= values
  std::string_view timing;                    // t= value; empty = none
  std::vector<Attribute> attributes;
  std::vector<MediaSection> media;
};

/// Bounds of one body (media-security CTL-4, LIM-6).
struct Limits {
  std::size_t bytes = 128 * 1024;
  std::size_t lines = 4096;
  std::size_t line = 8 * 1024;
  std::size_t media = 32;
  std::size_t formats = 64;
  /// Refuse lines that are none of SDP's instead of skipping them.
  bool strict = false;
  /// Sections of protocols that nobody knows to be spoken over UDP keep their port (DMX-6); else they are
  /// read as rejected, but for those of type `message`, which are not relayed.
  bool keeps_unknown_protocols = false;
};

/// Parses a body. Line ends may be CR LF, LF or CR; unknown lines are skipped; the text ends at a NUL or an
/// empty line. Blanks and tabs around lines, values and words mean nothing, and neither does an attribute
/// that stands twice in a section. The result points into `text`. A body without sections is not an error
/// here.
[[nodiscard]] Result<Session, SdpError> parse(std::string_view text, const Limits& limits = {});

using ferry::equal_ignoring_case;

/// The name of an encoding under which the relay knows it: dots and old names are replaced (`G729a`, `G.729`
/// are G729). Others stay as they are.
[[nodiscard]] std::string_view encoding_name(std::string_view written) noexcept;

/// What a value of a=rtpmap says after the payload type: `NAME/clock[/channels]`.
struct RtpMap {
  std::string_view name;  // as written
  std::uint32_t clock_rate_hz = 0;
  std::uint32_t channels = 1;
};
[[nodiscard]] RtpMap read_rtpmap(std::string_view value) noexcept;

/// Whether an answered format is the offered one. A number below 35 means the same to everybody (RFC 3551
/// §6); for others name, clock rate and channels decide. Format parameters do not, except that events of
/// telephone-event must have been offered when the payload type changed (RFC 4733 §2.4.1); a list of events
/// that cannot be read says nothing.
bool same_codec(const Codec& offered, const Codec& answered) noexcept;

/// Octet that repeated is silence of the codec; 0 = there is none.
std::uint8_t silence_octet(const Codec& codec) noexcept;

/// Largest octet rate a codec produces, for LIM-1; a generous value for unknown ones.
std::uint32_t peak_octets_per_second(const Codec& codec) noexcept;

}  // namespace ferry::sdp
