// SPDX-License-Identifier: Apache-2.0
// Offers and answers about the header extensions of one section with one party (RFC 8285 §5-6, EXT-1 to
// EXT-5, WEB-9). Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/request/request.hpp"
#include "control/sdp/extmap.hpp"
#include "control/sdp/sdp.hpp"

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

namespace ferry {

/// What a request wishes of header extensions, and what is known of the receiver of an offer. Borrows
/// everything.
struct ExtensionRules {
  /// URIs, or `all`, that are never negotiated.
  std::span<const std::string> strip;
  /// URIs, or `all`, that are accepted from the sender and removed toward the receiver.
  std::span<const std::string> mask;
  /// True if RTCP feedback goes both ways, so that transport-cc is of use (FB-4). Only answers look at it.
  bool has_feedback = true;
  /// True if the sender's profile has RTCP feedback and the receiver's has none: a plain phone is not shown
  /// what only browsers use (FB-5). The relay reads it when it writes an offer. An answer repeats extensions
  /// of the phone's own offer, so there is nothing to leave out.
  bool is_receiver_plain = false;
  /// True if the receiver gave a description before. `allows_mixed` then says whether it takes numbers above
  /// 14.
  bool knows_receiver = false;
  /// The extensions of the receiver's other sections.
  std::vector<const MediaExtensions*> others;
  /// True if the receiver's sections are a BUNDLE group: a URI has one number in all of them (RFC 9143 §12).
  bool is_group = false;
  /// True if the relay negotiates MID with the receiver by itself, because the receiver is offered or has a
  /// BUNDLE group (RFC 9143 §15). The sender's lines then do not matter.
  bool has_own_mid = false;
  /// True if the sender's lines about MID are not handed on to the receiver, because one of the two has a
  /// BUNDLE group (EXT-4).
  bool hides_mid = false;
};

/// The rules of a request toward a party that has said nothing yet (key `extmap`, words `strip` and
/// `mask`).
[[nodiscard]] ExtensionRules extension_rules(const Request& request);
/// `lines` without that of MID.
[[nodiscard]] std::vector<sdp::Extmap> without_mid(std::vector<sdp::Extmap> lines);
/// Adds to `rules` what is known of a receiver. `own` is the last SDP of its party; without sections it has
/// given none.
void know_receiver(ExtensionRules& rules, const Media& receiver, const sdp::Session& own);

/// True if there is something to decide: a section has `lines`, or the medias spoke of extensions before.
[[nodiscard]] bool have_extensions(std::span<const sdp::Extmap> lines,
                                   std::initializer_list<const Media*> medias);

/// How a party's extensions are shown to another one.
enum class ExtensionTerms : std::uint8_t {
  /// The party's offer goes on to its partner, which answers it: all that it offers, in its own directions
  /// (RFC 8285 §5).
  kHandedOn,
  /// A subscriber gets a copy, and nobody answers for the source: only what the source may send by the terms
  /// in force (LAT-15), without a direction.
  kCopied,
};
/// The lines of the sender's SDP that another party may be shown: none that the request strips or masks.
/// `sender`: its extensions; null if it has none, so that nothing is shown. The result points into what
/// `lines` points into.
[[nodiscard]] std::vector<sdp::Extmap> shown_extensions(const MediaExtensions* sender,
                                                        std::span<const sdp::Extmap> lines,
                                                        const ExtensionRules& rules, ExtensionTerms terms);

/// Carries out offers and answers about the extensions of one section with one party. Two-party commands use
/// two of them for each section and one-party commands one. It changes the extensions that it is given and
/// nothing else; it borrows.
class ExtensionSide {
 public:
  ExtensionSide(MediaExtensions& own, const ExtensionRules& rules) : own_(own), rules_(rules) {}
  ExtensionSide(MediaExtensions& own, ExtensionRules&& rules) = delete;

  /// Notes what the party offers, and what of it the other side is not told. Nothing is agreed yet.
  void take_offer(std::span<const sdp::Extmap> offer);
  /// Offers the party `lines`, under the numbers that it has or is given now. Returns the values of its
  /// `a=extmap` lines.
  [[nodiscard]] std::vector<std::string> offer_to(std::span<const sdp::Extmap> lines);
  /// Agrees to what the party's answer takes of the offer that it got. Without such an offer it agrees to
  /// nothing. `publish` hands it the publisher's own offer, because the relay's answer has no extensions.
  void take_answer(std::span<const sdp::Extmap> answer);
  /// Agrees to the party's own offer, as far as `answerer` has agreed to `answer`, its lines. Returns the
  /// values of the `a=extmap` lines for the party.
  [[nodiscard]] std::vector<std::string> answer_to(const MediaExtensions& answerer,
                                                   std::span<const sdp::Extmap> answer);

 private:
  MediaExtensions& own_;
  const ExtensionRules& rules_;
};

}  // namespace ferry
