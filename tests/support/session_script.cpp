// SPDX-License-Identifier: Apache-2.0
// Steps are rows of a table, chosen by one octet each; requests are far more frequent than the rest. Whatever
// a step does, `run` flushes as a listener would and then checks everything.

#include "tests/support/session_script.hpp"

#include "control/sdp/sdp.hpp"

#include <array>
#include <set>

#include <fmt/format.h>

namespace ferry::test {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kRemembered = 25;  // steps that a fault is told with

WorldOptions options() {
  WorldOptions options;
  options.workers = 2;
  options.port_min = UdpPort{30000};
  options.port_max = UdpPort{30127};  // 64 pairs an address: they run out now and then
  return options;
}

constexpr std::array<Duration, 6> kPauses = {20ms, 600ms, 1s, 11s, 61s, 301s};

/// Where packets come from: the parties of the grammar, a neighbour and a stranger.
Endpoint sender(Choices& choices) {
  static const std::array kSources = {IpAddress::v4({198, 51, 100, 10}), IpAddress::v4({198, 51, 100, 20}),
                                      IpAddress::v4({192, 168, 7, 7}), IpAddress::v4({203, 0, 113, 66})};
  const IpAddress host = choices.of(kSources);
  return {host, UdpPort{static_cast<std::uint16_t>(4000 + choices.below(200))}};
}

Packet packet_of(Choices& choices, std::uint16_t sequence) {
  const auto ssrc = static_cast<std::uint32_t>(1 + choices.below(4));
  switch (choices.below(8)) {
    case 0:
    case 1:
    case 2:
      return rtp('x', ssrc, sequence);
    case 3:
      return rtp('x', ssrc, sequence, 101, 4);
    case 4:
      return sender_report(ssrc, sequence);
    case 5:
      return bytes_of({0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});  // STUN
    case 6:
      return bytes_of({22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1});  // DTLS
    default:
      return bytes_of({0, 1, 2, 6, 1, 0});  // UDPTL
  }
}

}  // namespace

SessionScript::SessionScript() : world_(make_sim_world(options())) {}
SessionScript::~SessionScript() = default;

void SessionScript::log(std::string what) {
  log_.push_back(std::move(what));
  if (log_.size() > kRemembered) log_.pop_front();
}

void SessionScript::fault(std::string what) {
  if (!fault_.empty()) return;
  fault_ = std::move(what) + "\nafter";
  for (const std::string& step : log_) fault_ += "\n  " + step;
}

template <class Visit>
void SessionScript::each_ports(Visit visit) {
  world_->manager().each_call([&](Call& call) {
    for (const auto& leg : call.legs) {
      for (MediaTransport& transport : leg->transports) {
        for (LocalPorts& ports : transport.ports) visit(call, transport, ports);
      }
    }
  });
}

std::string SessionScript::run(std::span<const std::uint8_t> octets, std::size_t most) {
  static constexpr std::array<Step, 16> kSteps = {
      &SessionScript::ng_request,  &SessionScript::ng_request,       &SessionScript::ng_request,
      &SessionScript::ng_request,  &SessionScript::ng_request,       &SessionScript::ng_request,
      &SessionScript::ng_request,  &SessionScript::ng_request,       &SessionScript::packets,
      &SessionScript::packets,     &SessionScript::rtpproxy_command, &SessionScript::rtpproxy_command,
      &SessionScript::time_passes, &SessionScript::restore,          &SessionScript::move,
      &SessionScript::trouble};
  Choices choices(octets);
  while (!choices.is_over() && fault_.empty() && steps_ < most) {
    ++steps_;
    (this->*choices.of(kSteps))(choices);
    world_->manager().flush(world_->clock());
    check_ports();
    check_names();
    check_plans();
  }
  if (fault_.empty()) check_end();
  return fault_;
}

void SessionScript::ng_request(Choices& choices) {
  const json request = make_request(choices);
  log(request.dump(-1, ' ', false, json::error_handler_t::replace));
  const auto before = records();
  const json reply = json::parse(world_->service().handle_document(
      request.dump(-1, ' ', false, json::error_handler_t::replace), IpAddress::v4({127, 0, 0, 1})));
  world_->manager().flush(world_->clock());
  log_.back() += "  ->  " + reply.value("result", "?") + " " + reply.value("error-reason", "");
  check_reply(reply);
  if (reply.value("result", "") == "error") expect_unchanged(before);
}

void SessionScript::rtpproxy_command(Choices& choices) {
  const std::string command = make_classic_command(choices);
  log(command);
  const auto before = records();
  const std::string reply = world_->rtpproxy(command);
  log_.back() += "  ->  " + reply;
  if (reply.find('\n') == std::string::npos && reply.starts_with('E')) expect_unchanged(before);
}

void SessionScript::packets(Choices& choices) {
  std::vector<Endpoint> open;
  each_ports([&](const Call&, const MediaTransport&, const LocalPorts& ports) {
    if (!ports.closed) open.push_back({ports.local->address, ports.port});
  });
  if (open.empty()) return;
  Endpoint to = open[choices.below(std::min<std::size_t>(open.size(), 256))];
  if (choices.rarely(4)) ++to.port.value;
  const Endpoint from = sender(choices);
  const std::size_t count = 1 + choices.below(12);
  log(fmt::format("{} packets {}:{} -> {}:{}", count, from.address.to_string(), from.port.value,
                  to.address.to_string(), to.port.value));
  for (std::size_t n = 0; n < count; ++n) {
    world_->send(from, to, packet_of(choices, ++sequence_));
    world_->run(world_->elapsed() + 20ms);
  }
}

void SessionScript::time_passes(Choices& choices) {
  const Duration time = choices.of(kPauses);
  log(fmt::format("{} ms pass", time / 1ms));
  world_->run(world_->elapsed() + time);
}

void SessionScript::move(Choices& choices) {
  const char* id = choices.of(kCallIds);
  const std::size_t worker = choices.below(2);
  log(fmt::format("{} moves to worker {}", id, worker));
  if (world_->manager().find(id) != nullptr) world_->manager().move_call(id, worker);
}

void SessionScript::restore(Choices& choices) {
  SessionManager& manager = world_->manager();
  const Call* call = manager.find(choices.of(kCallIds));
  if (call == nullptr) return;
  const std::string id = call->id;
  log(id + " is exported and restored");
  const json record = json::parse(manager.export_call(id, world_->clock()).dump());
  manager.terminate(id, world_->clock());
  manager.flush(world_->clock());
  if (const auto restored = manager.restore_call(record, world_->clock()); !restored)
    return fault("the export is not restored: " + restored.error());
  manager.flush(world_->clock());
  json again = json::parse(manager.export_call(id, world_->clock()).dump());
  // A key goes on behind what may have been sent after the export (SRT-9).
  again["sections"]["contexts"] = record["sections"]["contexts"];
  if (again != record)
    fault("the export of what was restored is another: " + json::diff(record, again).dump());
}

void SessionScript::trouble(Choices& choices) {
  switch (choices.below(8)) {
    case 0:
      log("descriptors run out");
      return world_->limit_descriptors(world_->open_ports() + choices.below(6));
    case 1:
      log("the wire breaks");
      return world_->break_wire(true);
    default:
      log("nothing is wrong");
      world_->limit_descriptors(SIZE_MAX);
      return world_->break_wire(false);
  }
}

std::map<std::string, std::string> SessionScript::records() {
  std::vector<std::string> ids;
  world_->manager().each_call([&](const Call& call) { ids.push_back(call.id); });
  std::map<std::string, std::string> records;
  for (const std::string& id : ids) records[id] = world_->manager().export_call(id, world_->clock()).dump();
  return records;
}

void SessionScript::expect_unchanged(const std::map<std::string, std::string>& before) {
  const auto after = records();
  for (const auto& [id, record] : before) {
    const auto now = after.find(id);
    if (now == after.end()) return fault("CTL-6: a refused request ended " + id);
    if (now->second != record)
      return fault("CTL-6: a refused request changed " + id + ": " +
                   json::diff(json::parse(record), json::parse(now->second)).dump());
  }
  if (after.size() != before.size()) fault("CTL-6: a refused request made a call");
}

void SessionScript::check_reply(const json& reply) {
  static const std::set<std::string> kResults = {"ok", "error", "pong", "load limit"};
  const std::string result = reply.value("result", "");
  if (!kResults.contains(result)) return fault("no known result: " + reply.dump());
  if ((result == "error") != reply.contains("error-reason"))
    return fault("error without a reason: " + reply.dump());
  if (result == "ok" && reply.contains("sdp")) check_sdp(reply["sdp"]);
}

void SessionScript::check_sdp(const std::string& text) {
  const auto sdp = sdp::parse(text);
  if (!sdp) return fault("a reply whose SDP is none:\n" + text);
  for (const auto& media : sdp->media) {
    if (media.port == 0 || !media.connection || media.type == "message") continue;  // copied as it came
    bool is_ours = false;
    for (const LogicalInterface& interface : world_->manager().interfaces().all()) {
      for (const LocalAddress& local : interface.addresses) is_ours |= local.advertised == *media.connection;
    }
    const Endpoint at{*media.connection, UdpPort{media.port}};
    if (is_ours && world_->manager().interfaces().owner_of(at) == nullptr)
      fault(fmt::format("a reply names port {}, which is not open:\n{}", media.port, text));
  }
}

void SessionScript::check_ports() {
  std::size_t pairs = 0;
  std::size_t transports = 0;
  std::map<const PortPool*, std::size_t> used;
  each_ports([&](const Call& call, const MediaTransport& transport, const LocalPorts& ports) {
    if (ports.closed) return;
    ++transports;
    const auto count = [&](const LocalAddress& local, UdpPort port) {
      ++pairs;
      ++used[local.ports.get()];
      if (local.ports->owner(port) != &transport)
        fault(fmt::format("port {} of {} does not know its transport", port.value, call.id));
    };
    count(*ports.local, ports.port);
    for (const LocalPorts::More& more : ports.more) count(*more.local, more.port);
  });
  for (const LogicalInterface& interface : world_->manager().interfaces().all()) {
    for (const LocalAddress& local : interface.addresses) {
      if (local.ports->used() != used[local.ports.get()])
        fault(fmt::format("{} pairs are drawn at {}, and the calls have {}", local.ports->used(),
                          local.address.to_string(), used[local.ports.get()]));
    }
  }
  if (world_->open_ports() != 2 * pairs)
    fault(fmt::format("{} sockets are open, and the calls have {} pairs", world_->open_ports(), pairs));
  std::size_t known = 0;
  MediaPlane& plane = world_->manager().plane();
  for (std::size_t n = 0; n < plane.workers(); ++n) known += plane.worker(n).transports();
  if (known != transports)
    fault(fmt::format("the workers have {} transports, the calls {}", known, transports));
}

void SessionScript::check_names() {
  world_->manager().each_call([&](const Call& call) {
    if (world_->manager().find(call.id) != &call) fault(call.id + " is not found");
    if (!call.extras) return;
    for (const std::string& id : call.extras->other_ids) {
      if (world_->manager().find(id) != &call)
        fault(fmt::format("{} is not found by its other id {}", call.id, id));
    }
  });
}

void SessionScript::check_plans() {
  std::map<const LocalPorts*, std::shared_ptr<const TransportPlan>> told;
  each_ports([&](const Call&, const MediaTransport&, const LocalPorts& ports) { told[&ports] = ports.plan; });
  world_->manager().each_call([&](Call& call) { world_->manager().sync_plans(call); });
  world_->manager().flush(world_->clock());
  each_ports([&](const Call& call, const MediaTransport& transport, const LocalPorts& ports) {
    if (told[&ports] != ports.plan)
      fault(fmt::format("a plan of {} is not what it should be: party {}, port {}", call.id,
                        transport.leg->tag, ports.port.value));
  });
}

void SessionScript::check_end() {
  SessionManager& manager = world_->manager();
  log("all calls end");
  manager.terminate_all(world_->clock());
  manager.flush(world_->clock());
  if (manager.size() != 0) fault("calls are left");
  check_ports();
  if (world_->open_ports() != 0) fault("sockets are left");
}

}  // namespace ferry::test
