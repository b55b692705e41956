// SPDX-License-Identifier: Apache-2.0
// The codecs of one offer or answer: what the receiver is shown, and which words of the client are kept.
//
// Audio goes through `offer_codecs` and `answer_codecs`, which may add codecs and give each side its own
// numbers. In sections of other types the relay changes no packet, so their answers keep the answerer's
// numbers, and words only take lines away.

#include "control/call/session_config.hpp"
#include "control/command/offer_answer.hpp"
#include "control/negotiate/codec_answer.hpp"
#include "control/negotiate/codecs.hpp"
#include "control/sdp/codec_list.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace ferry {

namespace {

/// The packet time of a key as the relay uses it; 0 if it asks for none.
std::uint16_t usable_ptime(const std::optional<std::int64_t>& value) {
  return value && *value > 0 && *value <= 1000 ? static_cast<std::uint16_t>(*value) : std::uint16_t{0};
}

/// The packet time toward the receiver of a message: `repacketize`, and in an offer `ptime`.
std::uint16_t ptime_toward_receiver(const Request& request, bool is_answer) {
  const std::uint16_t shown = is_answer ? std::uint16_t{0} : usable_ptime(request.ptime);
  return shown != 0 ? shown : usable_ptime(request.repacketize);
}

/// Who makes what a media hears, by this message or an earlier one.
AudioPlayer player_after(const Request& request, const Media& media) {
  const AudioPlayer former = media.codec_wishes ? media.codec_wishes->player : AudioPlayer::kDefault;
  return request.audio_player.value_or(former);
}
bool is_always_played(const Request& request, const Media& a, const Media& b) {
  return player_after(request, a) == AudioPlayer::kAlways || player_after(request, b) == AudioPlayer::kAlways;
}

/// Puts `wishes` into force for a media. Those that say nothing need no object.
void keep(Media& media, CodecWishes wishes) {
  if (media.codec_wishes && *media.codec_wishes == wishes) return;
  media.codec_wishes = wishes.is_empty() ? nullptr : std::make_shared<const CodecWishes>(std::move(wishes));
}

}  // namespace

void OfferAnswer::choose_codecs(Match& match) {
  const sdp::MediaSection& section = *match.section;
  if (match.is_converted()) {
    // A modem needs G.711, whatever the words of the client are.
    match.codecs = match.shown->codecs;
    match.changes_packets = true;
    return;
  }
  match.codecs = section.codecs;
  if (!section.is_rtp() || match.untouched || match.passing != Passing::kNo || section.port == 0) return;
  const sdp::MediaSection* own = is_answer_ ? own_section(*match.receiver) : nullptr;
  if (section.type == "audio" && !is_answer_) return offer_audio(match);
  if (section.type == "audio" && own != nullptr && own->is_rtp()) return answer_audio(match, *own);
  if (own != nullptr) match.codecs = sdp::common_codecs(section.codecs, own->codecs);
  const std::bitset<128> said = types_of(match.codecs);
  match.codecs =
      shown_codecs(match.codecs, request_, is_answer_ ? CodecPolicy::kAnswer : CodecPolicy::kOffer);
  match.removed_types = said & ~types_of(match.codecs);
}

void OfferAnswer::offer_audio(Match& match) {
  const CodecOfferInput input{match.section->codecs, request_, *match.receiver, services_.config.codecs,
                              request_.has_flag(Flag::kAllowNoCodecMedia)};
  CodecOffer offer = offer_codecs(input, generated_texts_);
  match.codecs = std::move(offer.codecs);
  match.removed_types = offer.removed;
  match.changes_packets =
      request_.codecs.may_convert() || request_.has_flag(Flag::kForceTranscoding) ||
      request_.has_flag(Flag::kStaticCodecs) || is_always_played(request_, *match.sender, *match.receiver) ||
      ptime_toward_receiver(request_, false) != 0 || usable_ptime(request_.ptime_reverse) != 0;
  keep_codec_words(match, offer);
}

void OfferAnswer::keep_codec_words(Match& match, CodecOffer& offer) {
  offer.of_sender.ptime_ms = usable_ptime(request_.ptime_reverse);
  CodecWishes of_receiver;
  of_receiver.is_forced = offer.of_sender.is_forced;
  of_receiver.is_asymmetric = offer.of_sender.is_asymmetric;
  of_receiver.ptime_ms = ptime_toward_receiver(request_, false);
  offer.of_sender.player = player_after(request_, *match.sender);
  of_receiver.player = player_after(request_, *match.receiver);
  of_receiver.codecs = std::move(offer.toward_receiver);
  keep(*match.sender, std::move(offer.of_sender));
  keep(*match.receiver, std::move(of_receiver));
  if (!offer.unmade.empty() || match.receiver->extras)
    match.receiver->ensure_extras().unmade_codecs = std::move(offer.unmade);
  std::ranges::move(offer.warnings, std::back_inserter(warnings_));
}

void OfferAnswer::answer_audio(Match& match, const sdp::MediaSection& own) {
  Media& sender = *match.sender;
  Media& receiver = *match.receiver;
  const MediaKeys* keys = sender.via->keys.get();
  const bool is_by_sdes = matches_[match.sender_on.carrier].keyed == Side::KeyedBy::kSdes;
  const bool has_relayed_key = is_by_sdes && keys != nullptr && keys->out_is_relayed;
  const CodecAnswerInput input{match.section->codecs,   own.codecs,      request_, sender, receiver,
                               services_.config.codecs, !has_relayed_key};
  CodecAnswer answer = answer_codecs(input);
  match.codecs = std::move(answer.codecs);
  match.removed_types = answer.removed;
  const std::uint16_t ptime_ms = ptime_toward_receiver(request_, true);
  const bool has_ptime = ptime_ms != 0 || (sender.codec_wishes && sender.codec_wishes->ptime_ms != 0) ||
                         (receiver.codec_wishes && receiver.codec_wishes->ptime_ms != 0);
  match.changes_packets = answer.changes_packets || has_ptime || is_always_played(request_, sender, receiver);
  for (Media* media : {&sender, &receiver}) {
    CodecWishes wishes = media->codec_wishes ? *media->codec_wishes : CodecWishes{};
    wishes.is_forced = wishes.is_forced || request_.has_flag(Flag::kForceTranscoding);
    wishes.is_asymmetric = wishes.is_asymmetric || request_.has_flag(Flag::kAllowAsymmetricCodecs);
    if (media == &receiver && ptime_ms != 0) wishes.ptime_ms = ptime_ms;
    wishes.player = player_after(request_, *media);
    keep(*media, std::move(wishes));
  }
}

}  // namespace ferry
