// A control protocol as the UDP listener sees it.
#pragma once

#include "relay/base/address.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// What answers datagrams.
class DatagramService {
 public:
  virtual ~DatagramService() = default;
  /// For the log: `NG`. Of static lifetime.
  [[nodiscard]] virtual std::string_view protocol() const = 0;
  /// Nothing if it deserves no reply. The reply must not leave before `SessionManager::flush`.
  virtual std::optional<std::string> handle(std::string_view message, const IpAddress& source) = 0;
  /// Requests come faster than they can be served (CTL-5).
  virtual void set_overloaded(bool overloaded) = 0;
};

}  // namespace ferry
