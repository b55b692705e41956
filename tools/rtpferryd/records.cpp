// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/records.hpp"

#include "control/events/report_json.hpp"
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

std::string call_record(const CallReport& report) { return to_ascii(events::record_of(report)); }

}  // namespace ferry
