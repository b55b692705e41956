// SPDX-License-Identifier: Apache-2.0
// SDES of one transport: which keys were offered, which were taken, and what the worker gets (RFC 4568; rules
// SRT-1 to SRT-15). Control thread only.
//
// An offer calls `offer_keys` for its receiver. The answer calls `check_answer`, `take_answer` for the
// answerer and `answer_offerer` for the offerer. `srtp_plan` gives the worker what was agreed.
#pragma once

#include "control/request/request.hpp"
#include "control/sdp/sdes.hpp"
#include "relay/core/forward/plan.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ferry {

/// What happens if an answer takes less protection than was offered (SRT-13).
enum class SrtpPolicy : std::uint8_t {
  /// The proxy gets an error, and nothing plain is relayed.
  kRequire,
  /// Media is plain where the answer is plain.
  kAllow,
};

/// How calls are keyed, the same for all calls.
struct SrtpConfig {
  /// Option `srtp`.
  SrtpPolicy policy = SrtpPolicy::kRequire;
  /// True if offers list F8 and NULL suites too (option `sdes-legacy-suites`). They are never chosen.
  bool legacy_suites = false;
  /// Makes the ciphers. Null = encrypted media has no keys, so nothing of it passes.
  std::shared_ptr<const SrtpBackend> backend;
};

/// SDES between this relay and one party, on one transport. It holds keys, which are never logged and never
/// shown (SRT-15).
struct MediaKeys {
  /// The usable `a=crypto` lines of the party's last SDP.
  std::vector<sdp::CryptoLine> theirs;
  /// The lines of the last offer to the party.
  std::vector<sdp::CryptoLine> shown;
  /// The agreed lines: what the party sends with, and what it receives with. They stay in force until the
  /// next answer, whatever is offered. Unset = nothing is agreed.
  std::optional<sdp::CryptoLine> in;
  std::optional<sdp::CryptoLine> out;
  /// True if `out` has the key of the party on the other side. Its packets then pass unchanged (SRT-9).
  bool out_is_relayed = false;
  /// Which of the parties that share a branch answered: `Leg::number_of` its tag. They were offered the same
  /// keys.
  std::uint32_t answerer = 0;
  // OSRTP: keys on a plain profile (RFC 8643). All are false by default.
  /// True if the party's last offer had such keys.
  bool offered_by_peer = false;
  /// True if the party was offered such keys.
  bool offered_to_peer = false;
  /// True if the party's offer is answered with keys, whatever the other side took: key `OSRTP` asks for it,
  /// or an earlier agreement has keys.
  bool accept = false;
  /// The words about SDES in the party's last offer, which its answer follows too. `static` stays once it was
  /// said.
  Sdes asked;
  /// True for a plain section whose media is in the encrypted one beside it.
  bool merged = false;
  /// True if the party is offered the section twice, plain and encrypted in this order, and chooses (key
  /// `OSRTP`, word `offer-legacy`).
  bool doubled = false;
  /// True if the party's last SDP has both of these sections too.
  bool paired = false;
  /// Cache of the plan that was made from the members above. Reset when one of them changes; `srtp_plan`
  /// makes it again.
  std::shared_ptr<const SrtpPlan> plan;
  /// Counters and replay lists of these keys and of earlier ones, those of DTLS included. All branches of one
  /// offer share it. Only their worker looks inside; null before the first offer or plan.
  std::shared_ptr<SrtpContexts> contexts;
};

/// The lines of a section that we could agree to, in their order, at most 24. They parse, and none weakens
/// protection (SRT-12). Suites for compatibility are among them.
std::vector<sdp::CryptoLine> usable_crypto(const sdp::MediaSection& section);

/// Fills `shown` of the receiver of an offer. `offerer` has the lines that the offerer brought. Our own keys
/// stay from offer to offer (SRT-6).
void offer_keys(MediaKeys& receiver, const std::vector<sdp::CryptoLine>& offerer,
                const sdp::SdesPolicy& policy, sdp::SdesOfferRules rules);

/// Refuses an answer that takes less protection than it was offered (SRT-13). `offered_secure`: the offer had
/// the section encrypted. `offered`: its keys; null if there are none.
Result<void, RequestError> check_answer(const sdp::MediaSection& answer, bool offered_secure,
                                        const MediaKeys* offered, const SrtpConfig& config);

/// Agrees to the line of `shown` that the answer takes. `answerer`: which of the parties that share the
/// branch it is. False if the answer takes none; nothing is agreed then.
bool take_answer(MediaKeys& keys, const sdp::MediaSection& answer, std::uint32_t answerer);

/// The SDES words that count for the answer to the offerer: those of the answer and of the offer together. If
/// both name suites, the answer's names count.
[[nodiscard]] Sdes wishes_in_force(const Sdes& of_answer, const Sdes& of_offer);

/// Chooses among the offerer's lines. The answerer (null = it is plain) may already use one of them; its keys
/// then pass through. Afterwards `offerer.out` is the line to print, if there is one.
void answer_offerer(MediaKeys& offerer, MediaKeys* answerer, const Sdes& wishes);

/// Size of a replay list, in packets (SRT-4).
constexpr std::uint16_t replay_window(bool is_video) { return is_video ? 1024 : 128; }

/// Ends the agreement: no keys are in force any more.
void forget_agreement(MediaKeys& keys);

/// The keys that the worker is told for `media`. Always a plan, without keys while nothing is agreed
/// (SRT-11).
std::shared_ptr<const SrtpPlan> srtp_plan(MediaKeys& keys, const SrtpConfig& config, MediaId media,
                                          bool is_video);

}  // namespace ferry
