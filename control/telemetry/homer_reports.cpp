// SPDX-License-Identifier: Apache-2.0
// Follows calls and makes packets for Homer of what it learns of them.
//
// Reports of running calls come from snapshots of their transports. A report is sent once: `Known::told` has
// the time of the newest one of each stream. When a call ends, its parties and ports are noted (`on_ending`),
// because the figures come only after the ports have closed (`on_report`).

#include "control/telemetry/homer_reports.hpp"

#include "control/rtpproxy/session.hpp"
#include "control/session/evidence.hpp"
#include "control/telemetry/hep.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry::telemetry {

namespace {

constexpr std::size_t kMostEndings = 4096;

std::string dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

double milliseconds(Duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// Rounded, so that digits that mean nothing are not sent.
double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

std::string rtcp_json(const ListenerReport& report, Ssrc reporter) {
  constexpr int kReceiverReport = 201;
  nlohmann::json json = {{"type", kReceiverReport},
                         {"report_count", 1},
                         {"report_blocks",
                          {{{"source_ssrc", report.about.value},
                            {"fraction_lost", report.fraction_lost},
                            {"packets_lost", report.cumulative_lost},
                            {"highest_seq_no", report.highest_extended},
                            {"ia_jitter", report.jitter}}}}};
  if (reporter.value != 0) json["ssrc"] = reporter.value;
  return dump(json);
}

std::string quality_json(const StreamReport& stream, const Endpoint& from, const Endpoint& to,
                         std::string_view call_id, WallTime at) {
  const SsrcCounters& c = stream.stream;
  const double clock = c.clock_rate_hz;
  nlohmann::json json = {{"CORRELATION_ID", call_id},
                         {"RTP_SIP_CALL_ID", call_id},
                         {"REPORT_TS", std::chrono::duration<double>(at.time_since_epoch()).count()},
                         {"SRC_IP", from.address.to_string()},
                         {"SRC_PORT", from.port.value},
                         {"DST_IP", to.address.to_string()},
                         {"DST_PORT", to.port.value},
                         {"SSRC", fmt::format("{:#x}", c.ssrc.value)},
                         {"CODEC_PT", c.last_payload_type},
                         {"CLOCK", c.clock_rate_hz},
                         {"TL_BYTE", c.bytes},
                         {"TOTAL_PK", c.packets},
                         {"EXPECTED_PK", c.expected()},
                         {"PACKET_LOSS", c.lost()},
                         {"OUT_ORDER", c.reordered},
                         {"JITTER", rounded(milliseconds(c.jitter()))},
                         {"PARTY", stream.leg},
                         {"MEDIA", stream.media},
                         {"VERDICT", to_string(stream.from)},
                         {"TYPE", "FINAL"}};
  if (from.is_set())
    json.update({{"REPORT_NAME", from.to_string()},
                 {"SRC_IP", from.address.to_string()},
                 {"SRC_PORT", from.port.value}});
  if (to.is_set()) json.update({{"DST_IP", to.address.to_string()}, {"DST_PORT", to.port.value}});
  if (clock > 0) {
    constexpr double kQ4 = 16;
    json["MAX_JITTER"] = rounded(1000 * c.jitter_max_q4 / kQ4 / clock);
    if (c.packets > 1)
      json["MEAN_JITTER"] = rounded(1000 * static_cast<double>(c.jitter_sum_q4) / kQ4 / clock /
                                    static_cast<double>(c.packets - 1));
  }
  if (stream.mos > 0) json["MOS"] = json["MEAN_MOS"] = rounded(stream.mos);
  return dump(json);
}

void HomerReports::send(const Endpoint& from, const Endpoint& to, WallTime at, std::uint8_t type,
                        std::string_view call_id, std::string_view payload) {
  auto packet = encode_hep({.from = from,
                            .to = to,
                            .at = at,
                            .type = type,
                            .agent = settings_.id,
                            .password = settings_.password,
                            .call_id = call_id,
                            .payload = payload});
  if (packet)
    send_(std::move(*packet));
  else
    ++too_large_;
}

void HomerReports::on_created(Call& call, Instant) { calls_.try_emplace(&call); }

void HomerReports::on_forgotten(Call& call) { calls_.erase(&call); }

void HomerReports::on_planned(Call& call) {
  // Without memory the reports of the call have no addresses.
  (void)had_memory([&] { note_places(call); });
}

void HomerReports::note_places(const Call& call) {
  Known& known = calls_[&call];
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const LocalPorts* ports = media->via->used_ports();
      if (ports == nullptr || ports->local == nullptr) continue;
      Place& place = known.places[media->id];
      const Endpoint local{ports->local->address, ports->port};
      const bool is_same = place.local == local && place.remote.is_set();
      place = {name_of(*leg), media->index, is_same ? place.remote : media->via->remote_rtp, local};
    }
  }
}

void HomerReports::turn(const Services& services, Duration passed, const Clock& clock) {
  if (calls_.empty() || !settings_.sends_reports) return;
  const double share = std::chrono::duration<double>(passed) / std::chrono::duration<double>(kRoundTime);
  const auto wanted = static_cast<std::size_t>(std::ceil(share * static_cast<double>(calls_.size())));
  const std::size_t count = std::min({wanted, calls_.size(), kMostCalls});
  std::vector<const Call*> visited;
  // The workers write into the elements, which must not move.
  std::deque<CallSnapshots> snapshots;
  {
    const FenceAtEnd fence(services.plane);
    auto next = calls_.upper_bound(last_);
    for (std::size_t i = 0; i < count; ++i) {
      if (next == calls_.end()) next = calls_.begin();
      visited.push_back(next->first);
      services.snapshots.post(*next->first, snapshots.emplace_back());
      ++next;
    }
  }
  // No time has passed.
  if (visited.empty()) return;
  last_ = visited.back();
  for (std::size_t i = 0; i < visited.size(); ++i) tell(*visited[i], snapshots[i], clock);
}

void HomerReports::tell(const Call& call, const CallSnapshots& snapshots, const Clock& clock) {
  Known& known = calls_[&call];
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const MediaView view = snapshots.view_of(media->id);
      tell_media(call, *media, view, known, clock);
      // A party may report about ever new streams.
      std::erase_if(known.told, [&](const auto& each) {
        const auto is_about = [&](const ListenerReport& report) {
          return report.about.value == each.first.second;
        };
        return each.first.first == media->id && std::ranges::none_of(view.reports, is_about);
      });
    }
  }
}

void HomerReports::tell_media(const Call& call, const Media& media, const MediaView& view, Known& known,
                              const Clock& clock) {
  const LocalPorts* ports = media.via->used_ports();
  if (view.active == nullptr || ports == nullptr || ports->local == nullptr) return;
  if (const Endpoint& peer = view.active->latch[0].peer; peer.is_set()) known.places[media.id].remote = peer;
  const bool is_muxed = media.via->mux_used;
  const Endpoint& from = view.active->destination[is_muxed ? 0 : 1];
  const Endpoint to{ports->local->address,
                    UdpPort{static_cast<std::uint16_t>(ports->port.value + (is_muxed ? 0 : 1))}};
  const MediaView::Stream* own = view.newest_stream();
  for (const ListenerReport& report : view.reports) {
    Instant& told = known.told[{media.id, report.about.value}];
    if (report.at <= told) continue;
    told = report.at;
    send(from, to, clock.wall - (clock.now - report.at), hep_type::kRtcp, plain_id(call),
         rtcp_json(report, own == nullptr ? Ssrc{} : own->counters.ssrc));
  }
}

std::size_t HomerReports::streams() const {
  std::size_t count = 0;
  for (const auto& [call, known] : calls_) count += known.told.size();
  return count;
}

void HomerReports::tell_ng(std::string_view text, std::string_view call_id, const IpAddress& from,
                           bool is_reply, WallTime at) {
  const Endpoint client{from, UdpPort{}};
  const Endpoint relay{IpAddress::unspecified(from.family()), UdpPort{}};
  send(is_reply ? relay : client, is_reply ? client : relay, at, settings_.ng_type, call_id, text);
}

void HomerReports::on_ending(Call& call, EndReason, const Clock&) {
  // Without memory the call is not told of.
  (void)had_memory([&] { note_ending(call); });
}

void HomerReports::note_ending(const Call& call) {
  const auto known = calls_.find(&call);
  if (!settings_.sends_reports || known == calls_.end()) return;
  Ending ending{call.id, std::string(plain_id(call)), {}};
  for (auto& [id, place] : known->second.places) ending.places.push_back(std::move(place));
  endings_.push_back(std::move(ending));
  if (endings_.size() > kMostEndings) endings_.pop_front();
}

void HomerReports::on_report(const CallReport& report) {
  (void)had_memory([&] { tell_quality(report); });
}

void HomerReports::tell_quality(const CallReport& report) {
  const auto ending = std::ranges::find(endings_, report.call_id, &Ending::id);
  if (ending == endings_.end()) return;
  for (const StreamReport& stream : report.streams) {
    if (stream.stream.packets == 0) continue;
    const auto place = std::ranges::find_if(ending->places, [&](const Place& each) {
      return each.leg == stream.leg && each.media == stream.media;
    });
    const Endpoint from = place == ending->places.end() ? Endpoint{} : place->remote;
    const Endpoint to = place == ending->places.end() ? Endpoint{} : place->local;
    send(from, to, report.ended, hep_type::kQuality, ending->call_id,
         quality_json(stream, from, to, ending->call_id, report.ended));
  }
  endings_.erase(ending);
}

}  // namespace ferry::telemetry
