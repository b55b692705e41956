// The NG protocol without its transports: message in, reply out (NG reference, sections 1-4).
#pragma once

#include "control/protocol/datagram_service.hpp"
#include "control/protocol/ng/request_parser.hpp"
#include "control/protocol/reply_cache.hpp"
#include "control/session/manager.hpp"
#include "control/session/parameter_access.hpp"

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::ng {

/// Count and time of one command, of one client or of all.
struct CommandCount {
  std::uint64_t count = 0;
  Duration time{0};
};

/// Rates of the last second, measured by the daemon.
struct TrafficRates {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  // Of these, forwarded below the sockets.
  std::uint64_t kernel_packets = 0;
  std::uint64_t kernel_bytes = 0;
};

/// A word that clients send and nobody knows, with the number of times it came.
struct UnknownWord {
  std::uint64_t count = 0;
  std::string suggestion;
};

/// Control thread only. The reply must not leave before `SessionManager::flush`.
class NgService final : public DatagramService {
 public:
  static constexpr std::size_t kCommands = 33;

  NgService(SessionManager& manager, std::function<Clock()> clock, Templates templates = {});

  [[nodiscard]] std::string_view protocol() const override { return "NG"; }
  /// One message with a cookie. Nothing if it deserves no reply (no cookie). The reply fits a datagram: what
  /// does not is cut, with a `warning`, or an error.
  std::optional<std::string> handle(std::string_view message, const IpAddress& source) override;
  /// The same for streams, whose replies may be of any size.
  std::optional<std::string> handle_stream(std::string_view message, const IpAddress& source);
  /// One document without a cookie.
  std::string handle_document(std::string_view document, const IpAddress& source);

  /// Refuses offers of new calls until it is called with false: requests come faster than they can be served
  /// (CTL-5).
  void set_overloaded(bool overloaded) override { overloaded_ = overloaded; }
  [[nodiscard]] bool overloaded() const { return overloaded_; }
  void set_rates(const TrafficRates& rates) { rates_ = rates; }
  [[nodiscard]] const TrafficRates& rates() const { return rates_; }

  [[nodiscard]] const std::map<std::string, UnknownWord>& unknown_words() const { return unknown_; }
  [[nodiscard]] std::uint64_t repeated_keys() const { return repeated_keys_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_; }
  [[nodiscard]] const ReplyCache& cache() const { return cache_; }
  /// `visit(name, count)` for each command, all clients together.
  template <class Visit>
  void each_command(Visit visit) const {
    for (std::size_t i = 0; i < kCommands; ++i) visit(command_name(i), totals_[i]);
  }
  /// Told of each command that was carried out, and how long it took.
  void set_observer(std::function<void(std::string_view command, Duration time)> observer) {
    observer_ = std::move(observer);
  }
  /// For `cli`: run-time parameters may be read and set.
  void set_parameters(ParameterAccess* parameters) { parameters_ = parameters; }
  [[nodiscard]] ParameterAccess* parameters() const { return parameters_; }
  /// The `statistics` dictionary (NG reference, section 15).
  Dict statistics() const;

 private:
  struct Client {
    std::array<CommandCount, kCommands> commands;
    std::uint64_t errors = 0;
  };

  /// How a message came, and how long its reply may be.
  struct Way {
    std::string_view protocol;  // for the log
    std::size_t limit = 0;
  };
  struct Served {
    Duration time{0};
    std::string_view protocol;
  };

  static std::string_view command_name(std::size_t index);
  Dict execute(const Dict& document, const IpAddress& source, const Way& way);
  /// `refusal`: out, why it was refused; unset if it was carried out.
  Dict dispatch(std::size_t command, const Request& request, std::optional<RefusalReason>& refusal);
  /// The reply to a message that is no command.
  Dict refuse_message(std::string_view command, std::string_view reason, const IpAddress& source,
                      const Way& way);
  void count_unknown(const Request& request);
  /// Counts a word for `rtpferryctl unknown-flags`.
  void count_word(const std::string& name, std::string_view suggestion);
  /// What is odd about a request that is carried out all the same: interfaces that do not exist. Counts them.
  /// Empty = nothing.
  std::string warning_of(const Request& request);
  void log_request(std::string_view command, const Request& request, const Dict& reply,
                   const std::optional<RefusalReason>& refusal, const Served& served);
  std::optional<std::string> answer(std::string_view message, const IpAddress& source, const Way& way);
  std::string answer_document(std::string_view document, const IpAddress& source, const Way& way);

  SessionManager& manager_;
  std::function<Clock()> clock_;
  Templates templates_;
  ReplyCache cache_;
  std::map<IpAddress, Client> clients_;
  std::map<std::string, UnknownWord> unknown_;
  std::array<CommandCount, kCommands> totals_;
  std::function<void(std::string_view, Duration)> observer_;
  ParameterAccess* parameters_ = nullptr;
  Instant started_;
  TrafficRates rates_;
  std::uint64_t repeated_keys_ = 0;
  std::uint64_t errors_ = 0;
  bool overloaded_ = false;
};

}  // namespace ferry::ng
