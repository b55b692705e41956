#include "control/protocol/access.hpp"

#include "control/log/log.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <chrono>

#include <sys/socket.h>

namespace ferry {

namespace {

constexpr Duration kTellEvery = std::chrono::seconds(10);  // LIM-4

}  // namespace

bool AccessList::admit(const IpAddress& source, Instant now) {
  if (is_trusted(source)) return true;
  if (open_) {
    if (budgets_.size() > kMaxSources) budgets_.clear();  // a spray of forged sources must not cost memory
    if (budgets_[source].take(RateLimit{kRequestsPerSecond, 0}, 1, now)) return true;
  }
  note_refusal(source, now);
  return false;
}

bool AccessList::admit_datagram(const Endpoint& source, Instant now) {
  if (!own_ || !own_->contains(source)) return admit(source.address, now);
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

void AccessList::note_refusal(const IpAddress& source, Instant now) {
  ++refused_;
  const auto known = std::ranges::find(refusals_, source, &Refusal::source);
  if (known != refusals_.end())
    ++known->count;
  else if (refusals_.size() < kMaxRefusals)
    refusals_.push_back({source, 1});
  if (told_at_ && now - *told_at_ < kTellEvery) return;
  const log::Scope scope(log::Subsystem::kControl);
  log::warn(
      "{} is not allowed to send control commands: {} refused since the last such line ({})",
      source.to_string(), refused_ - refused_told_,
      open_ ? "it sends more than allow-open-control serves" : "add it to control-allow if it is your proxy");
  told_at_ = now;
  refused_told_ = refused_;
}

}  // namespace ferry
