// SPDX-License-Identifier: Apache-2.0
// A call begins for others when its first plans are made: it has parties then. A call that was refused
// before that, and what becomes of it, is never published.
//
// The end of a call is told in two steps. `on_ending` notes its name, because the call is gone when the
// workers have told what they counted; `on_report` then publishes. Reports come in the order of the endings.
//
// The first packet: a worker says that it learned an address, but not that packets came where nothing is
// learned (ICE, latch=off). So each call whose parties were not all heard is looked at in turn. A look reads
// one figure of each port and waits for no worker.
#include "control/events/call_events.hpp"

#include "control/events/report_json.hpp"
#include "control/rtpproxy/session.hpp"
#include "control/session/evidence.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

namespace ferry::events {

namespace {

using nlohmann::json;

bool has_rtp(const MediaTransport& transport) {
  return std::ranges::any_of(transport.ports, [](const LocalPorts& each) {
    return each.activity && each.activity->last_rtp_ns.load(std::memory_order_relaxed) != 0;
  });
}

/// True if packets of the party may come there.
bool may_be_heard(const MediaTransport& transport) {
  bool may = false;
  transport.each_media(
      [&](const Media& media) { may |= !media.untouched && !media.rejected && !media.only_listens(); });
  return may && !transport.ports.empty();
}

/// The party and the m-line of a transport.
json place_of(const MediaTransport& transport) {
  json place = {{"tag", name_of(*transport.leg)}};
  transport.each_media([&](const Media& media) {
    if (place.contains("media")) return;
    place["media"] = media.index;
    place["kind"] = media.type;
  });
  return place;
}

json tags_of(const Call& call) {
  json tags = json::array();
  for (const auto& leg : call.legs) {
    if (!leg->tag.empty()) tags.push_back(leg->tag);
  }
  return tags;
}

bool is_time_out(EndReason reason) { return reason != EndReason::kRegular && reason != EndReason::kForced; }

}  // namespace

void CallEvents::publish(EventType type, std::string_view call_id, json fields) {
  stream_.publish(type, call_id, std::move(fields), wall_());
}

bool CallEvents::shows_digit(const Call& call, const Leg& leg) const {
  const CallRecording* recording = call.recording();
  return digits_ == DigitDisplay::kShown && (recording == nullptr || !recording->is_paused()) &&
         digit_cover(leg) == DigitCover::kNone;
}

bool CallEvents::look_at(const Call& call, Told& told) {
  bool all = true;
  for (const auto& leg : call.legs) {
    for (const MediaTransport& transport : leg->transports) {
      bool was_heard = false;
      transport.each_media([&](const Media& media) {
        was_heard |= std::ranges::find(told.heard, media.id) != told.heard.end();
      });
      if (was_heard || !may_be_heard(transport)) continue;
      if (!has_rtp(transport)) {
        all = false;
        continue;
      }
      transport.each_media([&](const Media& media) { told.heard.push_back(media.id); });
      publish(EventType::kMediaStart, plain_id(call), place_of(transport));
    }
  }
  return all;
}

CallEvents::Told& CallEvents::begin(const Call& call) {
  const auto [found, is_new] = told_.try_emplace(&call);
  if (is_new) attempt([&] { publish(EventType::kCallStart, plain_id(call), {{"tags", tags_of(call)}}); });
  return found->second;
}

void CallEvents::wait(const Call& call, Told& told) {
  if (told.place) return;
  waiting_.push_back(&call);
  told.place = waiting_.size() - 1;
}

void CallEvents::wait_no_longer(Told& told) noexcept {
  if (!told.place) return;
  const std::size_t place = *std::exchange(told.place, std::nullopt);
  // The last one takes the place.
  if (place + 1 != waiting_.size()) {
    waiting_[place] = waiting_.back();
    told_.find(waiting_[place])->second.place = place;
  }
  waiting_.pop_back();
}

void CallEvents::forget(const Call& call) noexcept {
  const auto found = told_.find(&call);
  if (found == told_.end()) return;
  wait_no_longer(found->second);
  told_.erase(found);
}

void CallEvents::look() {
  const std::size_t turn = std::min(kLooks, waiting_.size());
  for (std::size_t n = 0; n < turn && !waiting_.empty(); ++n) {
    if (next_ >= waiting_.size()) next_ = 0;
    const Call& call = *waiting_[next_];
    Told& told = told_.find(&call)->second;
    bool all = false;
    attempt([&] { all = look_at(call, told); });
    if (all)
      wait_no_longer(told);
    else
      ++next_;
  }
}

void CallEvents::stop() {
  for (const Ending& each : endings_)
    attempt([&] { publish(EventType::kCallEnd, each.call_id, {{"reason", to_string(each.reason)}}); });
  for (const auto& each : told_)
    attempt([&] { publish(EventType::kCallEnd, plain_id(*each.first), {{"reason", "relay-stopped"}}); });
  endings_.clear();
  told_.clear();
  waiting_.clear();
}

void CallEvents::on_planned(Call& call) {
  attempt([&] { wait(call, begin(call)); });
}

void CallEvents::on_merged(Call& call, Call& other) {
  const auto gone = told_.find(&other);
  if (gone == told_.end()) return;
  attempt([&] {
    const auto stays = told_.find(&call);
    if (stays != told_.end())
      stays->second.heard.insert(stays->second.heard.end(), gone->second.heard.begin(),
                                 gone->second.heard.end());
  });
  attempt([&] {
    publish(EventType::kCallEnd, plain_id(other), {{"reason", "merged"}, {"into", plain_id(call)}});
  });
  forget(other);
}

void CallEvents::on_event(const MediaTransport& transport, TransportEvent event) {
  if (event != TransportEvent::kLocked) return;
  const Call& call = transport.call();
  const auto found = told_.find(&call);
  if (found == told_.end()) return;
  attempt([&] { static_cast<void>(look_at(call, found->second)); });
  attempt([&] { publish(EventType::kLatched, plain_id(call), place_of(transport)); });
}

void CallEvents::on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) {
  static constexpr std::string_view kDigits = "0123456789*#ABCD";
  attempt([&] {
    json fields = {{"tag", name_of(leg)}, {"duration-ms", event.duration_ms}, {"volume", event.volume}};
    const bool is_key = event.event < kDigits.size();
    if (!is_key || shows_digit(call, leg)) {
      fields["event"] = event.event;
      if (is_key) fields["digit"] = std::string(1, kDigits[event.event]);
    }
    publish(EventType::kDtmf, plain_id(call), std::move(fields));
  });
}

void CallEvents::on_ending(Call& call, EndReason reason, const Clock&) {
  const auto found = told_.find(&call);
  if (found == told_.end()) return;
  // Packets that came since the last look.
  attempt([&] { static_cast<void>(look_at(call, found->second)); });
  if (is_time_out(reason))
    attempt([&] { publish(EventType::kTimeout, plain_id(call), {{"reason", to_string(reason)}}); });
  attempt([&] { endings_.push_back({call.id, std::string(plain_id(call)), reason}); });
  forget(call);
}

void CallEvents::on_forgotten(Call& call) { forget(call); }

void CallEvents::on_report(const CallReport& report) {
  const auto found = std::ranges::find(endings_, report.call_id, &Ending::id);
  if (found == endings_.end()) return;
  attempt([&] {
    json record = record_of(report);
    publish(EventType::kCallEnd, found->call_id,
            {{"reason", std::move(record["ended"])},
             {"duration", std::move(record["duration_s"])},
             {"severity", std::move(record["severity"])},
             {"verdict", std::move(record["verdict"])},
             {"streams", std::move(record["streams"])}});
  });
  endings_.erase(endings_.begin(), found + 1);
}

void CallEvents::on_health(const Call& call, const HealthNews& news) {
  const auto found = told_.find(&call);
  if (found == told_.end()) return;
  if (news.is_bad) {
    found->second.bad = news.is_unheard ? EventType::kOneWay : EventType::kQuality;
    attempt([&] {
      publish(*found->second.bad, plain_id(call),
              {{"state", "bad"},
               {"cause", to_string(news.cause)},
               {"sentence", news.sentence},
               {"tag", news.leg},
               {"media", news.media}});
    });
    return;
  }
  const auto was = std::exchange(found->second.bad, std::nullopt);
  attempt([&] {
    publish(was.value_or(EventType::kQuality), plain_id(call),
            {{"state", "recovered"},
             {"cause", to_string(news.cause)},
             {"lasted", std::chrono::duration<double>(news.lasted).count()}});
  });
}

void CallEvents::on_recording(const Call& call, RecordingStep step, std::string_view why) {
  attempt([&] {
    if (step == RecordingStep::kEnded) {
      publish(EventType::kRecordingEnd, plain_id(call), {{"reason", why}});
      return;
    }
    // A recording that the first message asks for begins before the first plans.
    begin(call);
    publish(EventType::kRecordingStart, plain_id(call), {{"by", why}});
  });
}

}  // namespace ferry::events
