// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/access.hpp"

#include "control/log/log.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <chrono>
#include <iterator>
#include <tuple>

#include <sys/socket.h>

namespace ferry {

namespace {

// LIM-4: least time between two lines about datagrams from media ports.
constexpr Duration kTellEvery = std::chrono::seconds(10);
constexpr Duration kMinute = std::chrono::minutes(1);
constexpr unsigned kLinesPerMinute = 10;

}  // namespace

bool AccessList::admit(const IpAddress& source, Instant now, std::string_view listener) {
  if (is_trusted(source)) return true;
  if (open_) {
    // A spray of forged sources must not cost memory.
    if (budgets_.size() > kMaxSources) budgets_.clear();
    if (budgets_[source].take(RateLimit{kRequestsPerSecond, 0}, 1, now)) return true;
  }
  ++refused_;
  note_refusal(source, open_ ? TurnedAway::kBudget : TurnedAway::kNotAllowed, now, listener);
  return false;
}

bool AccessList::admit_datagram(const Endpoint& source, Instant now, std::string_view listener) {
  if (!own_ || !own_->contains(source)) return admit(source.address, now, listener);
  note_media_source(source, now);
  return false;
}

void AccessList::note_listener(int socket) {
  SocketAddress address;
  if (getsockname(socket, address.get(), address.size_pointer()) != 0) return;
  if (address.family() != AF_INET && address.family() != AF_INET6) return;
  listening_.push_back(address.endpoint().port);
  if (on_listening_) on_listening_();
}

void AccessList::note_media_source(const Endpoint& source, Instant now) {
  ++refused_from_media_;
  if (media_told_at_ && now - *media_told_at_ < kTellEvery) return;
  const log::Scope scope(log::Subsystem::kControl);
  log::warn(
      "control datagrams come from media port {} of this relay and are refused: {} since the last such line; "
      "somebody's SDP names a control port (LAT-11a)",
      source.port.value, refused_from_media_ - media_told_);
  media_told_at_ = now;
  media_told_ = refused_from_media_;
}

bool AccessList::may_tell(const Refusal& refusal, Instant now) {
  if (refusal.told_at && now - *refusal.told_at < kMinute) return false;
  if (!lines_since_ || now - *lines_since_ >= kMinute) {
    lines_since_ = now;
    lines_ = 0;
  }
  return lines_++ < kLinesPerMinute;
}

void AccessList::note_without_token(const IpAddress& source, Instant now, std::string_view listener) {
  ++refused_without_token_;
  note_refusal(source, TurnedAway::kNoToken, now, listener);
}

AccessList::Refusal& AccessList::place_for(TurnedAway why, std::string_view listener) {
  if (refusals_.size() < kMaxRefusals) return refusals_.emplace_back();
  const auto places_of = [this](TurnedAway reason, std::string_view at) {
    return std::ranges::count_if(
        refusals_, [&](const Refusal& each) { return each.why == reason && each.listener == at; });
  };
  // If its own listener and reason hold most places, this is a flood and the source is one of many. Otherwise
  // the place comes from whoever holds most.
  if (places_of(why, listener) * 2 < std::ssize(refusals_)) {
    const Refusal& crowded = *std::ranges::max_element(
        refusals_, {}, [&](const Refusal& each) { return places_of(each.why, each.listener); });
    why = crowded.why;
    listener = crowded.listener;
  }
  Refusal* least = nullptr;
  for (Refusal& each : refusals_) {
    if (each.why != why || each.listener != listener) continue;
    // Among sources that came equally often, the one that is longest gone.
    const auto weight = [](const Refusal& one) { return std::tuple(one.minutes, one.count, one.last); };
    if (least == nullptr || weight(each) < weight(*least)) least = &each;
  }
  return *least;
}

void AccessList::note_refusal(const IpAddress& source, TurnedAway why, Instant now,
                              std::string_view listener) {
  const auto found = std::ranges::find_if(refusals_, [&](const Refusal& each) {
    return each.source == source && each.why == why && each.listener == listener;
  });
  const bool is_new = found == refusals_.end();
  Refusal* const known = is_new ? &place_for(why, listener) : &*found;
  if (is_new) {
    *known = Refusal{};
    known->source = source;
    known->why = why;
    known->listener = listener;
    known->first = now;
  }
  ++known->count;
  known->last = now;
  if (known->minutes == 0 || now - known->minute_began >= kMinute) {
    ++known->minutes;
    known->minute_began = now;
  }
  if (!may_tell(*known, now)) return;
  const log::Scope scope(log::Subsystem::kControl);
  log::warn("{} is not allowed to send control commands{}: {} refused since the last such line ({})",
            source.to_string(), known->listener.empty() ? "" : " to " + known->listener,
            known->count - known->told, row_of(why).text);
  known->told_at = now;
  known->told = known->count;
}

}  // namespace ferry
