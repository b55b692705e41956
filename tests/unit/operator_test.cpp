// SPDX-License-Identifier: Apache-2.0
// What operators see of running calls: verdicts, metrics, pages, text commands.

#include "control/config/parameters.hpp"
#include "control/diagnose/explain.hpp"
#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/cli/command_table.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/pages/metrics.hpp"
#include "control/protocol/pages/pages.hpp"
#include "control/view/trace.hpp"
#include "relay/base/ensure.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"

#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

class Operated : public ::testing::Test {
 protected:
  Operated() {
    WorldOptions options;
    options.port_min = UdpPort{30000};
    options.port_max = UdpPort{30031};
    options.session.max_sessions = 6;
    options.listener.on_report = [this](const CallReport& report) {
      reports_.push_back(report);
      if (metrics_) metrics_->observe(report);
    };
    options.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
    world_ = make_sim_world(options);
    cli_ = std::make_unique<cli::CliService>(world_->manager(), world_->service(),
                                             [this] { return world_->clock(); });
    metrics_ = std::make_unique<metrics::Metrics>(world_->manager(), world_->service(),
                                                  [this] { return world_->clock(); });
    pages_ = std::make_unique<pages::Pages>(*cli_, *metrics_, world_->manager());
    cli::DaemonAccess access;
    access.parameters = &parameters_;
    cli_->set_daemon(access);
    world_->service().set_parameters(&parameters_);
    world_->service().set_observer(
        [this](std::string_view command, Duration time) { metrics_->observe_request(command, time); });
    for (const Endpoint& each : {a_, b_}) world_->open(each);
  }
  ~Operated() override { world_->service().set_observer({}); }

  void call(const std::string& name) {
    to_b_ = World::port_of(world_->ng(offer(name, "A", audio_sdp(a_))));
    to_a_ = World::port_of(world_->ng(answer(name, "A", "B", audio_sdp(b_))));
  }
  void talk(std::uint16_t first, std::uint16_t count, bool both = true) {
    for (std::uint16_t n = 0; n < count; ++n) {
      world_->at(world_->elapsed() + n * 20ms, [this, n, first, both] {
        world_->send(a_, at(to_a_), rtp('A', 1, static_cast<std::uint16_t>(first + n)));
        if (both) world_->send(b_, at(to_b_), rtp('B', 2, static_cast<std::uint16_t>(first + n)));
      });
    }
    world_->run(world_->elapsed() + count * 20ms);
  }
  Endpoint at(UdpPort port) const { return {world_->relay_address(), port}; }
  json ask(json request) { return cli_->execute(request, "test"); }
  std::string text(const std::string& line) {
    return ng::run_text_command(line, world_->manager(), world_->service(), world_->clock());
  }
  static const json* verdict(const json& reply, std::string_view leg, std::string_view direction) {
    for (const json& each : reply["verdicts"]) {
      if (each["leg"] == leg && each["direction"] == direction) return &each;
    }
    return nullptr;
  }

  Endpoint a_{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  Endpoint b_{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  UdpPort to_a_, to_b_;
  std::vector<CallReport> reports_;
  Config config_;
  Config applied_;
  Parameters parameters_{config_, [this](const Config& changed) { applied_ = changed; }};
  std::unique_ptr<World> world_;
  std::unique_ptr<cli::CliService> cli_;
  std::unique_ptr<metrics::Metrics> metrics_;
  std::unique_ptr<pages::Pages> pages_;
};

TEST_F(Operated, ACallInTheKernelIsExplainedLikeOthers) {
  call("c");
  talk(1, 300);
  EXPECT_GT(world_->forwarded_by_kernel(), 500u);
  const json reply = ask({{"command", "explain"}, {"call_id", "c"}});
  EXPECT_EQ(reply["severity"], "fine") << reply.dump(1);
  EXPECT_EQ((*verdict(reply, "A", "from"))["cause"], "fine");
  EXPECT_EQ((*verdict(reply, "A", "to"))["cause"], "fine");
  talk(301, 400, false);
  const json stopped = ask({{"command", "explain"}, {"call_id", "c"}});
  EXPECT_EQ((*verdict(stopped, "B", "from"))["cause"], "stopped") << stopped.dump(1);
  EXPECT_EQ((*verdict(stopped, "A", "from"))["severity"], "fine");
}

TEST_F(Operated, AStrangerInTheKernelIsNamed) {
  call("c");
  talk(1, 250);
  const Endpoint stranger{IpAddress::v4({203, 0, 113, 66}), UdpPort{6666}};
  world_->send(stranger, at(to_a_), rtp('X', 9, 1));
  const json reply = ask({{"command", "explain"}, {"call_id", "c"}});
  EXPECT_EQ((*verdict(reply, "A", "from"))["cause"], "other-source-too");
  EXPECT_NE(reply.dump().find("203.0.113.66:6666"), std::string::npos);
}

TEST_F(Operated, AnEndedCallIsJudgedAsItWasWhenItWasDeleted) {
  call("c");
  talk(1, 100);
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}});
  world_->run(world_->elapsed() + 40s);  // delete-delay
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_EQ(reports_[0].explanation.worst(), Severity::kFine);
  EXPECT_TRUE(ask({{"command", "explain"}, {"call_id", "c"}}).contains("error"))
      << "nothing was wrong with it";
}

TEST_F(Operated, BadCallsAreKeptWithinBounds) {
  for (int n = 0; n < 300; ++n) {
    const std::string name = "bad-" + std::to_string(n);
    call(name);
    talk(1, 1, false);
    world_->run(world_->elapsed() + 6s);
    world_->ng({{"command", "delete"}, {"call-id", name}, {"from-tag", "A"}, {"delete-delay", 0}});
  }
  const auto kept = world_->manager().kept_size();
  EXPECT_EQ(kept.calls, 256u);
  EXPECT_LE(kept.bytes, 8u << 20);
  EXPECT_TRUE(ask({{"command", "explain"}, {"call_id", "bad-0"}}).contains("error")) << "the oldest gave way";
  const json last = ask({{"command", "explain"}, {"call_id", "bad-299"}});
  EXPECT_EQ(last["state"], "ended");
  EXPECT_EQ(last["ended"], "regular");
  EXPECT_GT(last["ended_at_ms"], 0);
  EXPECT_GE(last["age_s"], 6.0);
  EXPECT_LT(last["age_s"], 7.0);
  EXPECT_EQ((*verdict(last, "B", "from"))["cause"], "never-sent");
}

TEST_F(Operated, WhereChangesNothing) {
  call("c");
  talk(1, 50);
  const json before = world_->manager().show("c", world_->clock());
  const json from_peer = ask({{"command", "where"},
                              {"call_id", "c"},
                              {"from", a_.to_string()},
                              {"to", std::to_string(to_a_.value)},
                              {"type", "8"},
                              {"ssrc", "1"},
                              {"seq", "51"}});
  EXPECT_EQ(from_peer["verdict"], "forward") << from_peer.dump();
  EXPECT_EQ(from_peer["sinks"][0]["to"], b_.to_string());
  const json stranger = ask(
      {{"command", "where"}, {"call_id", "c"}, {"from", "203.0.113.9:9"}, {"to", to_a_.value}, {"type", 8}});
  EXPECT_EQ(stranger["reason"], "foreign-source");
  EXPECT_EQ(ask({{"command", "where"}, {"call_id", "c"}, {"from", "203.0.113.9:9"}, {"to", 1}})["reason"],
            "no-such-port");
  EXPECT_TRUE(
      ask({{"command", "where"}, {"call_id", "c"}, {"from", "nonsense"}, {"to", 1}}).contains("error"));
  EXPECT_TRUE(
      ask({{"command", "where"}, {"call_id", "c"}, {"from", "203.0.113.9:9"}, {"to", 1}, {"hex", "0g"}})
          .contains("error"));
  EXPECT_EQ(world_->manager().show("c", world_->clock()), before);
}

TEST_F(Operated, TraceSeesVerdictsOnEveryPortAndGoesWithoutTrace) {
  call("c");
  {
    Trace trace(world_->manager().services(), "c");
    std::map<std::string, int> seen;
    const auto count = [&](const Trace::Seen& each) {
      ++seen[std::string(each.leg) + " " + std::string(to_string(each.packet.reason))];
    };
    EXPECT_TRUE(trace.poll(count));
    talk(1, 100);
    world_->send({IpAddress::v4({203, 0, 113, 66}), UdpPort{6}}, at(to_a_), rtp('X', 9, 1));
    trace.poll(count);
    EXPECT_GE(seen["A none"], 99);
    EXPECT_GE(seen["B none"], 99);
    EXPECT_EQ(trace.lost(), 0u);
    world_->manager().terminate("c", world_->clock());
    world_->manager().flush(world_->clock());
    EXPECT_FALSE(trace.poll(count));
  }
  call("d");
  talk(1, 100);
  EXPECT_GT(world_->manager().kernel_share().kernel, 0u) << "nothing of the trace is left";
}

TEST_F(Operated, ListFiltersAndSorts) {
  call("first");
  talk(1, 20);
  world_->ng(offer("second", "A2", audio_sdp(a_)));
  const auto ids = [](const json& reply) {
    std::vector<std::string> names;
    for (const json& each : reply["calls"]) names.push_back(each["call_id"]);
    return names;
  };
  EXPECT_EQ(ids(ask({{"command", "list"}})), (std::vector<std::string>{"first", "second"})) << "oldest first";
  EXPECT_EQ(ids(ask({{"command", "list"}, {"reverse", true}})),
            (std::vector<std::string>{"second", "first"}));
  EXPECT_EQ(ids(ask({{"command", "list"}, {"match", "A2"}})), std::vector<std::string>{"second"});
  EXPECT_EQ(ids(ask({{"command", "list"}, {"state", "answered"}})), std::vector<std::string>{"first"});
  EXPECT_EQ(ids(ask({{"command", "list"}, {"state", "offered"}})), std::vector<std::string>{"second"});
  EXPECT_EQ(ids(ask({{"command", "list"}, {"state", "silent"}})), std::vector<std::string>{"second"});
  EXPECT_EQ(ids(ask({{"command", "list"}, {"sort", "packets"}, {"limit", "1"}})),
            std::vector<std::string>{"first"});
  EXPECT_TRUE(ask({{"command", "list"}, {"sort", "beauty"}}).contains("error"));
  EXPECT_TRUE(ask({{"command", "list"}, {"state", "happy"}}).contains("error"));
  EXPECT_TRUE(ask({{"command", "list"}, {"sort", 5}})["calls"].is_array()) << "what is no text is no wish";
}

TEST_F(Operated, ParametersAreSetOneByOneAndShowWhatChanged) {
  EXPECT_EQ(ask({{"command", "get"}, {"name", "timeout"}})["parameters"]["timeout"], "60");
  EXPECT_EQ(ask({{"command", "set"}, {"name", "timeout"}, {"value", "45"}})["parameters"]["timeout"], "45");
  EXPECT_EQ(applied_.session.timeout, 45s);
  EXPECT_TRUE(ask({{"command", "set"}, {"name", "timeout"}, {"value", "-1"}}).contains("error"));
  EXPECT_TRUE(ask({{"command", "set"}, {"name", "interface"}, {"value", "127.0.0.1"}}).contains("error"))
      << "only at the start";
  EXPECT_TRUE(ask({{"command", "set"}, {"name", "nonsense"}, {"value", "1"}}).contains("error"));
  const json diff = ask({{"command", "params"}, {"what", "diff"}});
  ASSERT_EQ(diff["params"].size(), 1u);
  EXPECT_EQ(diff["params"][0]["at_start"], "60");
  parameters_.revert();
  EXPECT_EQ(ask({{"command", "params"}, {"what", "diff"}})["params"].size(), 0u);
}

TEST_F(Operated, TextCommandsOfTheField) {
  call("c");
  EXPECT_NE(text("list numsessions").find("Current sessions own: 1"), std::string::npos);
  EXPECT_NE(text("list sessions all").find("callid: c"), std::string::npos);
  EXPECT_NE(text("list sessions c").find("Tag 'A'"), std::string::npos);
  EXPECT_NE(text("call info c").find("Media #1 (audio over RTP/AVP)"), std::string::npos);
  EXPECT_EQ(json::parse(text("list jsonstats"))["currentstatistics"]["sessionsown"], 1);
  EXPECT_EQ(text("list timeout"), "TIMEOUT: 60\n");
  EXPECT_NE(text("set timeout 30").find("Success"), std::string::npos);
  EXPECT_EQ(text("get timeout"), "TIMEOUT: 30\n");
  EXPECT_EQ(text("params diff"), "timeout: 60 => 30\n");
  EXPECT_NE(text("set maxsessions unlimited").find("Success"), std::string::npos);
  EXPECT_NE(text("set loglevel high").find("no number"), std::string::npos);
  EXPECT_NE(text("terminate all").find("Refused"), std::string::npos) << "CTL-7";
  EXPECT_NE(text("nonsense").find("Unknown"), std::string::npos);
  EXPECT_NE(text("terminate c").find("terminated"), std::string::npos);
}

TEST_F(Operated, LogLevelsBySubsystemAndCall) {
  call("c");
  EXPECT_EQ(ask({{"command", "log"}, {"what", "media"}, {"level", "7"}})["levels"]["media"], 7);
  EXPECT_TRUE(ask({{"command", "log"}, {"what", "weather"}, {"level", "7"}}).contains("error"));
  EXPECT_TRUE(ask({{"command", "log"}, {"level", "8"}}).contains("error"));
  EXPECT_EQ(ask({{"command", "log"}, {"what", "c"}, {"level", "7"}})["levels"]["c"], 7);
  EXPECT_TRUE(world_->manager().find("c")->debug);
  EXPECT_FALSE(ask({{"command", "log"}, {"level", "6"}}).contains("error"));
}

TEST_F(Operated, AProbeHearsWhetherNewCallsAreTaken) {
  call("c");
  EXPECT_EQ(ask({{"command", "ready"}}), json({{"ready", true}, {"calls", 1}}));
  world_->manager().set_draining();
  EXPECT_EQ(ask({{"command", "ready"}})["error"], "draining: no new calls");
  world_->manager().set_draining(false);
  EXPECT_EQ(ask({{"command", "ready"}})["ready"], true);
}

TEST_F(Operated, PagesForMachines) {
  call("call/with?odd chars");
  talk(1, 10);
  EXPECT_EQ(pages_->get("/health/live")->status, 200);
  EXPECT_EQ(pages_->get("/health/ready")->status, 200);
  world_->manager().set_draining();
  EXPECT_EQ(pages_->get("/health/ready")->status, 503);
  EXPECT_EQ(pages_->get("/health/live")->status, 200);
  EXPECT_EQ(json::parse(pages_->get("/api/v1/calls?state=answered&limit=5")->body)["calls"].size(), 1u);
  const auto shown = pages_->get("/api/v1/calls/call%2Fwith%3Fodd%20chars");
  EXPECT_EQ(shown->status, 200);
  EXPECT_EQ(json::parse(shown->body)["call_id"], "call/with?odd chars");
  EXPECT_EQ(
      json::parse(pages_->get("/api/v1/explain/call%2Fwith%3Fodd%20chars?packets=true")->body)["severity"],
      "fine");
  EXPECT_EQ(pages_->get("/api/v1/calls/nobody")->status, 404);
  EXPECT_EQ(pages_->get("/api/v1/calls?sort=beauty")->status, 400);
  EXPECT_EQ(json::parse(pages_->get("/api/v1/calls?command=terminate&all=true")->body)["calls"].size(), 1u)
      << "only what the path says";
  EXPECT_FALSE(pages_->get("/api/v1/terminate"));
  EXPECT_FALSE(pages_->get("/api/v1/calls/"));
  EXPECT_EQ(pages_->get("/")->type, "text/html; charset=utf-8") << "the page for people";
  EXPECT_EQ(world_->manager().size(), 1u);
}

// --- Metrics

/// Samples of the exposition format: name with labels, and value.
std::map<std::string, double> samples(const std::string& text) {
  std::map<std::string, double> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const auto blank = line.rfind(' ');
    found[line.substr(0, blank)] = std::stod(line.substr(blank + 1));
  }
  return found;
}

TEST_F(Operated, EveryMetricMoves) {
  double figure = 0;
  const auto pairs = [&] { return json{{"one", figure}}; };
  metrics::Sources sources;
  sources.engines = [&] {
    const json port = {{"device", "0000:01:00.0"}, {"counts", pairs()}, {"up", figure != 0}};
    return json{{"punted", pairs()},
                {"sent_by", pairs()},
                {"helper", {{"running", figure != 0}}},
                {"dpdk", {{"counts", pairs()}, {"ports", json::array({port})}}}};
  };
  sources.recorder = [&] {
    return json{{"active", figure},       {"finished", figure},     {"failed", figure},
                {"packets_lost", figure}, {"hooks_failed", figure}, {"queue_bytes", figure},
                {"work_waiting", figure}, {"work_failed", figure}};
  };
  sources.rtpproxy = [&] { return json{{"commands", figure}, {"refused", figure}}; };
  sources.connections = [&] {
    return json{
        {"open", figure},   {"accepted", figure},   {"closed", pairs()},           {"refused", pairs()},
        {"pauses", figure}, {"handshakes", figure}, {"handshakes_waiting", figure}};
  };
  sources.telemetry = [&] {
    return json{{"homer",
                 {{"up", figure != 0 ? 1 : 0}, {"sent", figure}, {"waiting", figure}, {"dropped", pairs()}}}};
  };
  metrics_->set_sources(sources);
  const auto before = samples(metrics_->text());

  // A call that is one-way, and recovers.
  call("bad");
  talk(1, 400, false);
  const auto bad = samples(metrics_->text());
  talk(401, 600);
  world_->ng({{"command", "delete"}, {"call-id", "bad"}, {"from-tag", "A"}, {"delete-delay", 0}});

  // What there is to see now.
  figure = 5;
  sources.exposure = {"loopback"};
  metrics_->set_sources(sources);
  call("running");
  talk(1, 300);
  world_->send({IpAddress::v4({203, 0, 113, 66}), UdpPort{6}}, at(to_b_), rtp('X', 9, 1));
  world_->send(a_, at(to_a_), rtp('A', 1, 301, 13));
  const auto rtcp_of = [](const Endpoint& peer) {
    return Endpoint{peer.address, UdpPort{static_cast<std::uint16_t>(peer.port.value + 1)}};
  };
  const UdpPort running_a = to_a_;
  const UdpPort running_b = to_b_;
  // Sender reports, then twice what was heard of them: the second time both round trips are known.
  for (const std::uint32_t about : {0u, 1u, 1u}) {
    Packet from_a = sender_report(1, 0x10001, about * 2, 0x00010000, 0, 3);
    Packet from_b = sender_report(2, 0x20001, about, 0x00010000, 0, 3);
    for (Packet* each : {&from_a, &from_b}) write_u32(*each, 40, 800);  // interarrival jitter
    world_->send(rtcp_of(a_), rtcp_of(at(running_a)), from_a);
    world_->send(rtcp_of(b_), rtcp_of(at(running_b)), from_b);
    world_->run(world_->elapsed() + 50ms);
  }
  world_->rtpproxy("U classic 192.0.2.30 6000 tag");
  world_->fail_ports(PortError::kNoDescriptors);
  world_->ng(offer("portless", "A", audio_sdp(a_)));
  world_->fail_ports({});
  world_->ng(offer("denied", "A", audio_sdp({IpAddress::v4({127, 0, 0, 1}), UdpPort{2223}})));
  world_->ng({{"command", "query"}, {"call-id", "nobody"}});
  json misspelt = offer("offered", "A", audio_sdp(a_));
  misspelt["flags"] = {"trust-adress"};
  world_->ng(misspelt);
  // A packet that waits, nothing on the wire, ports that nobody hears.
  world_->send({a_.address, UdpPort{4444}},
               at(World::port_of(world_->ng(offer("waiting", "A", audio_sdp({a_.address, UdpPort{4440}}))))),
               rtp('A', 5, 1));
  world_->refuse_ports(true);
  call("unheard");
  world_->refuse_ports(false);
  world_->break_wire(true);
  world_->send(rtcp_of(b_), rtcp_of(at(running_b)), receiver_report(2));
  world_->break_wire(false);
  world_->ng(offer("too-many", "A", audio_sdp(a_)));
  world_->ng(offer("one-more", "A", audio_sdp(a_)));
  world_->ng(offer("refused", "A", audio_sdp(a_)));
  const auto running = samples(metrics_->text());

  // What calls leave behind: both ways, one way, none; losses, copies, late ones and a new start.
  for (const char* name : {"waiting", "unheard", "too-many", "one-more", "offered"})
    world_->ng({{"command", "delete"}, {"call-id", name}, {"from-tag", "A"}, {"delete-delay", 0}});
  call("lossy");
  for (const int n : {1, 2, 5, 5, 4, 9, 30000, 30001, 30002})
    world_->send(a_, at(to_a_), rtp('A', 1, static_cast<std::uint16_t>(n)));
  world_->ng({{"command", "delete"}, {"call-id", "lossy"}, {"from-tag", "A"}, {"delete-delay", 0}});
  for (int n = 0; n < 20; ++n) {
    call("short");
    world_->ng({{"command", "delete"}, {"call-id", "short"}, {"from-tag", "A"}, {"delete-delay", 0}});
  }
  world_->ng({{"command", "delete"}, {"call-id", "running"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world_->manager().set_draining();
  ++g_broken_invariants;
  const auto after = samples(metrics_->text());
  --g_broken_invariants;

  for (const metrics::FamilyRow& row : metrics::families()) {
    // It never moves; and the simulation's workers do not sleep, so they never wake up (e2e_operator sees
    // it).
    if (row.name == "rtpferry_build_info" || row.name == "rtpferry_worker_wakeups_total") continue;
    // There is memory (memory_test sees when there is none), and nobody stops the workers (pause_test does).
    if (row.name == "rtpferry_worker_without_memory_total" || row.name == "rtpferry_worker_pauses_total")
      continue;
    // No party is in need of reports or of silence here (own_reports_test and srtp_worker_test see both).
    if (row.name == "rtpferry_own_reports_total" || row.name == "rtpferry_silence_packets_total") continue;
    // Nothing is converted here (media_test and e2e_transcode see it).
    if (row.name.starts_with("rtpferry_transcoded_") || row.name == "rtpferry_media_thread_load") continue;
    bool has_moved = false;
    for (const auto& later : {bad, running, after}) {
      for (const auto& [name, value] : later) {
        const bool is_of_it =
            name == row.name || name.starts_with(std::string(row.name) + "{") ||
            (row.kind == metrics::Kind::kHistogram && name.starts_with(std::string(row.name) + "_count"));
        const auto then = before.find(name);
        has_moved = has_moved || (is_of_it && (then == before.end() || then->second != value));
      }
    }
    EXPECT_TRUE(has_moved) << row.name;
  }
}

TEST(Metrics, CTL8_NothingInThemNamesACall) {
  const auto world = make_sim_world();
  metrics::Metrics metrics(world->manager(), world->service(), [&] { return world->clock(); });
  world->ng(
      offer("secret-call-id", "secret-tag", audio_sdp({IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}})));
  const std::string text = metrics.text();
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(text.find("192.0.2."), std::string::npos);
  EXPECT_EQ(text.find("198.18."), std::string::npos) << "nor an address";
}

}  // namespace
}  // namespace ferry::test
