// SPDX-License-Identifier: Apache-2.0
// The sections of the parties, and of what `o=` and `s=` toward them must go on with.
#pragma once

#include "control/record/digit_fields.hpp"
#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<IceWishes::Offer> = 5;

template <>
struct Fields<KeptWishes> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ice", v.ice);
    a("sdes_off", v.sdes_off);
    a("dtls_off", v.dtls_off);
    a("ice_lite", v.ice_lite);
  }
};

template <>
struct Fields<LapsedOffer> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("sdp", v.sdp);
    a("order", v.section_order);
  }
};

template <>
struct Fields<RecordingCodes> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("digits", v.digits);
    a("pressed", v.pressed);
  }
};

template <>
inline constexpr unsigned kEnumerators<LegBundle::Wish> = 3;

template <>
struct Fields<LegBundle> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("wish", v.wish);
    a("accepted", v.is_accepted);
    a("by_peer", v.offered_by_peer);
    a("refused_to_peer", v.refused_to_peer);
    a("to_peer", v.offered_to_peer);
    a("former_mids", v.former_mids);
  }
};

template <>
struct Fields<LegExtras> {
  static constexpr bool kEmptyIsNone = true;
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("label", v.label);
    a("metadata", v.metadata);
    a("digits", v.digits);
    a("unrecorded", v.unrecorded);
    a("recording_codes", v.vsc);
    a("kept", v.kept);
    a("by_create", v.by_create);
    a("lapsed", v.lapsed);
    a("bundle", v.bundle);
    a("cname", v.cname);
    a.skip(v.sounds);  // what is played is the worker's; the next offer announces music on hold again
  }
};

template <>
struct Fields<Leg> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("tag", v.tag);
    a("aliases", v.aliases);
    a("via_branch", v.via_branch);
    a("created", v.created_unix);
    a("received_from", v.received_from);
    a("final_response", v.final_response);
    a("offer_answer", v.from_offer_answer);
    a("blocked", v.blocked);
    a("silenced", v.silenced);
    a("events_blocked", v.events_blocked);
    a("id_index", v.id_index);
    a("extras", v.extras);
    a("last_sdp", v.last_sdp);
    a("order", v.section_order);
    a("delete_at", v.delete_at);
    a.skip(v.call, v.number);                  // say where the party belongs
    a.skip(v.origin, v.transports, v.medias);  // sections of their own
  }
};

struct LegSection {
  static constexpr std::string_view kName = "legs";
  static constexpr int kVersion = 4;
  static void save(const Call& call, ComponentsWriter& out) {
    for (const auto& leg : call.legs) out.add(LegPlace{leg->number}, *leg);
  }
  static void load(Call& call, const SavedComponent& saved) {
    Leg& leg = *call.legs.emplace_back(std::make_unique<Leg>());
    leg.call = &call;
    leg.number = saved.at<LegPlace>().leg;
    saved.read(leg);
  }
};

template <>
struct Fields<OriginMemory> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("username", v.username);
    a("session_name", v.session_name);
    a("address", v.address);
    a("version", v.version);
    a("hash", v.body_hash);
    a("identity", v.identity);
  }
};

struct OriginSection {
  static constexpr std::string_view kName = "origins";
  static constexpr int kVersion = 1;
  static void save(const Call& call, ComponentsWriter& out) {
    for (const auto& leg : call.legs) {
      if (leg->origin) out.add(LegPlace{leg->number}, *leg->origin);
    }
  }
  static void load(Call& call, const SavedComponent& saved) {
    Leg& leg = leg_at(call, saved.at<LegPlace>().leg);
    leg.origin = std::make_unique<OriginMemory>();
    saved.read(*leg.origin);
  }
};

}  // namespace ferry
