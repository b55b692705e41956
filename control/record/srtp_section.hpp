// SPDX-License-Identifier: Apache-2.0
// The section of SRTP: what each key has received and sent, so that no index is used twice (SRT-9). With
// keys: whoever stores or sends it must encrypt it (SRT-15).
#pragma once

#include "control/record/section.hpp"

namespace ferry {

/// The text of `a=crypto` holds the same.
template <>
struct JsonValue<SrtpMasterKey> {
  static nlohmann::json save(const SrtpMasterKey& key, const RecordContext&);
  static SrtpMasterKey load(const nlohmann::json& from, const RecordContext&);
};
template <>
struct JsonValue<ReplayWindow> {
  static nlohmann::json save(const ReplayWindow& window, const RecordContext&);
  static ReplayWindow load(const nlohmann::json& from, const RecordContext& context);
};

template <>
struct Fields<SrtpStream> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ssrc", v.ssrc);
    a("rtp", v.rtp);
    a("rtcp", v.rtcp);
    a("relayed", v.is_relayed);
    a("first", v.first);
    a("timestamp", v.timestamp);
    a("closed", v.is_closed);
    a("used", v.used);
  }
};

template <>
struct Fields<SsrcRecord> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ssrc", v.ssrc);
    a("has_rtp", v.has_rtp);
    a("has_rtcp", v.has_rtcp);
    a("relayed", v.is_relayed);
    a("closed", v.is_closed);
    a("timestamp", v.timestamp);
    a("highest_rtcp", v.highest_rtcp);
    a("first", v.first);
    a("highest_rtp", v.highest_rtp);
  }
};

/// `SrtpContexts` knows no other size of the set of forgotten SSRCs than all or nothing.
template <>
struct Fields<SsrcMemory::State> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("records", v.records);
    a("forgotten", v.forgotten);
  }
};

template <>
struct Fields<SrtpReceiver::State> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("streams", v.streams);
    a("past", v.past);
  }
};

template <>
struct Fields<SrtpSender::State> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("streams", v.streams);
    a("next_rtcp", v.next_rtcp);
    a("rtcp_end", v.rtcp_end);
    a("past", v.past);
  }
};

template <>
struct Fields<SrtpParty> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("media", v.media);
    a("number", v.number);
  }
};

template <>
struct Fields<SsrcTranslation::Name> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("source", v.source);
    a("theirs", v.theirs);
    a("ours", v.ours);
    a("current", v.is_current);
    a("used", v.used);
  }
};

template <>
struct Fields<SrtpContexts::State::Received> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("key", v.key);
    a("state", v.state);
  }
};
template <>
struct Fields<SrtpContexts::State::Sent> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("key", v.key);
    a("party", v.party);
    a("state", v.state);
  }
};
template <>
struct Fields<SrtpContexts::State::Named> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("party", v.party);
    a("names", v.names);
  }
};

template <>
struct Fields<SrtpContexts::State> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("received", v.received);
    a("sent", v.sent);
    a("named", v.named);
  }
};

/// The transports that share one state: branches of one offer do.
struct ContextsPlace {
  std::vector<TransportPlace> transports;
};
template <>
struct Fields<ContextsPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("transports", v.transports);
  }
};

/// Behind the sections of the medias and of SDES.
struct SrtpSection {
  static constexpr std::string_view kName = "contexts";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out);
  static void load(Call& call, const SavedComponent& saved);
};

}  // namespace ferry
