// SPDX-License-Identifier: Apache-2.0
#include "control/session/explanation_json.hpp"

#include <chrono>

namespace ferry {

using nlohmann::json;

std::int64_t unix_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

namespace {

json to_json(const EarFigures& figures) {
  json j = {{"seconds", seconds_of(figures.span)},
            {"spoken", figures.spoken},
            {"missing_percent", figures.missing_percent()},
            {"missing_percent_of_call", figures.missing_of_call},
            {"longest_hole_ms", seconds_of(figures.hole) * 1000},
            {"jitter_ms", seconds_of(figures.jitter) * 1000}};
  if (figures.mos) j["mos"] = *figures.mos;
  return j;
}

json flight_json(const FlightRing& ring) {
  json packets = json::array();
  Instant newest{};
  ring.for_each([&](const FlightEntry&, Instant at) { newest = at; });
  ring.for_each([&](const FlightEntry& entry, Instant at) {
    const bool is_rtcp = entry.second_octet >= 192 && entry.second_octet <= 223;
    json packet = {{"t", -seconds_of(newest - at)},
                   {"from", ring.source(entry).to_string()},
                   {"port", entry.on_rtcp_port ? "rtcp" : "rtp"},
                   {"size", entry.size},
                   {"verdict", entry.reason == DropReason::kNone ? "forwarded" : to_string(entry.reason)}};
    if (is_rtcp) {
      packet["rtcp"] = entry.second_octet;
    } else {
      packet["payload_type"] = entry.second_octet & 127;
      packet["marker"] = entry.second_octet > 127;
      packet["sequence"] = entry.sequence;
      packet["timestamp"] = entry.timestamp;
    }
    if (entry.is_offloaded) packet["kernel"] = true;
    packets.push_back(std::move(packet));
  });
  return packets;
}

}  // namespace

json to_json(const Explanation& explanation) {
  json verdicts = json::array();
  for (const MediaVerdict& verdict : explanation.verdicts) {
    verdicts.push_back({{"leg", verdict.leg},
                        {"media", verdict.media},
                        {"type", verdict.type},
                        {"direction", to_string(verdict.direction)},
                        {"cause", to_string(verdict.cause)},
                        {"severity", to_string(verdict.severity())},
                        {"reception", to_string(verdict.reception())},
                        {"sentence", verdict.sentence},
                        {"evidence", verdict.evidence},
                        {"advice", row_of(verdict.cause).advice}});
    json& row = verdicts.back();
    if (verdict.figures) row["figures"] = to_json(*verdict.figures);
    if (verdict.origin)
      row["origin"] = {{"leg", verdict.origin->leg},
                       {"media", verdict.origin->media},
                       {"cause", to_string(verdict.origin->cause)}};
  }
  json j = {{"call_id", explanation.call_id},
            {"severity", to_string(explanation.worst())},
            {"verdicts", std::move(verdicts)}};
  if (!explanation.verdicts.empty()) j["summary"] = explanation.summary();
  return j;
}

json flight_json(std::string_view leg, unsigned media, const Endpoint& local, const FlightRing& ring) {
  return {{"leg", leg}, {"media", media}, {"local", local.to_string()}, {"packets", flight_json(ring)}};
}

}  // namespace ferry
