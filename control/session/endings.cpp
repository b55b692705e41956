// SPDX-License-Identifier: Apache-2.0
// An ending in four steps: `begin` notes the call as it is; `on_closing` asks the worker for the figures of
// each port; `on_closed` says that all are asked for; `on_settled`, after a fence, judges, reports and keeps
// those that ended badly. Only one call closes its ports at a time (`current_`), but several may wait for the
// fence.
#include "control/session/endings.hpp"

#include "control/diagnose/explain.hpp"
#include "control/diagnose/mos.hpp"
#include "control/session/evidence.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

namespace {

// How many calls are kept for `explain`, and how many octets of them. The newest one is kept whatever its
// size.
constexpr std::size_t kKeptCalls = 256;
constexpr std::size_t kKeptBytes = 8 * 1024 * 1024;

}  // namespace

void Endings::count(const Call& call, EndReason reason, const Clock& clock) {
  ++totals_.ended[static_cast<std::size_t>(reason)];
  const double seconds = std::chrono::duration<double>(clock.now - call.created_at).count();
  totals_.duration_sum_s += seconds;
  totals_.duration_square_sum_s2 += seconds * seconds;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      // What passes from end to end may have gone past the relay.
      const bool is_relayed = !media->untouched && !media->rejected &&
                              media->kind != TransportKind::kOverTcp &&
                              media->kind != TransportKind::kEndToEnd;
      if (!is_relayed || media->subscriptions.empty()) continue;
      const auto heard = [](const Media& m) {
        return std::ranges::any_of(m.via->ports,
                                   [](const LocalPorts& p) { return p.activity->last_rtp_ns.load() != 0; });
      };
      const Media& partner = *media->subscriptions.front().source;
      // count each pair once
      if (media.get() > &partner) continue;
      if (!heard(*media) && !heard(partner)) {
        ++totals_.zero_way;
      } else if (heard(*media) != heard(partner)) {
        ++totals_.one_way;
      }
    }
  }
}

void Endings::begin(Call& call, EndReason reason, const Clock& clock) {
  // Its ports are closing already.
  if (current_ != nullptr && current_->call == &call) return;
  count(call, reason, clock);
  auto ending = std::make_unique<CallEnding>();
  ending->call = &call;
  // Hidden sections have no evidence; `medias` must have the order of `evidence.legs`.
  ending->report.call_id = call.id;
  ending->report.created = call.created;
  ending->report.ended = clock.wall;
  ending->report.duration = clock.now - call.created_at;
  ending->report.reason = reason;
  if (call.extras && call.extras->at_deletion) {
    ending->report.explanation = *call.extras->at_deletion;
    ending->has_verdict = true;
  }
  ending->evidence = evidence_of(call, {}, clock);
  ending->evidence.is_over = reason == EndReason::kRegular;
  for (const auto& leg : call.legs) {
    auto& ids = ending->medias.emplace_back();
    for (const auto& media : leg->medias) {
      if (media->untouched || media->hidden) continue;
      ids.push_back(media->id);
      if (const LocalPorts* ports = media->via->used_ports()) ending->active.push_back(ports->transport);
      ending->snapshots.add_last_of(*media);
    }
  }
  endings_.push_back(std::move(ending));
  current_ = endings_.back().get();
}

void Endings::on_settled() {
  while (!endings_.empty()) {
    auto ending = std::move(endings_.front());
    endings_.pop_front();
    CallReport& report = ending->report;
    for (std::size_t l = 0; l < ending->medias.size(); ++l) {
      for (std::size_t m = 0; m < ending->medias[l].size(); ++m)
        ending->evidence.legs[l].medias[m].seen = ending->snapshots.view_of(ending->medias[l][m]);
    }
    if (!ending->has_verdict) report.explanation = glance(ending->evidence);
    // Only a call that ended badly gets the full explanation, because that one takes longer.
    const bool ended_badly =
        report.explanation.worst() == Severity::kFault || report.reason == EndReason::kTimeout;
    if (ended_badly && !ending->has_verdict) report.explanation = ferry::explain(ending->evidence);
    for (const LegEvidence& leg : ending->evidence.legs) {
      for (const MediaEvidence& media : leg.medias) {
        StreamReport stream;
        stream.leg = leg.name;
        stream.media = media.index;
        stream.type = media.type;
        if (const MediaView::Stream* newest = media.seen.newest_stream()) {
          stream.stream = newest->counters;
          stream.recent = newest->recent;
          stream.mos = newest->counters.packets == 0 ? 0 : mos_of(newest->counters);
        }
        stream.packets_in = media.seen.counters[0].packets_in;
        stream.packets_out = media.seen.counters[0].packets_out;
        stream.refused = media.seen.drops.total();
        for (const MediaVerdict& verdict : report.explanation.verdicts) {
          if (verdict.leg != leg.name || verdict.media != media.index) continue;
          (verdict.direction == MediaDirection::kFrom ? stream.from : stream.to) = verdict.cause;
        }
        report.streams.push_back(std::move(stream));
      }
    }
    observers_.tell(&CallObserver::on_report, report);
    if (ended_badly) keep(std::move(ending));
  }
}

void Endings::keep(std::unique_ptr<CallEnding> ending) {
  auto kept = std::make_unique<KeptCall>();
  CallReport& report = ending->report;
  kept->call_id = std::move(report.call_id);
  kept->explanation = std::move(report.explanation);
  kept->ended = report.ended;
  kept->reason = report.reason;
  kept->duration = report.duration;
  kept->bytes = sizeof *kept + kept->explanation.footprint();
  for (CallEnding::Flight& flight : ending->flights) {
    if (!flight.ring) continue;
    kept->bytes += sizeof(KeptCall::Flight) + flight.ring->footprint();
    for (std::size_t l = 0; l < ending->medias.size(); ++l) {
      const auto found = std::ranges::find_if(ending->medias[l],
                                              [&](MediaId media) { return flight.medias.contain(media); });
      if (found == ending->medias[l].end()) continue;
      const LegEvidence& leg = ending->evidence.legs[l];
      const auto m = static_cast<std::size_t>(found - ending->medias[l].begin());
      kept->flights.push_back({leg.name, leg.medias[m].index, flight.local, std::move(flight.ring)});
      break;
    }
  }
  kept_bytes_ += kept->bytes;
  kept_.push_back(std::move(kept));
  while (kept_.size() > kKeptCalls || (kept_bytes_ > kKeptBytes && kept_.size() > 1)) {
    kept_bytes_ -= kept_.front()->bytes;
    kept_.pop_front();
  }
}

void Endings::on_closing(Call& call, const LocalPorts& ports, RemoveTransport& removal) {
  if (current_ != nullptr && current_->call == &call) current_->expect(ports, removal);
}

void Endings::on_closed(Call& call) {
  if (current_ != nullptr && current_->call == &call) current_ = nullptr;
}

const KeptCall* Endings::kept(std::string_view call_id) const {
  const auto found = std::find_if(kept_.rbegin(), kept_.rend(), [&](const auto& each) {
    const std::string& id = each->call_id;
    return id == call_id ||
           (id.size() > call_id.size() && id.starts_with(call_id) && id[call_id.size()] == ' ');
  });
  return found == kept_.rend() ? nullptr : found->get();
}

}  // namespace ferry
