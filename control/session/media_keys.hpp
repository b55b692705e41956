// SDES of one media: what was offered, what was taken, and the keys that follow (RFC 4568, media-security
// section 4).
#pragma once

#include "control/sdp/sdes.hpp"
#include "control/session/request.hpp"
#include "relay/core/forward/plan.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

/// What happens to protection that the other side does not take (SRT-13).
enum class SrtpPolicy : std::uint8_t {
  kRequire,  // an error to the proxy, and nothing plain
  kAllow,    // plain where the answer is plain
};

/// How calls are keyed; the same for all.
struct SrtpConfig {
  SrtpPolicy policy = SrtpPolicy::kRequire;
  /// F8 and NULL stand in offers (literal compatibility; they are never chosen).
  bool legacy_suites = false;
  /// Null: encrypted media has no keys, so that nothing of it passes.
  std::shared_ptr<const SrtpBackend> backend;
};

/// Between this relay and one party, for one section. Holds keys: never logged, never shown (SRT-15).
struct MediaKeys {
  /// Usable lines of the party's last SDP.
  std::vector<sdp::CryptoLine> theirs;
  /// Lines of the last offer to it.
  std::vector<sdp::CryptoLine> shown;
  /// Agreed: what it sends with, and what it receives with. In force until the next answer, whatever is
  /// offered.
  std::optional<sdp::CryptoLine> in;
  std::optional<sdp::CryptoLine> out;
  /// `out` has the key of the party on the other side: its packets go through as they are.
  bool out_is_relayed = false;
  /// Which of those that share the branch answered: they were offered the same keys.
  std::uint32_t answerer = 0;
  // On a plain profile (RFC 8643).
  bool offered_by_peer = false;
  bool offered_to_peer = false;
  bool accept = false;
  /// Words about SDES in the party's last offer; its answer follows them too. `static` stays once it was
  /// said.
  Sdes asked;
  /// A plain section whose media is in the encrypted one beside it.
  bool merged = false;
  /// Offered twice, plain and encrypted in this order; the party chooses (key `OSRTP`, offer-legacy).
  bool doubled = false;
  /// Its last SDP has both sections too.
  bool paired = false;
  /// Of the above; null after a change.
  std::shared_ptr<const SrtpPlan> plan;
  /// What the keys of this media have received and sent, those of DTLS too. Branches of one offer share it.
  /// Only their worker looks inside.
  std::shared_ptr<SrtpContexts> contexts;
};

/// Lines that we could agree to, in order, a bounded number, with those for compatibility only: parsed, and
/// not weakened (SRT-12).
std::vector<sdp::CryptoLine> usable_crypto(const sdp::MediaSection& section);

/// Fills `shown` of the receiver of an offer. `offerer`: the lines it brought. Keys of ours stay from offer
/// to offer (SRT-6).
void offer_keys(MediaKeys& receiver, const std::vector<sdp::CryptoLine>& offerer,
                const sdp::SdesPolicy& policy, sdp::SdesOfferRules rules);

/// SRT-13: an error if an answer takes less than it was offered. `offered_secure`: the section was encrypted
/// in the offer. `offered`: its keys, null if there are none.
Result<void, RequestError> check_answer(const sdp::MediaSection& answer, bool offered_secure,
                                        const MediaKeys* offered, const SrtpConfig& config);

/// Agrees to the line of `shown` that the answer takes. `answerer`: which of those that share the branch it
/// is. False if it takes none: nothing is agreed then.
bool take_answer(MediaKeys& keys, const sdp::MediaSection& answer, std::uint32_t answerer);

/// The SDES words that count for the answer to the offerer: those of the answer and those of its offer
/// together. Where both name suites, the answer's names count.
[[nodiscard]] Sdes wishes_in_force(const Sdes& of_answer, const Sdes& of_offer);

/// Chooses among the offerer's lines; `answerer` (null: plain) may already use one of them, whose keys then
/// go through. The line to print is `out` afterwards, if there is any.
void answer_offerer(MediaKeys& offerer, MediaKeys* answerer, const Sdes& wishes);

/// Packets in a replay list (SRT-4).
constexpr std::uint16_t replay_window(bool is_video) { return is_video ? 1024 : 128; }

/// Nothing is agreed any more.
void forget_agreement(MediaKeys& keys);

/// What the worker is told about `media`: always a plan, with no keys while nothing is agreed (SRT-11).
std::shared_ptr<const SrtpPlan> srtp_plan(MediaKeys& keys, const SrtpConfig& config, MediaId media,
                                          bool is_video);

}  // namespace ferry
