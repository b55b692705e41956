#include "control/protocol/access.hpp"

#include "control/log/log.hpp"

#include <chrono>

namespace ferry {

bool AccessList::admit(const IpAddress& source, Instant now) {
  if (is_trusted(source)) return true;
  if (open_) {
    if (budgets_.size() > kMaxSources) budgets_.clear();  // a spray of forged sources must not cost memory
    if (budgets_[source].take(RateLimit{kRequestsPerSecond, 0}, 1, now)) return true;
  }
  note_refusal(source, now);
  return false;
}

void AccessList::note_refusal(const IpAddress& source, Instant now) {
  ++refused_;
  const auto known = std::ranges::find(refusals_, source, &Refusal::source);
  if (known != refusals_.end())
    ++known->count;
  else if (refusals_.size() < kMaxRefusals)
    refusals_.push_back({source, 1});
  if (told_at_ && now - *told_at_ < std::chrono::seconds(10)) return;
  const log::Scope scope(log::Subsystem::kControl);
  log::warn(
      "{} is not allowed to send control commands: {} refused since the last such line ({})",
      source.to_string(), refused_ - refused_told_,
      open_ ? "it sends more than allow-open-control serves" : "add it to control-allow if it is your proxy");
  told_at_ = now;
  refused_told_ = refused_;
}

}  // namespace ferry
