// SPDX-License-Identifier: Apache-2.0
// Which codecs an offer shows to its receiver, and under which numbers (RFC 3264 §5.1, §8.3.2,
// docs/reference/ng.md#codecs). Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/codec_catalogue.hpp"
#include "control/request/request.hpp"
#include "control/sdp/sdp.hpp"

#include <bitset>
#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// What an offer of audio depends on. Borrows everything.
struct CodecOfferInput {
  /// The codecs of the sender, as its SDP has them.
  const std::vector<sdp::Codec>& said;
  /// The words of the client.
  const Request& request;
  /// The receiver before this offer. Its lists are empty if it is new.
  const MediaTerms& receiver;
  const CodecCatalogue& catalogue;
  /// True if the list may become empty (flag `allow-no-codec-media`).
  bool may_be_empty = false;
};

/// What becomes of it.
struct CodecOffer {
  /// The lines for the receiver, with its numbers, in order.
  std::vector<sdp::Codec> codecs;
  /// The words about the sender that count when the answer comes. Types are those of its own SDP.
  CodecWishes of_sender;
  /// What the client wants of codecs toward the receiver. Types are the receiver's.
  std::vector<CodecWish> toward_receiver;
  /// Types of the sender's own SDP that the words took away.
  std::bitset<128> removed;
  /// Specifications that cannot be obeyed, as the client wrote them, and a sentence about each.
  std::vector<std::string> unmade;
  std::vector<std::string> warnings;
};

/// Makes the list. Order of work: strip, consume and mask; what `offer` brings back; what `transcode` adds;
/// the whole list if no speech is left; events and comfort noise for clock rates that changed; the flags
/// `static-codecs` and `reuse-codecs`; numbers. Lines that are added point into `texts`.
[[nodiscard]] CodecOffer offer_codecs(const CodecOfferInput& input, std::deque<std::string>& texts);

/// Puts those codecs first that `terms` have agreed on, in their order (flag `reuse-codecs`).
void put_agreed_first(std::vector<sdp::Codec>& codecs, const MediaTerms& terms);

}  // namespace ferry
