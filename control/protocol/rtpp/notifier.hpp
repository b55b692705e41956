// Tells listeners of the classic protocol about time-outs and DTMF (its reference, section 8).
#pragma once

#include "control/protocol/event_loop.hpp"
#include "control/protocol/rtpp/service.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpp {

/// Keeps one connection to each target, made when there is something to say; what cannot be delivered in
/// three tries is lost and counted. Nothing waits. Control thread only.
class Notifier final : public NotifyTargets {
 public:
  /// `targets`: `unix:PATH` or a path, `tcp:ADDRESS:PORT`, `udp:ADDRESS:PORT`, and with `%%CC_SELF%%` for the
  /// address of whoever sends the command. Throws std::system_error with the sentence if one is none of them.
  Notifier(event_base* base, const std::vector<std::string>& targets);
  ~Notifier() override;
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  [[nodiscard]] bool any() const override { return !targets_.empty(); }
  [[nodiscard]] std::string allowed(std::string_view named, const IpAddress& client) const override;

  /// `target` as `allowed` gave it; `line` ends with a newline.
  void send(const std::string& target, const std::string& line);
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct Connection;
  void connect(Connection& connection);
  void on_event(Connection& connection, short what);

  event_base* base_;
  std::vector<std::string> targets_;  // in full
  std::map<std::string, std::unique_ptr<Connection>> connections_;
  std::uint64_t lost_ = 0;
};

/// Whether `text` can be a target of notifications.
[[nodiscard]] bool is_notify_target(std::string_view text);

}  // namespace ferry::rtpp
