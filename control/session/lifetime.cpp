// SPDX-License-Identifier: Apache-2.0
// A call ends in this order. Open key presses are reported; the observers are told while its parties and
// ports are still there; its ports close, and each observer may ask for what they counted; then it is
// forgotten. What the workers fill in is complete after the next fence, which the caller makes.
#include "control/session/lifetime.hpp"

#include "control/session/proposals.hpp"

#include <algorithm>
#include <chrono>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// No call waits longer than this for a look.
constexpr Duration kLongestLook = 60s;

}  // namespace

Call& Lifetime::create(const std::string& id, const Clock& clock) {
  Call& call = calls_.create(id, clock);
  call.worker = plane_.least_loaded();
  call.tos = config_.tos;
  try {
    observers_.tell(&CallObserver::on_created, call, clock.now);
  } catch (...) {
    // An observer had no memory for it.
    calls_.erase(call);
    throw;
  }
  return call;
}

void Lifetime::end(Call& call, EndReason reason, const Clock& clock) {
  events_.end_presses(call);
  observers_.tell(&CallObserver::on_ending, call, reason, clock);
  for (auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) ports_.close_all(call, transport);
  }
  observers_.tell(&CallObserver::on_closed, call);
  forget(call);
}

void Lifetime::settle(Instant now) {
  plane_.fence();
  ports_.release(now);
  observers_.tell(&CallObserver::on_settled);
}

void Lifetime::forget(Call& call) {
  observers_.tell(&CallObserver::on_forgotten, call);
  calls_.erase(call, call.policy() != nullptr ? call.policy()->shared_name() : std::string_view());
}

void Lifetime::end_leg(Call& call, Leg& leg, bool keep_counts) {
  // The counts of a deleted party are shown as long as its call lives.
  for (auto& media : leg.medias) {
    for (const LocalPorts& ports : media->via->ports) {
      if (!keep_counts || ports.closed || !ports.plan) continue;
      auto& last = media->ensure_extras().last;
      last.push_back(std::make_unique<TransportSnapshot>());
      plane_.post(call.worker, ReadTransport{ports.transport, last.back().get()}, true);
    }
  }
  // Medias may share a transport, so none closes before all medias have asked for their counts.
  for (auto& media : leg.medias) close_media(call, *media);
  // The worker writes into memory that may die next.
  if (keep_counts) plane_.fence();
}

Due Lifetime::due(const Call& call) const {
  const CallPolicy* policy = call.policy();
  Due due = policy != nullptr ? policy->due(call, config_, pauses_) : media_due(call);
  if (config_.final_timeout > 0s && call.created_at + config_.final_timeout < due.at) {
    due = {call.created_at + config_.final_timeout, EndReason::kFinalTimeout};
  }
  if (call.delete_at && *call.delete_at < due.at) due = {*call.delete_at, EndReason::kRegular, true};
  for (const auto& leg : call.legs) {
    if (leg->delete_at && *leg->delete_at < due.at && !leg->medias.empty() &&
        !leg->medias.front()->via->ports.empty()) {
      due = {*leg->delete_at, EndReason::kRegular, true};
    }
  }
  return due;
}

/// An NG call lives as long as the media that lives longest. Without any media that is relayed it lives until
/// it is deleted; if it has only listeners, its last change counts.
Due Lifetime::media_due(const Call& call) const {
  Due due{call.last_signal, EndReason::kTimeout};
  bool is_kept = false;
  bool has_stream = false;
  bool has_listener = false;
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      // A listener does not keep a call alive whose parties are gone.
      if (media->only_listens()) {
        has_listener = true;
        continue;
      }
      Instant last = call.last_signal;
      for (const LocalPorts& ports : media->via->ports) {
        last =
            std::max(last, Instant{Duration{ports.activity->last_packet_ns.load(std::memory_order_relaxed)}});
      }
      // Media from end to end may take a way that does not lead through here, also later in the call. Nobody
      // can tell that from silence, so once it is answered only `delete` and the longest duration end it.
      const bool may_bypass = media->answered && media->in_force().passing != Passing::kNo;
      if (media->untouched || may_bypass) {
        is_kept = is_kept || may_bypass;
        continue;
      }
      has_stream = true;
      Due end{pauses_.after(last, config_.timeout), EndReason::kTimeout};
      if (!media->via->remote_known) {
        end = {pauses_.after(last, config_.offer_timeout), EndReason::kOfferTimeout};
      } else if (!media->in_force().may_send || media->in_force().rejected) {
        end = {pauses_.after(last, config_.silent_timeout), EndReason::kSilentTimeout};
      }
      if (end.at > due.at) due = end;
    }
  }
  if (is_kept || (!has_stream && !has_listener)) due = {Instant::max(), EndReason::kTimeout};
  if (!is_kept && !has_stream && has_listener)
    due = {pauses_.after(call.touched, config_.timeout), EndReason::kTimeout};
  return due;
}

Instant Lifetime::next_look(const Call& call) const {
  return std::min(due(call).at, Proposals::next_end(call));
}

void Lifetime::schedule(Call& call, Instant at, Instant now) {
  // The call is looked at once a minute at least, so that the entry of a call that is gone leaves the queue
  // soon.
  call.scheduled_at = std::min(at, now + kLongestLook);
  expiries_.push({call.scheduled_at, call.serial});
}

void Lifetime::schedule_next(Call& call, Instant now) {
  if (const Instant at = next_look(call); at < call.scheduled_at) schedule(call, at, now);
}

Call* Lifetime::next_due(Instant now) {
  while (!expiries_.empty() && expiries_.top().at <= now) {
    const std::uint64_t serial = expiries_.top().serial;
    expiries_.pop();
    if (Call* call = calls_.by_serial(serial)) return call;
  }
  return nullptr;
}

}  // namespace ferry
