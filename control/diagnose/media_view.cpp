// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/media_view.hpp"

#include <algorithm>

namespace ferry {

namespace {

void merge(SsrcCounters& into, const SsrcCounters& from) {
  into.packets += from.packets;
  into.bytes += from.bytes;
  into.duplicates += from.duplicates;
  into.reordered += from.reordered;
  if (from.last_packet > into.last_packet) {
    into.highest_extended = from.highest_extended;
    into.last_timestamp = from.last_timestamp;
    into.last_packet = from.last_packet;
    into.last_payload_type = from.last_payload_type;
    into.last_payload_size = from.last_payload_size;
  }
}

/// Figures of the last seconds at `place`. A stream that came by an export has none.
RecentStream recent_of(const std::vector<RecentStream>& all, std::size_t place) {
  return place < all.size() ? all[place] : RecentStream{};
}

void sort_by_age(auto& list) {
  std::ranges::sort(list, [](const auto& a, const auto& b) { return a.last > b.last; });
}

}  // namespace

void MediaView::add(MediaId media, const TransportSnapshot& snapshot, bool is_active, const Endpoint& local) {
  for (std::size_t i = 0; i < 2; ++i) {
    ComponentCounters& sum = counters[i];
    const ComponentCounters& part = snapshot.counters[i];
    sum.packets_in += part.packets_in;
    sum.bytes_in += part.bytes_in;
    sum.errors_in += part.errors_in;
    sum.packets_out += part.packets_out;
    sum.bytes_out += part.bytes_out;
    sum.errors_out += part.errors_out;
    last_packet[i] = std::max(last_packet[i], snapshot.last_packet[i]);
  }
  drops += snapshot.drops;
  // Ports of an earlier SDP and the present ones overlap for seconds at most, so the longer time is taken.
  recent_drops += snapshot.recent_drops;
  // The last seconds of a closed port are those before it was closed.
  if (is_active || local.is_set()) recent_sent += snapshot.recent_sent;
  for (const TransportSnapshot::Source& source : snapshot.sources) {
    if (source.media != media) continue;
    for (std::size_t i = 0; i < source.ingress.size(); ++i) {
      const QualityHistory* quality =
          i < source.quality.size() && source.quality[i].present ? &source.quality[i].history : nullptr;
      const auto known = std::ranges::find_if(
          ingress, [&](const Stream& s) { return s.counters.ssrc == source.ingress[i].ssrc; });
      if (known == ingress.end()) {
        ingress.insert(ingress.begin(), {source.ingress[i], quality, recent_of(source.ingress_recent, i)});
      } else {
        if (source.ingress[i].last_packet > known->counters.last_packet)
          known->recent = recent_of(source.ingress_recent, i);
        merge(known->counters, source.ingress[i]);
        if (quality != nullptr) known->quality = quality;
      }
    }
    for (std::size_t i = 0; i < source.egress.size(); ++i) {
      const SsrcCounters& out = source.egress[i];
      const auto known =
          std::ranges::find_if(egress, [&](const OutStream& s) { return s.counters.ssrc == out.ssrc; });
      if (known == egress.end()) {
        egress.insert(egress.begin(), {out, recent_of(source.egress_recent, i)});
      } else {
        if (out.last_packet > known->counters.last_packet) known->recent = recent_of(source.egress_recent, i);
        merge(known->counters, out);
      }
    }
    for (const ListenerReport& each : source.reports) {
      const auto known = std::ranges::find(reports, each.about, &ListenerReport::about);
      if (known == reports.end())
        reports.push_back(each);
      else if (each.at > known->at)
        *known = each;
    }
  }
  if (is_active)
    active = &snapshot;
  else if (local.is_set())
    former.push_back({local, snapshot.counters[0].packets_in, snapshot.last_packet[0]});
  if (!snapshot.evidence) return;
  if (snapshot.evidence->other.last > other.last) other = snapshot.evidence->other;
  for (const Refusal& each : snapshot.evidence->refusals) {
    if (each.times != 0) refusals.push_back(each);
  }
  for (const SendFailure& each : snapshot.evidence->failures) {
    if (each.times != 0) failures.push_back(each);
  }
  sort_by_age(refusals);
  sort_by_age(failures);
  if (snapshot.evidence->roll_over.last > roll_over.last) roll_over = snapshot.evidence->roll_over;
}

const Refusal* MediaView::refusal(DropReason reason) const noexcept {
  const auto found = std::ranges::find(refusals, reason, &Refusal::reason);
  return found == refusals.end() ? nullptr : &*found;
}

const MediaView::Stream* MediaView::newest_stream() const noexcept {
  const auto found =
      std::ranges::max_element(ingress, {}, [](const Stream& stream) { return stream.counters.last_packet; });
  return found == ingress.end() ? nullptr : &*found;
}

const MediaView::OutStream* MediaView::newest_sent() const noexcept {
  const auto found = std::ranges::max_element(
      egress, {}, [](const OutStream& stream) { return stream.counters.last_packet; });
  return found == egress.end() ? nullptr : &*found;
}

}  // namespace ferry
