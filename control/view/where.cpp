// SPDX-License-Identifier: Apache-2.0
// Finds out what would become of a packet by judging it on copies of the state. The core is pure, so a copy
// behaves like the worker's.

#include "control/view/where.hpp"

#include "control/ports/interfaces.hpp"
#include "control/session/call_register.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/snapshots.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

std::vector<std::byte> datagram_of(const WherePacket& packet) {
  if (!packet.datagram.empty()) return packet.datagram;
  constexpr std::size_t kPayload = 160;
  std::vector<std::byte> datagram(kRtpFixedHeaderSize + kPayload, std::byte{0xd5});
  write_rtp_header(datagram, packet.type, false, packet.sequence, 0, packet.ssrc);
  return datagram;
}

/// A copy of a transport with its state. Nobody else uses it.
std::unique_ptr<Transport> copy_of(const TransportPlan& original, const TransportSnapshot& snapshot,
                                   std::shared_ptr<SrtpContexts> contexts, Instant now) {
  auto plan = std::make_shared<TransportPlan>(original);
  if (plan->srtp) {
    auto keys = std::make_shared<SrtpPlan>(*plan->srtp);
    keys->contexts = std::move(contexts);
    plan->srtp = std::move(keys);
  }
  auto copy = std::make_unique<Transport>(std::move(plan), std::make_shared<TransportActivity>(), now);
  copy->restore(snapshot, now);
  return copy;
}

/// A copy of the worker's contexts. Null if the transport has no keys.
std::shared_ptr<SrtpContexts> copy_of_contexts(MediaPlane& plane, const Call& call,
                                               const TransportPlan& plan) {
  if (!plan.srtp || !plan.srtp->contexts || !plan.srtp->backend) return nullptr;
  SrtpContexts::State state;
  plane.post(call.worker, ReadContexts{plan.srtp->contexts, &state}, true);
  plane.fence();
  auto copy = std::make_shared<SrtpContexts>();
  copy->restore(state, StateAge::kLatest, *plan.srtp->backend, plan.srtp->window);
  return copy;
}

/// The component that the packet would come to at `ports`; nothing if it is for other ports.
std::optional<Component> component_at(const LocalPorts& ports, const TransportSnapshot& snapshot,
                                      const WherePacket& packet) {
  if (!ports.is_shared) {
    if (packet.to == ports.port) return Component::kRtp;
    return packet.to.value == ports.port.value + 1 ? std::optional(Component::kRtcp) : std::nullopt;
  }
  // At a shared port the remote endpoint says whose it is (ONE-1).
  const bool is_bound =
      snapshot.ice && snapshot.ice->selected[0] && snapshot.ice->selected[0]->peer == packet.from;
  return packet.to == ports.port && is_bound ? std::optional(Component::kRtp) : std::nullopt;
}

}  // namespace

json where(const Services& services, std::string_view call_id, const WherePacket& packet,
           const Clock& clock) {
  Call* call = services.calls.find(call_id);
  if (call == nullptr) return nullptr;
  const CallSnapshots snapshots = services.snapshots.read(*call);
  const auto snapshot_of = [&](const Media& media, const LocalPorts& ports) -> const TransportSnapshot* {
    for (const auto& entry : snapshots.entries) {
      if (entry.carries(media.id) && entry.local == Endpoint{ports.local->address, ports.port})
        return &entry.snapshot;
    }
    return nullptr;
  };
  for (const auto& leg : call->legs) {
    for (const auto& media : leg->medias) {
      for (const LocalPorts& ports : media->via->ports) {
        const TransportSnapshot* snapshot = snapshot_of(*media, ports);
        if (ports.closed || !ports.plan || snapshot == nullptr) continue;
        const auto component = component_at(ports, *snapshot, packet);
        if (!component) continue;
        json j = {{"arrives_at", Endpoint{ports.local->address, packet.to}.to_string()},
                  {"leg", leg->tag},
                  {"media", media->index},
                  {"latch", to_string(snapshot->latch[static_cast<std::size_t>(*component)].state)}};
        auto datagram = datagram_of(packet);
        const auto transport =
            copy_of(*ports.plan, *snapshot, copy_of_contexts(services.plane, *call, *ports.plan), clock.now);
        const auto drop = [&](DropReason reason) {
          j["verdict"] = "drop";
          j["reason"] = to_string(reason);
          j["meaning"] = kDropReasonRows[static_cast<std::size_t>(reason)].meaning;
          return j;
        };
        // The worker decrypts a datagram before it judges it, and so does this copy.
        ReceivedPacket arrived({*component, 0}, packet.from, datagram, clock.now);
        if (transport->plan().is_protected()) {
          const DropReason reason = transport->unprotect(arrived, *services.interfaces.own_media());
          if (reason != DropReason::kNone) return drop(reason);
          datagram.resize(arrived.datagram.size());
        }
        const auto keep = [&] {
          j["verdict"] = "keep";
          j["reason"] = to_string(DropReason::kEarlyMedia);
          j["meaning"] = "kept unheard until the answer says whether its source is the party (LAT-14)";
          return j;
        };
        const Verdict verdict = transport->on_datagram(arrived, *services.interfaces.own_media());
        if (verdict.kind == Verdict::Kind::kDrop) return drop(verdict.reason);
        if (verdict.kind == Verdict::Kind::kKeep) return keep();
        if (verdict.kind == Verdict::Kind::kHold) {
          j["verdict"] = "hold";
          j["reason"] = to_string(DropReason::kProbation);
          j["meaning"] = "kept until the next packet in sequence confirms the source or the SSRC";
          return j;
        }
        j["verdict"] = verdict.kind == Verdict::Kind::kRelease ? "confirm" : "forward";
        // Each sink may refuse the packet, or its transport may have nowhere to send it.
        json sinks = json::array();
        const SourcePlan& source = ports.plan->sources[verdict.source];
        // A transport may carry several medias; the packet says which of them it belongs to.
        for (const auto& carried : leg->medias) {
          if (carried->id == source.media) j["media"] = carried->index;
        }
        for (const Sink& sink : source.sinks) {
          const PayloadEntry* payload = verdict.is_rtcp ? nullptr : source.payload_of(datagram);
          json s;
          for (const auto& other : call->legs) {
            for (const auto& receiver : other->medias) {
              if (receiver->id != sink.to) continue;
              for (const LocalPorts& out : receiver->via->ports) {
                if (out.closed || out.transport != sink.via) continue;
                s["leg"] = other->tag;
                s["media"] = receiver->index;
                s["leaves_from"] = Endpoint{out.local->address, out.port}.to_string();
                DropReason refused =
                    verdict.is_rtcp ? DropReason::kNone : refuses(sink, payload, verdict.is_negotiated);
                const TransportSnapshot* state = snapshot_of(*receiver, out);
                if (refused == DropReason::kNone && state != nullptr) {
                  const auto hop =
                      copy_of(*out.plan, *state, nullptr, clock.now)
                          ->next_hop(verdict.is_rtcp ? Component::kRtcp : Component::kRtp, clock.now);
                  refused = hop.reason;
                  if (hop.to.is_set()) s["to"] = hop.to.to_string();
                }
                s["verdict"] = refused == DropReason::kNone ? "send" : "drop";
                if (refused != DropReason::kNone) s["reason"] = to_string(refused);
              }
            }
          }
          if (!s.is_null()) sinks.push_back(std::move(s));
        }
        if (source.sinks.empty()) return drop(DropReason::kNoSink);
        j["sinks"] = std::move(sinks);
        return j;
      }
    }
  }
  return {{"verdict", "drop"},
          {"reason", "no-such-port"},
          {"meaning", "the call has no such port, or no party of it sends from there to a shared one"}};
}

}  // namespace ferry
