// SPDX-License-Identifier: Apache-2.0
// The interface by which the UDP listener hands datagrams to a control protocol.
#pragma once

#include "relay/base/address.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// A protocol that answers datagrams: NG or rtpproxy. Control thread only.
class DatagramService {
 public:
  virtual ~DatagramService() = default;
  /// Name for the log, such as `NG`. The text lives as long as the program.
  [[nodiscard]] virtual std::string_view protocol() const = 0;
  /// Executes one datagram and returns the reply, or nothing if it deserves none. Send the reply only after
  /// `SessionManager::flush`: until then the workers may not be in the state that it promises.
  virtual std::optional<std::string> handle(std::string_view message, const IpAddress& source) = 0;
  /// Tells the protocol that requests come faster than they can be served (CTL-5); it then refuses new calls
  /// until it is called with false.
  virtual void set_overloaded(bool overloaded) = 0;
};

}  // namespace ferry
