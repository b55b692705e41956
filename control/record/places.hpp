// SPDX-License-Identifier: Apache-2.0
// Where a component of a record belongs: the keys by which a section finds parties, transports and medias.
#pragma once

#include "control/record/archive.hpp"

#include <algorithm>
#include <stdexcept>

namespace ferry {

/// The call itself.
struct CallPlace {};
/// A party, by `Leg::number`.
struct LegPlace {
  unsigned leg = 0;
};
/// By its place among the transports of its leg.
struct TransportPlace {
  unsigned leg = 0;
  std::size_t transport = 0;
};
/// By its place among the ports of its transport.
struct PortsPlace {
  unsigned leg = 0;
  std::size_t transport = 0;
  std::size_t ports = 0;
};
struct MediaPlace {
  MediaId media;
};
/// One of several of the same media.
struct SubscriptionPlace {
  MediaId media;
  std::size_t subscription = 0;
};
/// One of several of the call, in their order.
struct OrderPlace {
  std::size_t place = 0;
};

template <>
struct Fields<CallPlace> {
  template <class Archive, class Value>
  static void list(Archive&, Value&) {}
};
template <>
struct Fields<LegPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("leg", v.leg);
  }
};
template <>
struct Fields<TransportPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("leg", v.leg);
    a("transport", v.transport);
  }
};
template <>
struct Fields<PortsPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("leg", v.leg);
    a("transport", v.transport);
    a("ports", v.ports);
  }
};
template <>
struct Fields<MediaPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("media", v.media);
  }
};
template <>
struct Fields<SubscriptionPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("media", v.media);
    a("subscription", v.subscription);
  }
};
template <>
struct Fields<OrderPlace> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("place", v.place);
  }
};

// These throw `std::exception` if there is none.

inline Leg& leg_at(Call& call, unsigned number) {
  const auto found = std::ranges::find_if(call.legs, [&](const auto& leg) { return leg->number == number; });
  if (found == call.legs.end()) throw std::out_of_range("there is no such party");
  return **found;
}
inline MediaTransport& transport_at(Call& call, const TransportPlace& place) {
  Leg& leg = leg_at(call, place.leg);
  if (place.transport >= leg.transports.size()) throw std::out_of_range("there is no such transport");
  return *std::next(leg.transports.begin(), static_cast<std::ptrdiff_t>(place.transport));
}
inline LocalPorts& ports_at(Call& call, const PortsPlace& place) {
  MediaTransport& transport = transport_at(call, {place.leg, place.transport});
  if (place.ports >= transport.ports.size()) throw std::out_of_range("there are no such ports");
  return transport.ports[place.ports];
}
inline Media& media_at(Call& call, MediaId id) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      if (media->id == id) return *media;
    }
  }
  throw std::out_of_range("there is no such media");
}

/// Calls `visit(place, transport)` for each transport of the call.
template <class Visit>
void each_transport(const Call& call, Visit visit) {
  for (const auto& leg : call.legs) {
    std::size_t number = 0;
    for (const MediaTransport& transport : leg->transports)
      visit(TransportPlace{leg->number, number++}, transport);
  }
}
/// Calls `visit(media)` for each media of the call.
template <class Visit>
void each_media(const Call& call, Visit visit) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) visit(std::as_const(*media));
  }
}

// References to parties and medias, by number. Loading fails if the call has no such one.
template <>
struct JsonValue<Leg*> {
  static nlohmann::json save(const Leg* leg, const RecordContext&) { return leg->number; }
  static Leg* load(const nlohmann::json& from, const RecordContext& context);
};
template <>
struct JsonValue<Media*> {
  static nlohmann::json save(const Media* media, const RecordContext&) { return media->id.value; }
  static Media* load(const nlohmann::json& from, const RecordContext& context);
};

}  // namespace ferry
