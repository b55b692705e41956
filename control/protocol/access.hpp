// Who may speak to a control listener (media-security CTL-2, CTL-3, CTL-5).
#pragma once

#include "relay/base/address.hpp"
#include "relay/core/limit/token_bucket.hpp"

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
    if (source.is_loopback()) return true;
    for (const Network& network : allowed_) {
      if (network.contains(source)) return true;
    }
    if (!open_) return false;
    if (budgets_.size() > kMaxSources) budgets_.clear();  // a spray of forged sources must not cost memory
    return budgets_[source].take(RateLimit{kRequestsPerSecond, 0}, 1, now);
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
