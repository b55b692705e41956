// SPDX-License-Identifier: Apache-2.0
#include "control/call/flow_treatment.hpp"

#include "control/call/fax_conversion.hpp"

namespace ferry {

PartyCodecs codecs_of(const MediaTerms& terms) {
  PartyCodecs codecs{terms.said_codecs, terms.shown_codecs, terms.said_ptime_ms, {}};
  if (terms.codec_wishes) codecs.wishes = *terms.codec_wishes;
  return codecs;
}

bool hears_mixed(const Media& receiver) {
  const MediaTerms& terms = receiver.in_force();
  const AudioPlayer player = terms.codec_wishes ? terms.codec_wishes->player : AudioPlayer::kDefault;
  if (terms.type != "audio" || player == AudioPlayer::kOff) return false;
  if (player == AudioPlayer::kAlways) return true;
  std::size_t heard = 0;
  bool is_joined = false;
  const auto count = [&](const Subscription& flow, bool is_copied) {
    const MediaTerms& source = flow.source->in_force();
    if (flow.rtcp_only || flow.egress || source.type != "audio" || source.kind != TransportKind::kRtp ||
        source.rejected || !source.may_send)
      return;
    ++heard;
    is_joined = is_joined || is_copied || flow.kind == SubscriptionKind::kPubSub;
  };
  for (const Subscription& flow : receiver.subscriptions) {
    if (!flow.egress) count(flow, false);
    for (std::size_t i = 0; flow.egress && i < flow.source->subscriptions.size(); ++i)
      count(flow.source->subscriptions[i], true);
  }
  return is_joined && heard > 1;
}

bool has_relayed_key(const Media& receiver) {
  const MediaKeys* keys = receiver.via->keys.get();
  return keys != nullptr && receiver.is_encrypted() && keys->out_is_relayed;
}

AudioTreatment treatment_of(const Media& media, const Media& receiver, const Sink* known,
                            const CodecCatalogue& catalogue) {
  if (has_relayed_key(receiver)) return {};
  if (auto fax = convert_fax(media.in_force(), receiver.in_force(),
                             known == nullptr ? nullptr : known->conversion.get())) {
    AudioTreatment treatment;
    treatment.conversion = std::move(fax);
    return treatment;
  }
  if (receiver.in_force().kind != TransportKind::kRtp || media.in_force().kind != TransportKind::kRtp)
    return {};
  PartyCodecs from = codecs_of(media.in_force());
  const bool mixes = hears_mixed(receiver);
  // What mixes, or covers digits, works on samples, even where both parties have the same codec.
  if (mixes || digit_guard(*media.leg)) from.wishes.is_forced = true;
  AudioTreatment treatment = treat_audio(from, codecs_of(receiver.in_force()), catalogue);
  // Sounds that are played go into the conversion.
  const auto& wishes = receiver.in_force().codec_wishes;
  const bool plays_into = wishes && wishes->player == AudioPlayer::kTranscoding;
  if (treatment.conversion) treatment.conversion->mixes = mixes || plays_into;
  return treatment;
}

}  // namespace ferry
