// SPDX-License-Identifier: Apache-2.0
// A transport as plain values.
#pragma once

#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/recent.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/transport_figures.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/rtp/key_presses.hpp"
#include "relay/core/rtp/sent_stream.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// Everything that a transport knows, as plain values: for views, and for an export that another process
/// restores. Raise `kVersion` when it changes. Members that are "not part of an export" serve views only.
struct TransportSnapshot {
  static constexpr int kVersion = 1;
  /// Quality history of one SSRC.
  struct Quality {
    /// False: there is none, and `history` means nothing.
    bool present = false;
    QualityHistory history;
    bool operator==(const Quality&) const = default;
  };
  /// The state of one media source.
  struct Source {
    MediaId media;
    /// Streams that arrive from the party.
    std::vector<SsrcCounters> ingress;
    /// Quality of each stream in `ingress`, in the same order.
    std::vector<Quality> quality;
    /// Streams that leave for the party.
    std::vector<SsrcCounters> egress;
    /// DTMF presses of the party.
    KeyPresses::State presses;
    // The last seconds of each stream in `ingress` and `egress`, in the same order. Not part of an export.
    std::vector<RecentStream> ingress_recent;
    std::vector<RecentStream> egress_recent;
    /// The party's newest report on each stream of `egress` that it reported on. Not part of an export.
    std::vector<ListenerReport> reports;
    bool operator==(const Source&) const = default;
  };
  /// An SSRC that a MID has assigned to a media (RFC 9143 §9.2).
  struct Named {
    Ssrc ssrc;
    MediaId media;
    bool operator==(const Named&) const = default;
  };
  /// State of the keys in force: what was received and sent under them. The keys themselves are not included.
  struct Srtp {
    /// One state for each receiving key, in the order of the plan.
    std::vector<SrtpReceiver::State> received;
    SrtpSender::State sent;
    bool operator==(const Srtp&) const = default;
  };
  /// The latches, by component.
  std::array<Latch::Snapshot, 2> latch;
  /// Address that packets go to, by component; unset if there is none.
  std::array<Endpoint, 2> destination;
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters;
  /// Newest accepted packet, by component.
  std::array<Instant, 2> last_packet{};
  DropCounters drops;
  std::vector<Source> sources;
  /// SSRCs that a MID has assigned; the one that was assigned longest ago comes first. They have to be kept,
  /// because a party writes MIDs only at the beginning of a stream (BND-20).
  std::vector<Named> named;
  /// SSRCs that the party of an unprotected transport was given for streams (BND-22). Those of a protected
  /// one are kept with its keys, because all its ports share them.
  SsrcTranslation::State given;
  /// Set for a protected transport. Keys that DTLS agreed on for RTCP on its own port are not included.
  std::optional<Srtp> srtp;
  /// The DTLS state of one component.
  struct Handshake {
    DtlsChannel::State state = DtlsChannel::State::kWaiting;
    /// Keys that the handshake agreed on: secrets (SRT-15).
    std::optional<DtlsKeys> keys;
    /// Number of the association that `keys` belong to; 0 = that of the plan with which they are restored.
    std::uint32_t association = 0;
    /// DTLS for explanations; not part of an export.
    DtlsEvidence evidence{};
    bool operator==(const Handshake&) const = default;
  };
  /// The handshakes, by component.
  using Dtls = std::array<Handshake, 2>;
  std::optional<Dtls> dtls;
  /// True if only the keys in `dtls` count: for new ports of a party whose keys go on (DTL-11). Control sets
  /// it.
  bool only_keys = false;
  /// State of ICE.
  struct Ice {
    IceAgent::State state = IceAgent::State::kWaiting;
    /// The pair that carries data, by component; nothing if there is none.
    std::array<std::optional<IceAgent::Selected>, 2> selected;
    /// True if that pair was found under earlier credentials, because a restart is under way.
    std::array<bool, 2> is_former{};
    bool operator==(const Ice&) const = default;
  };
  std::optional<Ice> ice;
  /// State of an offer that waits for its answer.
  struct Proposal {
    std::array<Latch::Snapshot, 2> latch;
    /// SSRCs of the proposed source.
    std::vector<Ssrc> streams;
    bool operator==(const Proposal&) const = default;
  };
  std::optional<Proposal> proposal;
  /// Refusals and failures for explanations; not part of an export.
  std::optional<Evidence> evidence;
  /// Drops of the last seconds; not part of an export.
  RecentDrops recent_drops;
  /// Packets that left from the RTP port since the oldest mark, whatever their SSRC. Not part of an export.
  std::uint32_t recent_sent = 0;
  /// Drops on the way out, newest first. Only reason, times, first and last time are set. Not part of an
  /// export.
  std::vector<Refusal> leaving;
  /// True if the present peer has sent something valid.
  bool verified = false;
  /// True if ICMP errors have paused the component (LAT-12a). Not part of an export: if the peer is still
  /// gone, three more errors pause it again.
  std::array<bool, 2> paused{};
  bool operator==(const TransportSnapshot&) const = default;
};

}  // namespace ferry
