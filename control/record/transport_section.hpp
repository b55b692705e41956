// SPDX-License-Identifier: Apache-2.0
// The sections of the transports and of their local ports.
#pragma once

#include "control/record/call_section.hpp"
#include "control/record/ice_section.hpp"
#include "control/record/section.hpp"

namespace ferry {

template <>
struct Fields<SourceRules> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("policy", v.policy);
    a("algorithm", v.algorithm);
    a("strict", v.strict_source);
    a("handover", v.handover);
    a("asymmetric", v.asymmetric);
    a("unidirectional", v.unidirectional);
  }
};

template <>
struct Fields<TransportTerms> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("interface", v.interface);
    a("family", v.family);
    a("remote_rtp", v.remote_rtp);
    a("remote_rtcp", v.remote_rtcp);
    a("remote_known", v.remote_known);
    a("mux_offered_by_peer", v.mux_offered_by_peer);
    a("mux_offered_to_peer", v.mux_offered_to_peer);
    a("mux_used", v.mux_used);
    a("mux_accept", v.mux_accept);
    a("mux_reject", v.mux_reject);
    a("reduced_size", v.reduced_size_rtcp);
    a("rules", v.rules);
    a("wait_for_peer", v.wait_for_peer);
  }
};

template <>
struct Fields<AgreedTransportTerms> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    base_fields<TransportTerms>(a, v);
    a("received_from", v.received_from);
    a("ice", v.ice);
  }
};

template <>
struct Fields<MediaTransport> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    base_fields<TransportTerms>(a, v);
    a("agreed", v.agreed);
    a("active", v.active);
    a("sending", v.sending);
    a("pierce", v.pierce);
    a("bundle", v.is_bundle);
    a("controlling", v.ice_controlling);
    a("made", v.is_made);
    a.skip(v.leg);                           // says where the transport belongs
    a.skip(v.ports, v.keys, v.dtls, v.ice);  // sections of their own
  }
};

struct TransportSection {
  static constexpr std::string_view kName = "transports";
  static constexpr int kVersion = 4;
  static void save(const Call& call, ComponentsWriter& out) {
    each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
      out.add(place, transport);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    Leg& leg = leg_at(call, saved.at<TransportPlace>().leg);
    saved.read(leg.add_transport());
  }
};

template <>
struct Fields<LocalPorts::More> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("address", v.local);
    a("port", v.port);
    a("shared", v.is_shared);
    a.skip(v.handles);  // opened anew
  }
};

template <>
struct Fields<LocalPorts> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("address", v.local);
    a("port", v.port);
    a("shared", v.is_shared);
    a("made_for", v.far_endpoint);
    a("barred", v.barred);
    a("more", v.more);
    a("epoch", v.epoch);
    a("signal", v.learned_signal);
    a("tos", v.tos);
    a.skip(v.transport, v.handles, v.activity, v.told);  // of this process
    a.skip(v.plan, v.peer);                              // follow from the rest
    a.skip(v.restored);                                  // a section of its own
    a.skip(v.closed);                                    // closed ports are not opened again
  }
};

/// Behind the transports. Loading says which ports there were; it opens none.
struct PortsSection {
  static constexpr std::string_view kName = "ports";
  /// Local addresses of one transport beside its first; a worker tells apart eight.
  static constexpr std::size_t kMostMore = 7;
  static constexpr int kVersion = 2;
  static void save(const Call& call, ComponentsWriter& out) {
    each_transport(call, [&](const TransportPlace& place, const MediaTransport& transport) {
      for (std::size_t i = 0; i < transport.ports.size(); ++i)
        out.add(PortsPlace{place.leg, place.transport, i}, transport.ports[i]);
    });
  }
  static void load(Call& call, const SavedComponent& saved) {
    const auto place = saved.at<PortsPlace>();
    LocalPorts& ports = transport_at(call, {place.leg, place.transport}).ports.emplace_back();
    saved.read(ports);
    if (ports.more.size() > kMostMore)
      throw std::invalid_argument("a transport has too many local addresses");
  }
};

}  // namespace ferry
