// SPDX-License-Identifier: Apache-2.0
// A relay in virtual time that octets drive, and what must hold after each of its steps. The fuzz target
// `sessions` and session_sequences_test run the same.
#pragma once

#include "tests/support/request_grammar.hpp"
#include "tests/support/world.hpp"

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ferry::test {

/// One relay with two workers, from its start until all its calls are gone. A step is a request of either
/// protocol, packets, time, a move to another worker, an export that is restored, or trouble with ports.
///
/// After each step: the ports and sockets that are open are those of the calls, and each knows its media; the
/// workers have as many transports; a call is found by each of its ids; no plan would be another if it were
/// computed again; a reply is well formed and names open ports; a request that was refused left every call as
/// it was (CTL-6); what is restored from an export is exported as the same.
class SessionScript {
 public:
  SessionScript();
  ~SessionScript();
  /// Takes steps until the octets are used up, `most` at most, then ends all calls. Returns what did not
  /// hold, with the steps before it; empty if everything did.
  std::string run(std::span<const std::uint8_t> octets, std::size_t most = 200);
  [[nodiscard]] std::size_t steps() const { return steps_; }

 private:
  using Step = void (SessionScript::*)(Choices&);
  void ng_request(Choices& choices);
  void rtpproxy_command(Choices& choices);
  void packets(Choices& choices);
  void time_passes(Choices& choices);
  void move(Choices& choices);
  void restore(Choices& choices);
  void trouble(Choices& choices);

  /// Every call as it would be exported now.
  [[nodiscard]] std::map<std::string, std::string> records();
  void expect_unchanged(const std::map<std::string, std::string>& before);
  void check_reply(const nlohmann::json& reply);
  void check_sdp(const std::string& text);
  void check_ports();
  void check_names();
  void check_plans();
  void check_end();
  /// Visits all ports that the calls have.
  template <class Visit>
  void each_ports(Visit visit);

  void log(std::string what);
  /// Notes the first fault; the run ends with it.
  void fault(std::string what);

  std::unique_ptr<World> world_;
  std::deque<std::string> log_;
  std::string fault_;
  std::size_t steps_ = 0;
  std::uint16_t sequence_ = 0;
};

}  // namespace ferry::test
