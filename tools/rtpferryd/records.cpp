// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/records.hpp"

#include "control/log/log.hpp"
#include "control/log/printable_json.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

std::string_view describe(TransportEvent event) {
  switch (event) {
    case TransportEvent::kForeignSource:
      return "packets from a source other than its peer are refused";
    case TransportEvent::kContested:
      return "several sources claim its stream: it stays closed";
    case TransportEvent::kUnknownPayloadType:
      return "packets with a payload type that was not negotiated are refused";
    case TransportEvent::kOtherTypePasses:
      return "packets with a payload type that was not negotiated are passed on (strict-payload-types drops "
             "them)";
    case TransportEvent::kRateLimited:
      return "it sends more than its stream may carry";
    case TransportEvent::kLocked:
      return "its address was learned";
    case TransportEvent::kPortNotServed:
      return "a port of it cannot be served (fs.epoll.max_user_watches?): no media will be heard there";
    case TransportEvent::kNotAuthentic:
      return "encrypted packets that do not authenticate are refused: another key, or forged";
    case TransportEvent::kKeyNearlyUsedUp:
      return "its key has protected nine tenths of what one key may: it needs a new one";
    case TransportEvent::kDtlsReady:
      return "its DTLS handshake is complete";
    case TransportEvent::kDtlsMismatch:
      return "its DTLS certificate is not the signalled one: no media is exchanged";
    case TransportEvent::kDtlsFailed:
      return "its DTLS handshake failed";
    case TransportEvent::kIceConnected:
      return "ICE has selected a pair of addresses";
    case TransportEvent::kIceFailed:
      return "ICE found no pair of addresses";
    case TransportEvent::kIceExpired:
      return "it does not consent to media any more (ICE): nothing is sent";
    case TransportEvent::kDtmf:
    case TransportEvent::kPromptEnded:
    case TransportEvent::kCount:
      break;
  }
  return "unknown";
}

std::string silence_of(const Call& call) {
  std::string text;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  for (const auto& leg : call.legs) {
    std::int64_t last = 0;
    for (const auto& media : leg->medias) {
      for (const LocalPorts& ports : media->via->ports)
        last = std::max(last, ports.activity->last_rtp_ns.load());
    }
    text += fmt::format(
        "{} from {}: {}", text.empty() ? "; media" : ",",
        leg->tag.empty() ? "(no tag)" : log::quote(leg->tag),
        last == 0
            ? std::string("never")
            : fmt::format("{} s ago",
                          std::chrono::duration_cast<std::chrono::seconds>(now - Duration{last}).count()));
  }
  return text;
}

std::string call_record(const CallReport& report) {
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
  const nlohmann::json record = {{"call_id", report.call_id},
                                 {"created_ms", ms(report.created)},
                                 {"ended_ms", ms(report.ended)},
                                 {"duration_s", std::chrono::duration<double>(report.duration).count()},
                                 {"ended", to_string(report.reason)},
                                 {"verdict", main == nullptr ? "fine" : to_string(main->cause)},
                                 {"severity", to_string(report.explanation.worst())},
                                 {"streams", std::move(streams)}};
  return to_ascii(record);
}

}  // namespace ferry
