// From what was signalled and what was seen to a sentence for each party and direction.
#pragma once

#include "control/diagnose/causes.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/media_view.hpp"

#include <bitset>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// One m-line of one party: what signalling said, and what the relay saw. Plain values.
struct MediaEvidence {
  unsigned index = 0;
  std::string type;
  Endpoint local;       // RTP, as the relay binds it
  Endpoint advertised;  // as the party was told
  Endpoint signalled;   // RTP, from its SDP; unset if it has sent none
  IpAddress signalling_source;
  LatchPolicy policy = LatchPolicy::kSignalled;
  bool is_rejected = false;
  /// A re-INVITE added it, and nobody has answered that offer yet. Set by the session layer; false by
  /// default.
  bool is_proposed = false;
  bool is_void = false;
  bool loops = false;
  /// Why nobody may be at `signalled` (LAT-11a).
  PeerDenial denied = PeerDenial::kNone;
  /// Addresses of its SDP that were left out, in words.
  std::vector<std::string> left_out;
  bool may_send = true;
  bool may_receive = true;
  bool only_listens = false;
  bool is_unidirectional = false;
  bool is_encrypted = false;
  bool is_keyed = false;
  /// Keys come by DTLS: whether this relay begins.
  std::optional<bool> handshake_begins;
  bool has_ice = false;
  /// Its ICE credentials are shorter than RFC 8839 §5.4 allows.
  bool has_short_ice_credentials = false;
  bool is_blocked = false;  // what it sends, by command or flag
  /// Codecs that the proxy's script wanted transcoded, for the party or from what the party sends
  /// (`codec-transcode` and its kin); this relay does not transcode.
  std::vector<std::string> unmade_codecs;
  bool is_served = true;
  bool is_rtp = true;
  /// Why the relay passes nothing of its protocol (DMX-6); empty = it does.
  std::string unrelayed;
  /// RTCP comes to the RTP port.
  bool is_muxed = false;
  /// Payload types that its last SDP from us has, and those that earlier ones had. None shown = any.
  std::bitset<128> shown;
  std::bitset<128> earlier;
  /// Who sends to it: places in `CallEvidence::legs` and of their medias.
  struct Source {
    std::size_t leg = 0;
    std::size_t media = 0;
    /// A command blocks this flow alone (nothing of it passes), or silences it (only silence passes). Set by
    /// the session layer; false by default.
    bool blocked = false;
    bool silenced = false;
  };
  std::vector<Source> sources;
  MediaView seen;
};

struct LegEvidence {
  std::string name;  // its tag, or what stands for it
  std::vector<MediaEvidence> medias;
};

/// A message of signalling that was answered with an error.
struct RefusedMessage {
  bool is_answer = false;
  bool wrong_family = false;
  std::string reason;
  Instant at{};
};

struct CallEvidence {
  std::string call_id;
  Instant now{};
  WallTime wall{};
  Instant created{};
  Instant last_signal{};
  bool is_answered = false;
  /// The call was deleted at `now`: a party that fell silent up to two seconds before has hung up. Set by the
  /// session layer; false by default.
  bool is_over = false;
  std::optional<RefusedMessage> refused;
  std::vector<LegEvidence> legs;
};

enum class MediaDirection : std::uint8_t { kFrom, kTo };
constexpr std::string_view to_string(MediaDirection direction) noexcept {
  return direction == MediaDirection::kFrom ? "from" : "to";
}

struct MediaVerdict {
  std::string leg;
  unsigned media = 0;
  std::string type;
  MediaDirection direction = MediaDirection::kFrom;
  Cause cause = Cause::kFine;
  /// Severity and reception of this verdict where they differ from the row of `cause`, which has what is
  /// usual. Set by the judges; unset by default.
  std::optional<Severity> graded;
  std::optional<Reception> received;
  /// Where it went wrong, if that is another party: in a listener's row, the sender that it does not hear.
  struct Origin {
    std::string leg;
    unsigned media = 0;
    Cause cause = Cause::kFine;
    bool operator==(const Origin&) const = default;
  };
  std::optional<Origin> origin;
  /// The figures behind the verdict; nothing if there was no RTP stream to count.
  std::optional<EarFigures> figures;
  std::string sentence;
  std::vector<std::string> evidence;

  [[nodiscard]] Severity severity() const noexcept { return graded.value_or(row_of(cause).severity); }
  [[nodiscard]] Reception reception() const noexcept { return received.value_or(row_of(cause).reception); }
  /// For lists, worst first: a fault above a note, and a listener that hears nothing above one that hears
  /// something.
  [[nodiscard]] int rank() const noexcept {
    return static_cast<int>(severity()) * 4 + static_cast<int>(reception());
  }
};

struct Explanation {
  std::string call_id;
  std::vector<MediaVerdict> verdicts;
  [[nodiscard]] Severity worst() const noexcept;
  /// The worst verdict by `MediaVerdict::rank`, and among equals one of a listener; null if there is none.
  [[nodiscard]] const MediaVerdict* main() const noexcept;
  /// No row says more than a note, and all that was spoken is heard.
  [[nodiscard]] bool is_all_heard() const noexcept;
  /// For people: the sentence of `main`, or that everybody hears everybody. Empty if there is no verdict.
  [[nodiscard]] std::string summary() const;
};

/// Pure. Two verdicts for each m-line of each party: what comes from it, and what is sent to it.
[[nodiscard]] Explanation explain(const CallEvidence& call);

/// MOS of a stream from what arrived here, the way on not counted (ITU-T G.107): of the whole call, and of
/// the last seconds. Nothing if too little came to say.
[[nodiscard]] double mos_of(const SsrcCounters& stream);
[[nodiscard]] std::optional<double> mos_of(const RecentStream& recent, std::uint8_t payload_type);

}  // namespace ferry
