// SPDX-License-Identifier: Apache-2.0
// The sections of the medias and of their header extensions.
#pragma once

#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<TransportKind> = static_cast<unsigned>(kLastTransportKind) + 1;
template <>
inline constexpr unsigned kEnumerators<G711Law> = 3;
template <>
inline constexpr unsigned kEnumerators<MediaEcho> = 5;
template <>
inline constexpr unsigned kEnumerators<Passing> = 3;

template <>
inline constexpr unsigned kEnumerators<AudioPlayer> = 4;

template <>
struct Fields<PayloadEntry> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("type", v.type);
    a("g711", v.g711);
    a("silence", v.silence);
    a("is_event", v.is_event);
    a("clock_rate", v.clock_rate_hz);
  }
};

template <>
struct Fields<RateLimit> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("packets", v.packets_per_second);
    a("bytes", v.bytes_per_second);
  }
};

template <>
struct Fields<AudioFormat> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("encoding", v.encoding);
    a("clock_rate", v.clock_rate_hz);
    a("channels", v.channels);
    a("parameters", v.parameters);
  }
};

template <>
struct Fields<NumberedFormat> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("type", v.type);
    a("format", v.format);
  }
};

template <>
struct Fields<CodecWish> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("type", v.type);
    a("bitrate", v.bitrate_bps);
    a("ptime", v.ptime_ms);
    a("complexity", v.complexity);
  }
};

template <>
struct Fields<CodecWishes> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("accepted", v.accepted);
    a("ignored", v.ignored);
    a("stripped", v.stripped);
    a("forced", v.is_forced);
    a("asymmetric", v.is_asymmetric);
    a("ptime", v.ptime_ms);
    a("player", v.player);
    a("codecs", v.codecs);
  }
};

template <>
inline constexpr unsigned kEnumerators<UdptlView::Recovery> = 2;

template <>
struct Fields<FaxWishes> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("decode", v.decode);
    a("force", v.force);
    a("stop", v.stop);
    a("fec", v.fec);
    a("ecm", v.ecm);
    a("v17", v.v17);
    a("v27ter", v.v27ter);
    a("v29", v.v29);
    a("version", v.version);
  }
};

template <>
struct Fields<UdptlProtection> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("recovery", v.recovery);
    a("earlier", v.earlier);
    a("groups", v.groups);
    a("span", v.span);
  }
};

template <>
struct Fields<T38Settings> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("version", v.version);
    a("protection", v.protection);
    a("max_datagram", v.max_datagram);
    a("ecm", v.ecm);
    a("v17", v.v17);
    a("v27ter", v.v27ter);
    a("v29", v.v29);
  }
};

template <>
struct Fields<FaxTerms> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("wishes", v.wishes);
    a("shown_version", v.shown_version);
    a("settings", v.settings);
    a("gateway", v.gateway);
  }
};

template <>
struct Fields<MediaTerms> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("type", v.type);
    a("mid", v.mid);
    a("protocol", v.protocol);
    a("kind", v.kind);
    a("video", v.is_video);
    a("pli", v.takes_pli);
    a("fir", v.takes_fir);
    a("names_feedback", v.names_feedback);
    a("passing", v.passing);
    a("fax", v.fax);
    a("awaited_since", v.awaited_since);
    a("rejected", v.rejected);
    a("may_send", v.may_send);
    a("may_receive", v.may_receive);
    a("payloads", v.payloads);
    a("shown", v.shown);
    a("earlier", v.earlier);
    a("removed_types", v.removed_types);
    a("said_codecs", v.said_codecs);
    a("shown_codecs", v.shown_codecs);
    a("codec_wishes", v.codec_wishes);
    a("said_ptime", v.said_ptime_ms);
    a("ssrcs", v.ssrcs);
    a("fewer_codecs", v.has_fewer_codecs);
    a("rate", v.rate);
    a("hidden", v.hidden);
    a("ptime_ms", v.ptime_ms);
    a("on_hold", v.is_on_hold);
    a("lists_types", v.lists_types);
    a("offered_unlisted", v.offered_unlisted);
  }
};

template <>
struct Fields<MediaExtras> {
  static constexpr bool kEmptyIsNone = true;
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("label", v.label);
    a("copies", v.copies);
    a("ptime", v.ptime);
    a("unmade_codecs", v.unmade_codecs);
    a.skip(v.last);      // figures of closed ports, for `query` of this process
    a.skip(v.feeds);     // to another call, which may not be there
    a.skip(v.left_out);  // judged anew by the peer rules of this relay
  }
};

template <>
struct Fields<Media> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    base_fields<MediaTerms>(a, v);
    a("index", v.index);
    a("exchanged", v.is_exchanged);
    a("agreed", v.agreed);
    a("proposed", v.is_proposed);
    a("answered", v.answered);
    a("encrypted", v.encrypted);
    a("without_feedback", v.is_without_feedback);
    a("untouched", v.untouched);
    a("echo", v.echo);
    a("extras", v.extras);
    a.skip(v.call, v.leg, v.via, v.id);     // say where the media belongs
    a.skip(v.extensions, v.subscriptions);  // sections of their own
  }
};

/// Where a media belongs.
struct NewMediaPlace {
  unsigned leg = 0;
  /// What carries it.
  std::size_t transport = 0;
  MediaId media;
};

template <>
struct Fields<NewMediaPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("leg", v.leg);
    a("transport", v.transport);
    a("media", v.media);
  }
};

struct MediaSection {
  static constexpr std::string_view kName = "medias";
  static constexpr int kVersion = 6;
  static void save(const Call& call, ComponentsWriter& out) {
    each_media(call, [&](const Media& media) {
      const auto& all = media.leg->transports;
      const auto via =
          std::ranges::find_if(all, [&](const MediaTransport& each) { return &each == media.via; });
      out.add(NewMediaPlace{media.leg->number, static_cast<std::size_t>(std::distance(all.begin(), via)),
                            media.id},
              media);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    const auto place = saved.at<NewMediaPlace>();
    auto media = std::make_unique<Media>();
    media->call = &call;
    media->leg = &leg_at(call, place.leg);
    media->via = &transport_at(call, {place.leg, place.transport});
    media->id = place.media;
    saved.read(*media);
    media->leg->medias.push_back(std::move(media));
  }
};

template <>
struct Fields<sdp::Direction> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("send", v.send);
    a("receive", v.receive);
  }
};

template <>
struct Fields<MediaExtensions::Entry> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("uri", v.uri);
    a("id", v.id);
    a("offered", v.offered);
    a("agreed", v.agreed);
    a("masked", v.is_masked);
  }
};

template <>
struct Fields<MediaExtensions> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("entries", v.entries);
    a("settled", v.is_settled);
    a("mixed", v.allows_mixed);
  }
};

struct ExtensionSection {
  static constexpr std::string_view kName = "extensions";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    each_media(call, [&](const Media& media) {
      if (media.extensions) out.add(MediaPlace{media.id}, *media.extensions);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    saved.read(media_at(call, saved.at<MediaPlace>().media).ensure_extensions());
  }
};

}  // namespace ferry
