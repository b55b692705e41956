// SPDX-License-Identifier: Apache-2.0
// A running call is judged now, from fresh snapshots. A deleted one keeps the explanation from its deletion,
// because its parties fall silent afterwards. A call that is gone is found only if it ended badly
// (`Endings`).
#include "control/view/explanations.hpp"

#include "control/diagnose/explain.hpp"
#include "control/session/call_register.hpp"
#include "control/session/evidence.hpp"
#include "control/session/explanation_json.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>
#include <deque>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

json Explanations::of_call(std::string_view call_id, bool packets, const Clock& clock) const {
  Call* call = services_.calls.find(call_id);
  if (call == nullptr) {
    const KeptCall* kept = endings_.kept(call_id);
    if (kept == nullptr) return nullptr;
    json j = to_json(kept->explanation);
    j["state"] = "ended";
    j["ended"] = to_string(kept->reason);
    j["ended_at_ms"] = unix_ms(kept->ended);
    j["age_s"] = seconds_of(kept->duration);
    if (!packets) return j;
    for (const KeptCall::Flight& flight : kept->flights)
      j["flight"].push_back(flight_json(flight.leg, flight.media, flight.local, *flight.ring));
    return j;
  }
  const CallSnapshots snapshots = services_.snapshots.read(*call);
  CallEvidence evidence = evidence_of(*call, snapshots, clock);
  leave_out_deleted(*call, evidence);
  json j = to_json(call->extras && call->extras->at_deletion ? *call->extras->at_deletion
                                                             : ferry::explain(evidence));
  j["state"] = call->delete_at ? "deleted" : "running";
  j["age_s"] = seconds_of(clock.now - call->created_at);
  if (!packets) return j;
  // The workers write into `readings`, so its elements must not move before the fence.
  struct Reading {
    const Media* media;
    Endpoint local;
    FlightRing ring;
  };
  std::deque<Reading> readings;
  const FenceAtEnd fence(services_.plane);
  for (const auto& leg : call->legs) {
    for (const MediaTransport& transport : leg->transports) {
      for (const LocalPorts& ports : transport.ports) {
        if (ports.closed || !ports.plan) continue;
        readings.push_back({transport.medias().front(), {ports.local->address, ports.port}, {}});
        services_.plane.post(call->worker, ReadFlight{ports.transport, &readings.back().ring}, true);
      }
    }
  }
  services_.plane.fence();
  json flight = json::array();
  for (const Reading& each : readings) {
    if (!each.ring.empty())
      flight.push_back(flight_json(name_of(*each.media->leg), each.media->index, each.local, each.ring));
  }
  j["flight"] = std::move(flight);
  return j;
}

json Explanations::explain(std::string_view call_id, bool packets, const Clock& clock) const {
  json j = of_call(call_id, packets, clock);
  const auto refused = refused_.of_call(call_id);
  if (refused.empty()) return j;
  // The relay has no such call, and has had none: all it knows is that requests for it were refused.
  if (j.is_null()) {
    const bool only_ends = std::ranges::all_of(refused, [](const auto* each) { return each->ends; });
    j = {{"call_id", call_id},
         {"state", "refused"},
         {"severity", to_string(only_ends ? Severity::kNote : Severity::kFault)},
         {"summary", in_words(*refused.back())},
         {"verdicts", json::array()},
         {"age_s", seconds_of(clock.wall - refused.front()->first)}};
  }
  j["refused"] = refused_json(refused, clock.now);
  return j;
}

}  // namespace ferry
