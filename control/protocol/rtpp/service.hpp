// The classic rtpproxy protocol without its transports: command in, reply out.
#pragma once

#include "control/protocol/datagram_service.hpp"
#include "control/protocol/reply_cache.hpp"
#include "control/protocol/rtpp/command.hpp"
#include "control/protocol/rtpp/prompts.hpp"
#include "control/session/classic.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::rtpp {

struct ServiceConfig {
  /// Logical interfaces that `i` and `e` mean; empty = there is no bridging.
  std::string internal;
  std::string external;
  std::vector<std::string> prompt_directories;
};

/// Where notifications may go, as far as commands need to know.
class NotifyTargets {
 public:
  virtual ~NotifyTargets() = default;
  /// Somebody may be notified at all.
  [[nodiscard]] virtual bool any() const = 0;
  /// The target that a command names, in full and with the wildcard replaced by the client's address; empty
  /// if it is not one of those that the operator named.
  [[nodiscard]] virtual std::string allowed(std::string_view named, const IpAddress& client) const = 0;
};

/// Of all commands, whatever transport they came by.
struct CommandTotals {
  std::uint64_t received = 0;
  std::uint64_t repeated = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t replied = 0;
};

/// Control thread only. Replies must not leave before `SessionManager::flush`.
class Service final : public DatagramService {
 public:
  /// `interfaces` are those of the manager; addresses that commands ask for are added to them.
  Service(SessionManager& manager, InterfaceSet& interfaces, std::function<Clock()> clock,
          ServiceConfig config, const NotifyTargets& targets);

  [[nodiscard]] std::string_view protocol() const override { return "rtpproxy protocol"; }
  /// A datagram: cookie and command. The reply has the cookie too.
  std::optional<std::string> handle(std::string_view message, const IpAddress& source) override;
  void set_overloaded(bool overloaded) override { overloaded_ = overloaded; }
  /// A command of a stream, without a cookie; the reply ends with a newline.
  std::string handle_line(std::string_view line, const IpAddress& source);

  [[nodiscard]] const CommandTotals& totals() const { return totals_; }
  void set_packet_rate(double packets_per_second) { packet_rate_ = packets_per_second; }
  void set_load(double load) { load_ = load; }

 private:
  /// What a command or subcommand brought: data for the reply, perhaps empty, or an error.
  using Outcome = Result<std::string, ErrorCode>;
  /// What subcommands act on.
  struct Context {
    Call* call = nullptr;
    std::size_t from = 0;
    /// The party whose SDP it is about.
    std::size_t sender = 0;
    ClassicNames names;
    bool is_ipv6 = false;
    const IpAddress* client = nullptr;
  };

  /// Says in the log what became of a command; `command` is null where its syntax was wrong.
  void log_line(std::string_view line, const Command* command, const Outcome& outcome,
                const IpAddress& source, Duration time);
  Outcome execute(const Command& command, const IpAddress& client);
  Outcome signal(const Command& command, const IpAddress& client);
  Outcome signal(const ClassicNames& names, bool is_answer, std::string_view modifiers,
                 std::string_view address, std::string_view port, std::string_view target,
                 std::string_view tag, const IpAddress& client, Context& context);
  /// Why the present command is refused; without a text, as the row of the reason says it.
  void because(RefusalReason reason, std::string_view text = {});
  /// The code of a `U` or `L` that could not be done; `is_known`: its session was there before.
  ErrorCode refused(ClassicError error, bool is_known);
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
  /// The reply of `main` and, behind it, those of the subcommands.
  std::string with_subcommands(std::string main, const Command& command, Context context);
  Outcome execute_sub(const Words& words, Context& context);

  [[nodiscard]] std::string port_text(const ClassicPort& port) const;
  /// Local addresses of a new session, facing sender and receiver.
  struct Locals {
    const LocalAddress* near = nullptr;
    const LocalAddress* far = nullptr;
  };
  Result<Locals, ErrorCode> locals_of(const SignalModifiers& modifiers);
  [[nodiscard]] const LocalAddress* bridge_address(char letter) const;

  SessionManager& manager_;
  InterfaceSet& interfaces_;
  std::function<Clock()> clock_;
  ServiceConfig config_;
  const NotifyTargets& targets_;
  ClassicSessions sessions_;
  PromptStore prompts_;
  ReplyCache cache_;
  CommandTotals totals_;
  /// Of the present command, where its error code alone does not say why it was refused.
  std::string_view refusal_;
  std::optional<RefusalReason> refusal_reason_;
  double packet_rate_ = 0;
  double load_ = 0;
  bool overloaded_ = false;
};

/// The line that reports an event of a session's party to its target; empty if nobody wants it.
[[nodiscard]] std::string dtmf_line(const Call& call, const Leg& leg, const DtmfEvent& event);

}  // namespace ferry::rtpp
