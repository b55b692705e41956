// SPDX-License-Identifier: Apache-2.0
// The rtpproxy protocol, independent of how commands arrive: a command in, a reply out.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/datagram_service.hpp"
#include "control/protocol/reply_cache.hpp"
#include "control/protocol/rtpproxy/command.hpp"
#include "control/protocol/rtpproxy/command_totals.hpp"
#include "control/protocol/rtpproxy/prompts.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpproxy {

/// Settings from the configuration.
struct ServiceConfig {
  /// Names of the logical interfaces that the modifiers `i` and `e` mean; empty = there is no bridging.
  std::string internal;
  std::string external;
  /// Folders with prompts; without any, nothing can be played.
  std::vector<std::string> prompt_directories;
};

/// Tells where notifications may go, as far as commands need to know. Implemented by `Notifier`.
class NotifyTargets {
 public:
  virtual ~NotifyTargets() = default;
  /// True if the operator named any target.
  [[nodiscard]] virtual bool any() const = 0;
  /// Returns the target that a command names, with its prefix and with the client's address in place of the
  /// wildcard. Empty if it is none of those that the operator named.
  [[nodiscard]] virtual std::string allowed(std::string_view named, const IpAddress& client) const = 0;
};

/// Executes commands of the rtpproxy protocol. Send a reply only after `SessionManager::flush`: until then
/// the workers may not be in the state that it promises. Control thread only.
class Service final : public DatagramService {
 public:
  /// `interfaces` are those of the manager; a local address that a command asks for is added to them. All
  /// references must outlive the service.
  Service(SessionManager& manager, InterfaceSet& interfaces, std::function<Clock()> clock,
          ServiceConfig config, const NotifyTargets& targets);

  [[nodiscard]] std::string_view protocol() const override { return "rtpproxy protocol"; }
  /// Executes a datagram, which has a cookie and a command. The reply begins with the cookie.
  std::optional<std::string> handle(std::string_view message, const IpAddress& source) override;
  void set_overloaded(bool overloaded) override { overloaded_ = overloaded; }
  /// Executes a command of a stream, which has no cookie. The reply ends with a newline.
  std::string handle_line(std::string_view line, const IpAddress& source);

  /// Counts since the start.
  [[nodiscard]] const CommandTotals& totals() const { return totals_; }
  /// Set the packets per second and the load average, for the commands `G` and `I`. The daemon calls them
  /// once a second.
  void set_packet_rate(double packets_per_second) { packet_rate_ = packets_per_second; }
  void set_load(double load) { load_ = load; }

 private:
  /// Result of a command or subcommand: text of the reply, which may be empty, or an error.
  using Outcome = Result<std::string, ErrorCode>;
  /// The session that subcommands act on.
  struct Context {
    /// Null once a subcommand has deleted the session.
    Call* call = nullptr;
    /// Place of the party whose tag stands first.
    std::size_t from = 0;
    /// Place of the party whose SDP the command is about.
    std::size_t sender = 0;
    RtpproxyNames names;
    bool is_ipv6 = false;
    /// The client that sent the command. Borrowed; set for `U` and `L` only.
    const IpAddress* client = nullptr;
  };

  /// Logs the outcome of a command, and notes a refusal. `command` is null if its syntax was wrong.
  void log_line(std::string_view line, const Command* command, const Outcome& outcome,
                const IpAddress& source, Duration time);
  /// One function for each command. The reply has no newline yet.
  Outcome execute(const Command& command, const IpAddress& client);
  Outcome signal(const Command& command, const IpAddress& client);
  Outcome signal(const RtpproxyNames& names, bool is_answer, std::string_view modifiers,
                 std::string_view address, std::string_view port, std::string_view target,
                 std::string_view tag, const IpAddress& client, Context& context);
  Outcome remove(const Command& command);
  Outcome play(const Command& command);
  Outcome stop(const Command& command);
  Outcome record(const Command& command, const IpAddress& client);
  Outcome copy(const Command& command, const IpAddress& client);
  Outcome stop_recording(const Command& command);
  Outcome query(const Command& command);
  Outcome info(const Command& command) const;
  Outcome statistics(const Command& command) const;
  Outcome features(const Command& command) const;
  /// Returns the reply `main` with those of the subcommands behind it. An error ends the subcommands.
  std::string with_subcommands(std::string main, const Command& command, Context context);
  /// Executes one subcommand.
  Outcome execute_sub(const Words& words, Context& context);

  /// The port as a reply shows it, with the advertised address unless that is the wildcard.
  [[nodiscard]] std::string port_text(const RtpproxyPort& port) const;
  /// Local addresses of a new session: the one that faces the sender, and the one that faces the receiver.
  /// Null: the address cannot be bound.
  struct Locals {
    const LocalAddress* near = nullptr;
    const LocalAddress* far = nullptr;
  };
  /// Chooses them by the modifiers.
  Result<Locals, ErrorCode> locals_of(const SignalModifiers& modifiers);
  /// The address of the interface that `i` or `e` means; null if there is no such interface.
  [[nodiscard]] const LocalAddress* bridge_address(char letter) const;

  SessionManager& manager_;
  InterfaceSet& interfaces_;
  std::function<Clock()> clock_;
  ServiceConfig config_;
  const NotifyTargets& targets_;
  RtpproxySessions& sessions_;
  PromptStore prompts_;
  ReplyCache cache_;
  CommandTotals totals_;
  /// Why the sessions refused the command that is executed now; unset if they did not.
  std::optional<RequestFault> fault_;
  double packet_rate_ = 0;
  double load_ = 0;
  bool overloaded_ = false;
};

/// Returns the line that reports a DTMF event of a party to the session's target; empty if nobody asked for
/// it.
[[nodiscard]] std::string dtmf_line(const Call& call, const Leg& leg, const DtmfEvent& event);

}  // namespace ferry::rtpproxy
