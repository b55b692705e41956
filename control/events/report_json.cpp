// SPDX-License-Identifier: Apache-2.0
#include "control/events/report_json.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

namespace ferry::events {

nlohmann::json record_of(const CallReport& report) {
  const auto ms = [](WallTime time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  };
  nlohmann::json streams = nlohmann::json::array();
  for (const StreamReport& each : report.streams) {
    const SsrcCounters& c = each.stream;
    nlohmann::json stream = {{"leg", each.leg},
                             {"media", each.media},
                             {"type", each.type},
                             {"packets_in", each.packets_in},
                             {"packets_out", each.packets_out},
                             {"refused", each.refused},
                             {"from", to_string(each.from)},
                             {"to", to_string(each.to)}};
    if (c.packets != 0) {
      stream["payload_type"] = c.last_payload_type;
      stream["lost"] = c.lost();
      stream["loss_bursts"] = c.loss_bursts;
      stream["jitter_ms"] = static_cast<double>(c.jitter().count()) / 1e6;
      stream["mos"] = each.mos;
    }
    if (each.recent.span != Duration{0}) {
      stream["last_10s"] = {{"lost", each.recent.lost()},
                            {"loss_percent", each.recent.loss_percent()},
                            {"longest_loss_burst", each.recent.longest_burst},
                            {"jitter_ms", static_cast<double>(each.recent.jitter.count()) / 1e6}};
    }
    streams.push_back(std::move(stream));
  }
  const MediaVerdict* main = report.explanation.main();
  return {{"call_id", report.call_id},
          {"created_ms", ms(report.created)},
          {"ended_ms", ms(report.ended)},
          {"duration_s", std::chrono::duration<double>(report.duration).count()},
          {"ended", to_string(report.reason)},
          {"verdict", main == nullptr ? "fine" : to_string(main->cause)},
          {"severity", to_string(report.explanation.worst())},
          {"streams", std::move(streams)}};
}

}  // namespace ferry::events
