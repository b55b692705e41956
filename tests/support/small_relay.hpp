// SPDX-License-Identifier: Apache-2.0
// A relay without any protocol, on a network in memory: commands are given as requests, and what they change
// is read from the calls.
#pragma once

#include "control/manager/manager.hpp"
#include "relay/io/sim/sim_network.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {

/// Whether a command was carried out, without what it answered.
using Outcome = Result<void, RequestError>;
/// One command for one request.
using Command = std::function<Outcome(const Services&, const Request&, const Clock&)>;

/// The command that is a member of a class that lives for one request.
template <class Class, class Done>
Command command(Result<Done, RequestError> (Class::*member)()) {
  return [member](const Services& services, const Request& request, const Clock& clock) -> Outcome {
    const auto done = (Class(services, request, clock).*member)();
    if (!done) return fail(done.error());
    return {};
  };
}

/// An SDP of one audio section (PCMA, PCMU) at `media`, with `more` lines behind it.
inline std::string audio_at(std::string_view media, std::string_view more = {}) {
  const Endpoint at = Endpoint::parse(media).value();
  return fmt::format(
      "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 8 0\r\n"
      "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n{2}",
      at.address.to_string(), at.port.value, more);
}

class SmallRelay {
 public:
  struct Options {
    SessionConfig session = {};
    std::vector<std::string> interfaces = {"plain/198.18.0.1"};
    UdpPort first{30000};
    UdpPort last{30399};
    SessionManager::Listener listener = {};
    CallRecorder* recorder = nullptr;
    SoundLibrary* sounds = nullptr;
  };
  SmallRelay() : SmallRelay(Options()) {}
  explicit SmallRelay(const Options& options)
      : interfaces(build(options)),
        plane(one_worker(network, interfaces), false),
        manager(options.session, interfaces, plane, network, options.listener, options.recorder,
                options.sounds) {}

  [[nodiscard]] Clock clock() const { return {network.now(), WallTime{network.now().time_since_epoch()}}; }
  void flush() { manager.flush(clock()); }
  /// Passes time and sweeps once a second.
  void pass(std::chrono::seconds time) {
    for (; time.count() > 0; --time) {
      network.advance_to(network.now() + std::chrono::seconds(1));
      manager.sweep(clock());
    }
    flush();
  }
  Outcome run(const Command& command, const Request& request) {
    Outcome outcome = command(manager.services(), request, clock());
    flush();
    return outcome;
  }
  /// The same for a command whose answer is wanted.
  template <class Class, class Done>
  Result<Done, RequestError> ask(Result<Done, RequestError> (Class::*member)(), const Request& request) {
    auto done = (Class(manager.services(), request, clock()).*member)();
    flush();
    return done;
  }

  static Request request(std::string call, std::string from = {}, std::string to = {}, std::string sdp = {}) {
    Request made;
    made.call_id = std::move(call);
    if (!from.empty()) made.from_tag = std::move(from);
    if (!to.empty()) made.to_tag = std::move(to);
    if (!sdp.empty()) made.sdp = std::move(sdp);
    return made;
  }
  Result<MessageTaken, RequestError> offer(const Request& request) {
    auto outcome = manager.offer(request, clock());
    flush();
    return outcome;
  }
  Result<MessageTaken, RequestError> answer(const Request& request) {
    auto outcome = manager.answer(request, clock());
    flush();
    return outcome;
  }
  /// A call of A at 198.51.100.1:4000 and B at 198.51.100.2:5000 that is answered.
  Call& add_call(const std::string& id = "call", const std::string& a = "A", const std::string& b = "B") {
    offer(request(id, a, {}, audio_at("198.51.100.1:4000"))).value();
    answer(request(id, a, b, audio_at("198.51.100.2:5000"))).value();
    return *manager.find(id);
  }
  /// All that is kept of all calls, and how many ports are open: what a refused command leaves as it was.
  nlohmann::json everything() {
    std::vector<std::string> ids;
    manager.each_call([&](const Call& call) { ids.push_back(call.id); });
    nlohmann::json all = {{"ports", network.open_ports()}};
    for (const std::string& id : ids) all[id] = manager.export_call(id, clock());
    return all;
  }
  static Media& media(Leg& leg, std::size_t section = 0) { return *leg.medias[section]; }

  SimNetwork network;
  InterfaceSet interfaces;
  MediaPlane plane;
  SessionManager manager;

 private:
  static InterfaceSet build(const Options& options) {
    std::vector<InterfaceSpec> specs;
    for (const std::string& each : options.interfaces) specs.push_back(parse_interface_spec(each));
    return InterfaceSet::build(specs, options.first, options.last, false).value();
  }
  static std::vector<std::unique_ptr<Worker>> one_worker(SimNetwork& network,
                                                         const InterfaceSet& interfaces) {
    std::vector<std::unique_ptr<Worker>> workers;
    workers.push_back(std::make_unique<Worker>(std::make_unique<SimIo>(network, 64), interfaces.own_media()));
    return workers;
  }
};

/// A command that is refused, and why.
struct RefusedCommand {
  const char* name;
  Command command;
  /// Makes the request wrong, which is one of A about `call`.
  std::function<void(Request&)> ask;
  RefusalReason reason;
};
inline void PrintTo(const RefusedCommand& row, std::ostream* out) { *out << row.name; }

/// CTL-6: it is refused for that reason, and everything is as before.
inline void expect_refused(SmallRelay& relay, const RefusedCommand& row) {
  Request request = SmallRelay::request("call", "A");
  row.ask(request);
  const nlohmann::json before = relay.everything();
  const Outcome outcome = relay.run(row.command, request);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(row_of(outcome.error().refusal()).name, row_of(row.reason).name);
  EXPECT_EQ(relay.everything(), before);
}

}  // namespace ferry::test
