// SPDX-License-Identifier: Apache-2.0
// The NG protocol, independent of how messages arrive: a message in, a reply out
// (docs/reference/ng.md#transports).
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/datagram_service.hpp"
#include "control/protocol/ng/figures.hpp"
#include "control/protocol/ng/request_parser.hpp"
#include "control/protocol/ng/service_view.hpp"
#include "control/protocol/reply_cache.hpp"

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Number and total time of one command, for one client or for all.
struct CommandCount {
  std::uint64_t count = 0;
  Duration time{0};
};

/// A word that clients send and the relay does not know.
struct UnknownWord {
  std::uint64_t count = 0;
  /// Known word that is closest to it; empty = none.
  std::string suggestion;
};

/// Executes NG commands. Send a reply only after `SessionManager::flush`: until then the workers may not be
/// in the state that it promises. Control thread only.
class NgService final : public DatagramService, public ServiceView {
 public:
  /// Number of commands.
  static constexpr std::size_t kCommands = 33;

  /// `manager` must outlive the service. `templates` are the pre-set words of requests.
  NgService(SessionManager& manager, std::function<Clock()> clock, Templates templates = {});

  [[nodiscard]] std::string_view protocol() const override { return "NG"; }
  /// Executes one message with a cookie. Returns nothing if there is no cookie. A reply that is too large for
  /// a datagram is cut and says so in `warning`; if that does not suffice, it is an error.
  std::optional<std::string> handle(std::string_view message, const IpAddress& source) override;
  /// The same for streams, whose replies may be of any size.
  std::optional<std::string> handle_stream(std::string_view message, const IpAddress& source);
  /// Executes one document without a cookie.
  std::string handle_document(std::string_view document, const IpAddress& source);

  /// Refuses offers of new calls until it is called with false, because requests come faster than they can be
  /// served (CTL-5).
  void set_overloaded(bool overloaded) override { overloaded_ = overloaded; }
  [[nodiscard]] bool overloaded() const { return overloaded_; }
  /// Sets the rates of the last second. The daemon calls it once a second.
  void set_rates(const TrafficRates& rates) { rates_ = rates; }
  [[nodiscard]] const TrafficRates& rates() const override { return rates_; }

  /// Words that nobody knows, by name with `key `, `flag ` or `interface ` before it. At most 512 are kept.
  [[nodiscard]] const std::map<std::string, UnknownWord>& unknown_words() const { return unknown_; }
  /// Dictionary keys that came twice in a message, and replies that were errors.
  [[nodiscard]] std::uint64_t repeated_keys() const { return repeated_keys_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  /// Replies that retransmissions get again.
  [[nodiscard]] const ReplyCache& cache() const { return cache_; }
  /// Calls `visit(name, count)` for each command; `count` is that of all clients together.
  template <class Visit>
  void each_command(Visit visit) const {
    for (std::size_t i = 0; i < kCommands; ++i) visit(command_name(i), totals_[i]);
  }
  /// Sets who is told of each command that was carried out or refused, and how long it took.
  void set_observer(std::function<void(std::string_view command, Duration time)> observer) {
    observer_ = std::move(observer);
  }
  /// Sets who gets each command and its reply, with their keys and passwords. Nobody by default.
  using Capture =
      std::function<void(const Dict& request, const Dict& reply, const IpAddress& client, WallTime at)>;
  void set_capture(Capture capture) { capture_ = std::move(capture); }
  /// Sets the run-time parameters that the command `cli` reads and changes. Not owned; null = none.
  void set_parameters(ParameterAccess* parameters) { parameters_ = parameters; }
  [[nodiscard]] ParameterAccess* parameters() const override { return parameters_; }
  [[nodiscard]] Dict statistics() const override;

 private:
  /// Counts for one client.
  struct Client {
    std::array<CommandCount, kCommands> commands;
    std::uint64_t errors = 0;
  };

  /// How a message came, and the most octets that its reply may have.
  struct Way {
    std::string_view protocol;  // for the log
    std::size_t limit = 0;
  };
  /// How a message was served, for the log.
  struct Served {
    Duration time{0};
    std::string_view protocol;
  };

  /// Name of a command by its place in the table.
  static std::string_view command_name(std::size_t index);
  /// Executes one document: finds the command, parses the request, counts and logs it. Returns the reply.
  Dict execute(const Dict& document, const IpAddress& source, const Way& way);
  /// Carries out one command and returns its reply, or why it was refused.
  Result<Dict, RequestError> dispatch(std::size_t command, const Request& request);
  /// Returns the part `controlstatistics`: commands by client.
  [[nodiscard]] Dict command_counts() const;
  /// Counts and logs a message that is no command, and returns the error.
  Dict refuse_message(std::string_view command, std::string_view reason, const IpAddress& source,
                      const Way& way);
  /// Counts the words of a request that nobody knows.
  void count_unknown(const Request& request);
  /// Counts one word for `rtpferryctl unknown-flags`. `suggestion` is empty if there is none.
  void count_word(const std::string& name, std::string_view suggestion);
  /// Returns what is wrong with the interfaces that a request names: the first that does not exist; unset if
  /// all do. Counts the names that do not. Unless interfaces are strict, the request is carried out with a
  /// warning.
  std::optional<RequestError> look_at_interfaces(const Request& request);
  /// Writes the line of a request that was carried out or refused.
  void log_request(std::string_view command, const Request& request, const Dict& reply,
                   const std::optional<RefusalReason>& refusal, const Served& served);
  /// Executes a message with a cookie; a retransmission gets the reply of before.
  std::optional<std::string> answer(std::string_view message, const IpAddress& source, const Way& way);
  /// Executes a document, and replies in the same encoding.
  std::string answer_document(std::string_view document, const IpAddress& source, const Way& way);

  SessionManager& manager_;
  std::function<Clock()> clock_;
  Templates templates_;
  ReplyCache cache_;
  /// Counts by client. After 256 clients, all others are counted together under the unset address.
  std::map<IpAddress, Client> clients_;
  std::map<std::string, UnknownWord> unknown_;
  /// Counts of all clients together.
  std::array<CommandCount, kCommands> totals_;
  std::function<void(std::string_view, Duration)> observer_;
  Capture capture_;
  ParameterAccess* parameters_ = nullptr;
  /// Time of construction.
  Instant started_;
  TrafficRates rates_;
  std::uint64_t repeated_keys_ = 0;
  std::uint64_t errors_ = 0;
  bool overloaded_ = false;
};

}  // namespace ferry::ng
