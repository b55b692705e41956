// SPDX-License-Identifier: Apache-2.0
// The section of ICE: credentials and candidates of both sides. With passwords: whoever stores or sends it
// must encrypt it (SRT-15).
#pragma once

#include "control/record/section.hpp"

namespace ferry {

template <>
struct Fields<IceCredentials> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ufrag", v.ufrag);
    a("password", v.password);
  }
};

template <>
struct Fields<sdp::IceCandidateLine> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("component", v.component);
    a("priority", v.priority);
    a("at", v.at);
  }
};

template <>
struct Fields<sdp::IceDescription> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ufrag", v.ufrag);
    a("password", v.password);
    a("candidates", v.candidates);
    a("trickles", v.trickles);
    a("lite", v.is_lite);
  }
};

template <>
struct Fields<MediaIce> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("own", v.own);
    a("theirs", v.theirs);
    a("offered_by_peer", v.offered_by_peer);
    a("offered_to_peer", v.offered_to_peer);
    a("trickles", v.trickles);
    a("in_use", v.in_use);
    a("controlling", v.controlling);
    a("is_lite", v.is_lite);
    a("was_declined", v.was_declined);
    a.skip(v.plan);  // follows from the rest
    a.skip(v.overheard);
  }
};

struct IceSection {
  static constexpr std::string_view kName = "ice";
  static constexpr int kVersion = 2;
  static void save(const Call& call, ComponentsWriter& out) {
    each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
      if (transport.ice) out.add(place, *transport.ice);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    saved.read(transport_at(call, saved.at<TransportPlace>()).ensure_ice());
  }
};

}  // namespace ferry
