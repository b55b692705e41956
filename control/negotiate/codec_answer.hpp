// SPDX-License-Identifier: Apache-2.0
// Which codecs the answer shows to the offerer, and under which numbers (RFC 3264 §6.1,
// docs/reference/ng.md#codecs). Pure. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/codec_catalogue.hpp"
#include "control/request/request.hpp"
#include "control/sdp/sdp.hpp"

#include <bitset>
#include <vector>

namespace ferry {

/// What an answer about audio depends on. Borrows everything.
struct CodecAnswerInput {
  /// The codecs of the answerer, as its SDP has them.
  const std::vector<sdp::Codec>& answered;
  /// The codecs of the offerer's own offer.
  const std::vector<sdp::Codec>& offered;
  /// The words of the client in the answer.
  const Request& request;
  /// The answering media. Its `shown_codecs` are the offer that it got.
  const MediaTerms& answerer;
  /// The offering media, before this answer.
  const MediaTerms& offerer;
  const CodecCatalogue& catalogue;
  /// False if the relay may change no packet, because the parties encrypt with each other's keys. The answer
  /// then goes on as it is, with the answerer's numbers.
  bool may_change = true;
};

/// What becomes of it.
struct CodecAnswer {
  /// The lines for the offerer, with its numbers, in order. They may be empty.
  std::vector<sdp::Codec> codecs;
  /// Types of the answerer's own SDP that the words of the answer took away.
  std::bitset<128> removed;
  /// True if packets must be changed: numbers differ, or a party is told a codec that the other one has not.
  bool changes_packets = false;
};

/// Makes the list:
///
/// - the codecs that both have named, in the answerer's order;
/// - else, or if the client wanted another codec accepted, one codec of speech of the offer, with its events
///   and noise: audio is converted;
/// - without what the words of the answer take away.
///
/// Lines that pass have the parameters of the answerer, and the others have ours.
[[nodiscard]] CodecAnswer answer_codecs(const CodecAnswerInput& input);

}  // namespace ferry
