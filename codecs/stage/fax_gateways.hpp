// The fax gateways of one thread.
#pragma once

#include "codecs/fax/gateway.hpp"

#include <cstdint>
#include <map>
#include <memory>

namespace ferry {

/// Finds the gateway that both stages of a fax call share, by the number that control gave it
/// (`FaxSide::gateway`). A gateway lives as long as one of its stages. For one thread.
class FaxGateways {
 public:
  /// Returns the gateway `number`, and makes it with `settings` if there is none. Never null. Throws
  /// std::bad_alloc.
  [[nodiscard]] std::shared_ptr<T38Gateway> find_or_make(std::uint64_t number, const T38Settings& settings);

 private:
  std::map<std::uint64_t, std::weak_ptr<T38Gateway>> gateways_;
};

}  // namespace ferry
