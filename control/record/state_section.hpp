// SPDX-License-Identifier: Apache-2.0
// The section of what the workers know of each transport: who its peer is, and what was counted. The DTLS
// keys are secret: whoever stores or sends them must encrypt them (SRT-15).
#pragma once

#include "control/record/section.hpp"
#include "control/record/srtp_section.hpp"
#include "relay/worker/transport_table.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<Latch::State> = 3;

/// By the names of the reasons; those without a drop are left out.
template <>
struct JsonValue<DropCounters> {
  static nlohmann::json save(const DropCounters& drops, const RecordContext&);
  static DropCounters load(const nlohmann::json& from, const RecordContext& context);
};
/// Null unless a handshake is over: one that is not begins anew elsewhere.
template <>
struct JsonValue<std::optional<TransportSnapshot::Dtls>> {
  static nlohmann::json save(const std::optional<TransportSnapshot::Dtls>& dtls, const RecordContext&);
  static std::optional<TransportSnapshot::Dtls> load(const nlohmann::json& from, const RecordContext&);
};

template <>
struct Fields<QualitySample> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("mos", v.mos_times_10);
    a("round_trip", v.round_trip_us);
    a("round_trip_leg", v.round_trip_leg_us);
    a("jitter", v.jitter_ms);
    a("loss", v.loss_percent);
    a("at", v.at);
  }
};

template <>
struct Fields<QualityHistory> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("samples", v.samples);
    a("sum", v.sum);
    a("lowest", v.lowest);
    a("highest", v.highest);
    a.prefix("progression", v.progression, v.progression_size);
  }
};

template <>
struct Fields<TransportSnapshot::Quality> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("present", v.present);
    a("history", v.history);
  }
};

template <>
struct Fields<SsrcCounters> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ssrc", v.ssrc);
    a("packets", v.packets);
    a("bytes", v.bytes);
    a("base", v.base_extended);
    a("highest", v.highest_extended);
    a("timestamp", v.last_timestamp);
    a("duplicates", v.duplicates);
    a("reordered", v.reordered);
    a("resets", v.resets);
    a("expected_before_reset", v.expected_before_reset);
    a("jitter_q4", v.jitter_q4);
    a("clock_rate", v.clock_rate_hz);
    a("jitter_max_q4", v.jitter_max_q4);
    a("longest_gap", v.longest_gap_ticks);
    a("jitter_sum_q4", v.jitter_sum_q4);
    a("transit", v.transit);
    a("drift_transit", v.drift_transit);
    a("drift_since", v.drift_since);
    a("loss_bursts", v.loss_bursts);
    a("longest_loss_burst", v.longest_loss_burst);
    a("g711", v.g711_packets);
    a("silent", v.silent_packets);
    a("audible", v.last_audible);
    a("payload_type", v.last_payload_type);
    a("payload_size", v.last_payload_size);
    a("idle", v.idle_by_bye);
    a("first", v.first_packet);
    a("last", v.last_packet);
    a("reported_loss", v.reported_loss);
    a("has_report", v.has_report);
  }
};

template <>
struct Fields<Latch::Snapshot> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("state", v.state);
    a("rank", v.rank);
    a("contested", v.contested);
    a("better_rank_seen", v.better_rank_seen);
    a("committed", v.committed);
    a("peer", v.peer);
    a("ssrc", v.last_ssrc);
    a("sequence", v.last_sequence);
    a("locked", v.locked_at);
    a("last", v.last_packet);
    a("signalled", v.signalled_at);
    a.skip(v.barred, v.barred_until, v.probation);  // last about a second
  }
};

template <>
struct Fields<KeyPresses::State::Begun> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ssrc", v.ssrc);
    a("timestamp", v.timestamp);
  }
};

template <>
struct Fields<KeyPresses::State> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    constexpr auto kPlaces = static_cast<std::uint8_t>(std::tuple_size_v<decltype(v.known)>);
    a("open", v.is_open);
    a("ssrc", v.ssrc);
    a("timestamp", v.timestamp);
    a("segment", v.segment);
    a("before", v.before);
    a("rate", v.clock_rate_hz);
    a("event", v.event);
    a("volume", v.volume);
    a("source", v.source);
    a("last", v.last_packet);
    a("known", v.known);
    a.bounded("count", v.known_count, kPlaces);
    a.bounded("next", v.next_known, static_cast<std::uint8_t>(kPlaces - 1));
  }
};

template <>
struct Fields<ComponentCounters> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("packets_in", v.packets_in);
    a("bytes_in", v.bytes_in);
    a("errors_in", v.errors_in);
    a("packets_out", v.packets_out);
    a("bytes_out", v.bytes_out);
    a("errors_out", v.errors_out);
  }
};

template <>
struct Fields<TransportSnapshot::Source> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("media", v.media);
    a("ingress", v.ingress);
    a("quality", v.quality);
    a("egress", v.egress);
    a("presses", v.presses);
    a.skip(v.ingress_recent, v.egress_recent, v.reports);  // of the last seconds
  }
};

template <>
struct Fields<TransportSnapshot::Named> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("ssrc", v.ssrc);
    a("media", v.media);
  }
};

template <>
struct Fields<TransportSnapshot::Proposal> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("latch", v.latch);
    a("streams", v.streams);
  }
};

template <>
struct Fields<IceAgent::Selected> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a.bounded("local", v.local, static_cast<std::uint8_t>(kMaxLocals - 1));
    a("peer", v.peer);
  }
};

template <>
struct Fields<TransportSnapshot::Ice> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("selected", v.selected);
    a("former", v.is_former);
    a.skip(v.state);  // the checks tell it anew
  }
};

template <>
struct Fields<TransportSnapshot> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("latch", v.latch);
    a("counters", v.counters);
    a("last", v.last_packet);
    a("drops", v.drops);
    a("sources", v.sources);
    a("named", v.named);
    a("given", v.given);
    a("handshakes", v.dtls);
    a("pairs", v.ice);
    a("proposal", v.proposal);
    a("verified", v.verified);
    a.skip(v.destination);                                         // follows from the plan and from the latch
    a.skip(v.srtp);                                                // a section of its own
    a.skip(v.only_keys);                                           // for ports that are opened beside others
    a.skip(v.evidence, v.recent_drops, v.recent_sent, v.leaving);  // for `explain` of this process
    a.skip(v.paused);                                              // three more ICMP errors pause it again
  }
};

/// Behind the section of the ports.
struct StateSection {
  static constexpr std::string_view kName = "states";
  static constexpr int kVersion = 4;
  static void save(const Call& call, ComponentsWriter& out);
  static void load(Call& call, const SavedComponent& saved);
};

}  // namespace ferry
