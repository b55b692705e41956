// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/replies.hpp"

#include <cstdint>
#include <string_view>
#include <utility>

namespace ferry::ng {

namespace {

List list_of(std::vector<std::string> texts) {
  List list;
  list.reserve(texts.size());
  for (std::string& text : texts) list.emplace_back(std::move(text));
  return list;
}

/// Adds the key `recordings` if there are files.
void add_recordings(Dict& reply, std::vector<std::string> files) {
  if (!files.empty()) reply.set("recordings", list_of(std::move(files)));
}

std::string mode_of(const SubscribedMedia& media) { return std::string(to_string(media.direction)); }

/// A member of `tag-medias`: the party, and under `medias` the one that is copied.
Dict by_tag(const SubscribedMedia& media) {
  Dict one;
  one.set("index", std::int64_t{media.index});
  one.set("type", media.type);
  one.set("label", media.label);
  one.set("mode", mode_of(media));
  Dict party;
  party.set("tag", media.tag);
  if (!media.party_label.empty()) party.set("label", media.party_label);
  party.set("medias", List{Value(std::move(one))});
  return party;
}

/// The value of a label in `media-labels`.
Dict by_label(const SubscribedMedia& media) {
  Dict one;
  one.set("tag", media.tag);
  one.set("index", std::int64_t{media.index});
  one.set("type", media.type);
  if (!media.party_label.empty()) one.set("label", media.party_label);
  one.set("mode", mode_of(media));
  return one;
}

/// Adds the warnings, if there are any.
void add_warnings(Dict& reply, const std::vector<std::string>& warnings) {
  std::string text;
  for (const std::string& each : warnings) text += (text.empty() ? "" : "; ") + each;
  if (!text.empty()) reply.set("warning", std::move(text));
}

}  // namespace

Dict reply_of(MessageTaken taken) {
  Dict reply;
  if (taken.sdp) reply.set("sdp", std::move(*taken.sdp));
  add_recordings(reply, std::move(taken.packet_files));
  add_warnings(reply, taken.warnings);
  return reply;
}

Dict reply_of(DigitRulesSet set) {
  Dict reply;
  add_warnings(reply, set.warnings);
  return reply;
}

Dict reply_of(PartyMade made) {
  Dict reply;
  reply.set("call-id", std::move(made.call_id));
  reply.set("from-tag", std::move(made.tag));
  reply.set("sdp", std::move(made.sdp));
  add_recordings(reply, std::move(made.packet_files));
  return reply;
}

Dict reply_of(SubscriptionMade made) {
  Dict reply;
  reply.set("sdp", std::move(made.sdp));
  if (made.tells_medias) {
    List tag_medias;
    Dict media_labels;
    for (const SubscribedMedia& media : made.medias) {
      tag_medias.emplace_back(by_tag(media));
      media_labels.set(media.label, by_label(media));
    }
    reply.set("tag-medias", std::move(tag_medias));
    reply.set("media-labels", std::move(media_labels));
  }
  List from_tags;
  for (SubscribedMedia& media : made.medias) from_tags.emplace_back(std::move(media.tag));
  if (from_tags.size() == 1) reply.set("from-tag", from_tags.front());
  reply.set("from-tags", std::move(from_tags));
  reply.set("to-tag", std::move(made.tag));
  add_warnings(reply, made.warnings);
  return reply;
}

Dict reply_of(TransformMade made) {
  List medias;
  for (TransformedStream& stream : made.streams) {
    Dict one;
    one.set("id", std::move(stream.id));
    one.set("family", stream.at.address.is_v6() ? "IP6" : "IP4");
    one.set("address", stream.at.address.to_string());
    one.set("port", std::int64_t{stream.at.port.value});
    medias.emplace_back(std::move(one));
  }
  Dict reply;
  reply.set("call-id", std::move(made.call_id));
  reply.set("from-tag", std::move(made.tag));
  reply.set("media", std::move(medias));
  return reply;
}

Dict reply_of(PlaybackStarted started) {
  Dict reply;
  if (started.duration_ms) reply.set("duration", *started.duration_ms);
  return reply;
}

Dict reply_of(PlaybackStopped stopped) {
  Dict reply;
  reply.set("last-frame-pos", stopped.position);
  return reply;
}

Dict reply_of(std::vector<std::string> call_ids) {
  Dict reply;
  reply.set("calls", list_of(std::move(call_ids)));
  return reply;
}

}  // namespace ferry::ng
