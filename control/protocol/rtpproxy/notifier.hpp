// SPDX-License-Identifier: Apache-2.0
// Tells listeners of the rtpproxy protocol about time-outs and DTMF
// (docs/reference/rtpproxy.md#notifications).
#pragma once

#include "control/protocol/event_loop.hpp"
#include "control/protocol/rtpproxy/service.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpproxy {

/// Keeps one connection to each target, which is made when there is a line to send. Lines that cannot be
/// delivered in three tries are lost and counted. It waits for no peer. Control thread only.
class Notifier final : public NotifyTargets {
 public:
  /// `targets` are those that the operator allows: `unix:PATH` or a path, `tcp:ADDRESS:PORT`,
  /// `udp:ADDRESS:PORT`. `%%CC_SELF%%` as address stands for the client that sends the command. Throws
  /// std::runtime_error with a sentence if one is none of these. `base` must outlive the notifier.
  Notifier(event_base* base, const std::vector<std::string>& targets);
  ~Notifier() override;
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  [[nodiscard]] bool any() const override { return !targets_.empty(); }
  [[nodiscard]] std::string allowed(std::string_view named, const IpAddress& client) const override;

  /// Sends a line, which ends with a newline. `target` has the form that `allowed` returns.
  void send(const std::string& target, const std::string& line);
  /// Lines that were lost.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Connection;
  /// Begins one try to connect.
  void connect(Connection& connection);
  /// Handles libevent's report that a connection was made or has ended.
  void on_event(Connection& connection, short what);

  event_base* base_;
  /// With their prefix.
  std::vector<std::string> targets_;
  std::map<std::string, std::unique_ptr<Connection>> connections_;
  std::uint64_t lost_ = 0;
};

/// True if `text` can be a target of notifications.
[[nodiscard]] bool is_notify_target(std::string_view text);

}  // namespace ferry::rtpproxy
