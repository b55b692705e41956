// Who may speak to a control listener (media-security CTL-2, CTL-3, CTL-5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/limit/token_bucket.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace ferry {

/// Allow-list of source networks with a budget for everybody who is neither local nor on it.
class AccessList {
 public:
  /// With `open` any source may speak, within its budget.
  AccessList(std::vector<Network> allowed, bool open) : allowed_(std::move(allowed)), open_(open) {}

  /// False: drop without a reply.
  bool admit(const IpAddress& source, Instant now) {
    if (is_trusted(source)) return true;
    if (!open_) return false;
    if (budgets_.size() > kMaxSources) budgets_.clear();  // a spray of forged sources must not cost memory
    return budgets_[source].take(RateLimit{kRequestsPerSecond, 0}, 1, now);
  }
  /// Local or on the list: also whom a call may name as receiver of what the relay sends unasked (CTL-9).
  [[nodiscard]] bool is_trusted(const IpAddress& address) const {
    return address.is_loopback() ||
           std::ranges::any_of(allowed_, [&](const Network& network) { return network.contains(address); });
  }
  [[nodiscard]] bool may_listen_on(const IpAddress& address) const {
    return address.is_loopback() || open_ || !allowed_.empty();
  }

 private:
  static constexpr std::uint32_t kRequestsPerSecond = 2000;  // CTL-5
  static constexpr std::size_t kMaxSources = 4096;
  std::vector<Network> allowed_;
  std::map<IpAddress, TokenBucket> budgets_;
  bool open_;
};

}  // namespace ferry
