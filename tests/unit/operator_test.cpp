// What operators see: verdicts, quality figures, metrics, pages, text commands, the doctor's checks.

#include "control/config/parameters.hpp"
#include "control/diagnose/explain.hpp"
#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/cli/command_table.hpp"
#include "control/protocol/http/metrics.hpp"
#include "control/protocol/http/pages.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/session/trace.hpp"
#include "relay/base/ensure.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"
#include "tools/rtpferryctl/doctor.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

// --- Quality

StreamStats counted(const std::vector<std::uint16_t>& sequences) {
  StreamStats stats;
  Instant now{1h};
  for (const std::uint16_t sequence : sequences) {
    RtpView view;
    view.sequence = SeqNo{sequence};
    view.timestamp = sequence * 160u;
    stats.count(view, 172, 8000, now += 20ms);
  }
  return stats;
}

TEST(Quality, RunsOfMissingPacketsAreBursts) {
  const SsrcCounters c = counted({1, 2, 5, 6, 10, 11}).counters();
  EXPECT_EQ(c.loss_bursts, 2u);
  EXPECT_EQ(c.longest_loss_burst, 3u);
  EXPECT_EQ(c.lost(), 5u);
}

TEST(Quality, LatePacketsCloseAndSplitBursts) {
  EXPECT_EQ(counted({1, 3, 2, 4}).counters().loss_bursts, 0u) << "closed";
  EXPECT_EQ(counted({1, 5, 3, 6}).counters().loss_bursts, 2u) << "split";
  EXPECT_EQ(counted({1, 5, 4, 3, 2, 6}).counters().loss_bursts, 0u) << "shrunk, then closed";
  EXPECT_EQ(counted({10, 8, 11}).counters().loss_bursts, 1u) << "9, when 8 came before the first";
  EXPECT_EQ(counted({10, 9, 11}).counters().loss_bursts, 0u);
}

TEST(Quality, BurstsAreThoseOfTheSequencesThatNeverCame) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint16_t> sent;
    std::set<int> missing;
    for (std::uint16_t n = 100; n < 400; ++n) {
      if (n > 105 && n < 390 && random() % 10 == 0)
        missing.insert(n);
      else
        sent.push_back(n);
    }
    for (std::size_t i = 6; i + 6 < sent.size(); ++i) {
      if (random() % 8 == 0) std::swap(sent[i], sent[i + random() % 4]);
    }
    unsigned bursts = 0;
    for (const int n : missing) bursts += missing.contains(n - 1) ? 0u : 1u;
    const SsrcCounters c = counted(sent).counters();
    ASSERT_EQ(c.lost(), missing.size());
    ASSERT_EQ(c.loss_bursts, bursts) << "round " << round;
  }
}

TEST(Quality, DriftOfTheSendersClock) {
  for (const double ppm : {-200.0, 0.0, 150.0}) {
    StreamStats stats;
    RtpView view;
    const Instant start{1h};
    for (int n = 0; n < 3000; ++n) {
      view.sequence = SeqNo{static_cast<std::uint16_t>(n)};
      view.timestamp = static_cast<std::uint32_t>(n * 160);
      const auto at = std::chrono::nanoseconds(static_cast<std::int64_t>(n * 20e6 * (1 + ppm / 1e6)));
      stats.count(view, 172, 8000, start + at);
    }
    const auto drift = stats.counters().drift();
    ASSERT_TRUE(drift);
    EXPECT_NEAR(drift->ppm, ppm, 5);
    EXPECT_LT(drift->error_ppm, 20);
  }
}

TEST(Quality, DriftStartsAgainWhenTheSenderCountsElsewhere) {
  StreamStats stats;
  RtpView view;
  Instant now{1h};
  for (int n = 0; n < 1000; ++n) {
    view.sequence = SeqNo{static_cast<std::uint16_t>(n)};
    view.timestamp = static_cast<std::uint32_t>(n * 160 + (n > 300 ? 900'000 : 0));
    stats.count(view, 172, 8000, now += 20ms);
  }
  ASSERT_TRUE(stats.counters().drift());
  EXPECT_NEAR(stats.counters().drift()->ppm, 0, 5);
}

TEST(Quality, MosOfG107) {
  QualityFigures perfect;
  EXPECT_NEAR(estimate_mos(perfect), 4.4, 0.02);
  QualityFigures lossy = perfect;
  lossy.loss_percent = 5;
  // Ie-eff = 95 * 5 / (5 + 25.1) = 15.8; R = 93.2 - 15.8 - 0.24.
  EXPECT_NEAR(estimate_mos(lossy), 3.92, 0.02);
  QualityFigures bursty = lossy;
  bursty.burst_ratio = 4;
  EXPECT_LT(estimate_mos(bursty), estimate_mos(lossy));
  QualityFigures g729 = perfect;
  g729.equipment_impairment = 11;
  g729.loss_robustness = 19;
  EXPECT_NEAR(estimate_mos(g729), 4.1, 0.05);
  QualityFigures far = perfect;
  far.one_way = 400ms;
  EXPECT_LT(estimate_mos(far), 3.5);
  QualityFigures nothing = perfect;
  nothing.loss_percent = 100;
  EXPECT_GE(estimate_mos(nothing), 1.0);
}

// --- Verdicts, pure

/// Two parties that talk to each other, as a worker would tell it.
class Verdicts : public ::testing::Test {
 protected:
  Verdicts() {
    call_.call_id = "c";
    call_.now = now_;
    call_.last_signal = now_ - 60s;
    call_.is_answered = true;
    for (std::uint8_t n = 1; n <= 2; ++n) {
      LegEvidence& leg = call_.legs.emplace_back();
      leg.name = n == 1 ? "A" : "B";
      MediaEvidence& media = leg.medias.emplace_back();
      media.index = 1;
      media.type = "audio";
      media.signalled = {IpAddress::v4({192, 0, 2, n}), UdpPort{4000}};
      media.local = {IpAddress::v4({198, 51, 100, 1}), UdpPort{static_cast<std::uint16_t>(30000 + n * 2)}};
      media.shown.set(8);
      media.sources.push_back({n == 1 ? 1u : 0u, 0});
      snapshots_[n - 1].latch[0].state = Latch::State::kLocked;
      snapshots_[n - 1].latch[0].peer = snapshots_[n - 1].destination[0] = media.signalled;
      snapshots_[n - 1].verified = true;
      media.seen.active = &snapshots_[n - 1];
      MediaView::Stream stream;
      stream.counters.packets = 3000;
      stream.counters.highest_extended = 2999;
      stream.counters.last_payload_type = 8;
      stream.counters.first_packet = now_ - 60s;
      stream.counters.last_packet = now_;
      media.seen.ingress.push_back(stream);
      media.seen.counters[0].packets_in = 3000;
      media.seen.last_packet[0] = now_;
    }
  }
  MediaEvidence& a() { return call_.legs[0].medias[0]; }
  void heard_last(Instant when) { a().seen.last_packet[0] = a().seen.ingress[0].counters.last_packet = when; }
  Cause from(std::size_t leg = 0) { return explain(call_).verdicts[leg * 2].cause; }
  Cause to(std::size_t leg = 0) { return explain(call_).verdicts[leg * 2 + 1].cause; }
  void refuse(DropReason reason, std::uint8_t type, Instant last, std::uint32_t times = 1000) {
    Refusal refusal;
    refusal.reason = reason;
    refusal.type = PayloadType{type};
    refusal.last = last;
    refusal.times = times;
    refusal.from = {IpAddress::v4({203, 0, 113, 9}), UdpPort{9}};
    a().seen.refusals.push_back(refusal);
  }

  Instant now_{1h};
  CallEvidence call_;
  std::array<TransportSnapshot, 2> snapshots_;
};

TEST_F(Verdicts, BothHearEachOther) {
  EXPECT_EQ(explain(call_).worst(), Severity::kFine);
  EXPECT_EQ(explain(call_).verdicts.size(), 4u);
}

TEST_F(Verdicts, SilenceIsAFaultOnlyIfNobodyWantedIt) {
  heard_last(now_ - 20s);
  EXPECT_EQ(from(), Cause::kStopped);
  EXPECT_EQ(to(1), Cause::kNothingToSend) << "and B's side says where to look";
  call_.last_signal = now_ - 2s;
  EXPECT_EQ(from(), Cause::kWaiting) << "just resumed";
  call_.last_signal = now_ - 60s;
  a().seen.ingress[0].counters.last_payload_type = 13;
  EXPECT_EQ(from(), Cause::kSilenceSuppressed) << "comfort noise";
  a().seen.ingress[0].counters.last_payload_type = 8;
  a().seen.ingress[0].counters.idle_by_bye = true;
  EXPECT_EQ(from(), Cause::kSilenceSuppressed) << "RTCP BYE";
  a().seen.ingress[0].counters.idle_by_bye = false;
  a().may_send = false;
  EXPECT_EQ(from(), Cause::kHold);
  a().may_send = true;
  call_.legs[1].medias[0].may_receive = false;
  EXPECT_EQ(from(), Cause::kHold) << "B holds";
}

TEST_F(Verdicts, PacketsInFlightWhenTheCodecChangedAreNoFault) {
  a().shown.reset();
  a().shown.set(0);
  a().earlier.set(8);
  call_.last_signal = now_ - 500ms;
  EXPECT_EQ(from(), Cause::kFine);
  refuse(DropReason::kUnknownPayloadType, 8, now_ - 400ms);
  EXPECT_EQ(from(), Cause::kFine);
  call_.last_signal = now_ - 3s;
  EXPECT_EQ(from(), Cause::kCodecMismatch);
}

TEST_F(Verdicts, AFewRefusedPacketsOfAHealthyStreamAreNoFault) {
  refuse(DropReason::kUnknownPayloadType, 126, now_, 20);
  EXPECT_EQ(from(), Cause::kFine) << "events that nobody negotiated";
  a().seen.refusals.clear();
  refuse(DropReason::kForeignSource, 8, now_, 500);
  EXPECT_EQ(from(), Cause::kOtherSourceToo) << "who is heard is not to blame";
  heard_last(now_ - 6s);
  EXPECT_EQ(from(), Cause::kSourceRefused);
}

TEST_F(Verdicts, RtcpOnTheRtpPortIsNoMedia) {
  a().is_muxed = true;
  a().seen.ingress.clear();
  EXPECT_EQ(from(), Cause::kOnlyRtcp);
  a().is_muxed = false;
  EXPECT_EQ(from(), Cause::kFine) << "something that is no RTP was taken there: T.38";
}

TEST_F(Verdicts, WhoHangsUpIsNotUnreachable) {
  a().seen.failures.push_back({SendError::kPortUnreachable, a().signalled, {}, 1, now_, now_});
  EXPECT_EQ(to(), Cause::kFine) << "one message";
  a().seen.failures[0].times = 50;
  EXPECT_EQ(to(), Cause::kUnreachable);
  a().seen.failures[0].last = now_ - 10s;
  EXPECT_EQ(to(), Cause::kFine) << "over";
  snapshots_[0].verified = false;
  EXPECT_EQ(to(), Cause::kUnreachable) << "nothing is sent any more, as it never answered (LAT-12)";
}

TEST_F(Verdicts, KeysAreMissedFromTheAnswerOn) {
  a().is_encrypted = true;
  EXPECT_EQ(from(), Cause::kNoKey);
  call_.is_answered = false;
  EXPECT_EQ(from(), Cause::kFine);
}

TEST_F(Verdicts, ARefusedAnswerIsNamed) {
  call_.is_answered = false;
  MediaEvidence& b = call_.legs[1].medias[0];
  b.signalled = {};
  EXPECT_EQ(from(1), Cause::kWaiting);
  call_.refused = RefusedMessage{true, false, "Ran out of ports", now_};
  EXPECT_EQ(to(1), Cause::kAnswerRefused);
  call_.refused->wrong_family = true;
  EXPECT_EQ(to(1), Cause::kWrongFamily);
}

// --- Flight recorder

TEST(FlightRing, KeepsTheLastTenSecondsInAFixedPlace) {
  FlightRing ring;
  Instant now{1h};
  const Endpoint from{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
  for (std::uint16_t n = 0; n < 2000; ++n)
    ring.add(from, false, rtp('A', 1, n), 172, n % 7 == 0 ? DropReason::kDirection : DropReason::kNone, false,
             now += 20ms);
  std::vector<std::uint16_t> seen;
  ring.for_each([&](const FlightEntry& entry, Instant at) {
    seen.push_back(entry.sequence);
    EXPECT_EQ(at, now - (1999 - entry.sequence) * 20ms);
    EXPECT_EQ(entry.reason, entry.sequence % 7 == 0 ? DropReason::kDirection : DropReason::kNone);
    EXPECT_EQ(ring.source(entry), from);
  });
  ASSERT_EQ(seen.size(), 501u);
  EXPECT_EQ(seen.front(), 1499);
  EXPECT_EQ(seen.back(), 1999);
  EXPECT_LE(ring.footprint(), 9000u);
}

TEST(FlightRing, ManySourcesShareTheLastPlace) {
  FlightRing ring;
  for (std::uint8_t n = 1; n < 40; ++n)
    ring.add({IpAddress::v4({10, 0, 0, n}), UdpPort{9}}, true, {}, 0, DropReason::kForeignSource, false,
             Instant{1h});
  int visited = 0;
  ring.for_each([&](const FlightEntry& entry, Instant) {
    ++visited;
    EXPECT_LT(entry.source, FlightRing::kSources);
  });
  EXPECT_EQ(visited, 39);
}

// --- A running call

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
    pages_ = std::make_unique<http::Pages>(*cli_, *metrics_, world_->manager());
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
  std::unique_ptr<http::Pages> pages_;
};

TEST_F(Operated, ACallInTheKernelIsExplainedLikeOthers) {
  call("c");
  talk(1, 300);
  EXPECT_GT(world_->forwarded_below(), 500u);
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
    Trace trace(world_->manager(), "c");
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
  EXPECT_NE(text("set loglevel 9").find("no number"), std::string::npos);
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
  EXPECT_FALSE(pages_->get("/"));
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
                {"dpdk", {{"counts", pairs()}, {"ports", json::array({port})}}}};
  };
  sources.recorder = [&] {
    return json{{"active", figure},       {"finished", figure},     {"failed", figure},
                {"packets_lost", figure}, {"hooks_failed", figure}, {"queue_bytes", figure}};
  };
  sources.rtpproxy = [&] { return json{{"commands", figure}, {"refused", figure}}; };
  metrics_->set_sources(sources);
  const auto before = samples(metrics_->text());

  // What there is to see now.
  figure = 5;
  sources.exposure = {"loopback"};
  metrics_->set_sources(sources);
  call("running");
  talk(1, 300);
  world_->send({IpAddress::v4({203, 0, 113, 66}), UdpPort{6}}, at(to_b_), rtp('X', 9, 1));
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
  world_->rtpp("U classic 192.0.2.30 6000 tag");
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
    bool has_moved = false;
    for (const auto& later : {running, after}) {
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

// --- The doctor

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() { std::filesystem::create_directories(root_); }
  ~DoctorTest() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << "\n";
  }
  std::map<std::string, ctl::Health> examine() {
    std::map<std::string, ctl::Health> found;
    for (const ctl::Check& check : ctl::examine(facts_, ctl::Host(root_))) {
      found[check.name] = check.health;
      EXPECT_EQ(check.advice.empty(), check.health == ctl::Health::kOk)
          << check.name << ": who finds fault says what to do";
    }
    return found;
  }

  std::string root_ =
      (std::filesystem::temp_directory_path() / ("ferry-doctor-" + std::to_string(getpid()))).string();
  json facts_ = {
      {"workers", 4},
      {"descriptor_limit", 200000},
      {"descriptors_wanted", 16024},
      {"ranges",
       {{{"address", "192.0.2.1"},
         {"first", 30000},
         {"last", 40000},
         {"used", 10},
         {"pairs", 5000},
         {"links", {"eth0"}}}}},
      {"engines", {{"offload", {{{"interface", "eth0"}, {"mode", "xdp"}, {"reason", "the driver can"}}}}}},
      {"exposure", {"loopback"}},
      {"listeners", {{"http", json::array()}, {"https", json::array()}}},
      {"has_http_token", false},
      {"asks_client_certificate", false},
      {"latch", "signalled"},
      {"latch_by_rules", true},
      {"offload_wanted", true},
      {"recording_dir", ""},
      {"core_dumps", false}};
};

TEST_F(DoctorTest, AHealthyHostHasNoComplaint) {
  file("/proc/sys/net/core/rmem_default", "212992");
  file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
  file("/proc/sys/net/ipv4/ip_local_reserved_ports", "5000,30000-40000");
  file("/proc/sys/fs/epoll/max_user_watches", "5000000");
  file("/sys/class/net/eth0/mtu", "1500");
  file("/clock_synchronized", "1");
  file("/nftables", "table inet x { chain output { type filter hook output priority 0; } }");
  for (const auto& [name, health] : examine()) EXPECT_EQ(health, ctl::Health::kOk) << name;
}

/// An engine with a port of its own, as `engines` shows it.
json dpdk_engine() {
  const json port = {{"device", "0000:01:00.0"}, {"driver", "net_ice"},  {"virtual", false},
                     {"numa_node", 0},           {"up", true},           {"rx_queues", 4},
                     {"tx_queues", 4},           {"interface", "ferry0"}};
  return {
      {"engine", "dpdk"},
      {"offload", json::array()},
      {"dpdk",
       {{"memory", "hugepages"}, {"iova", "virtual"}, {"worker_nodes", {0, 0, 0, 0}}, {"ports", {port}}}}};
}

TEST_F(DoctorTest, DpdkOnAHostThatIsMadeForIt) {
  file("/sys/class/iommu/dmar0/x", "");
  file("/clock_synchronized", "1");
  file("/nftables", "");
  facts_["offload_wanted"] = false;
  facts_["engines"] = dpdk_engine();
  const auto found = examine();
  for (const auto& [name, health] : found) EXPECT_EQ(health, ctl::Health::kOk) << name;
  for (const char* name : {"offload", "dpdk memory", "dpdk iommu", "dpdk port 0000:01:00.0"})
    EXPECT_TRUE(found.contains(name)) << name;
}

TEST_F(DoctorTest, DpdkOnAHostThatIsNot) {
  facts_["offload_wanted"] = false;
  facts_["engines"] = dpdk_engine();
  json& dpdk = facts_["engines"]["dpdk"];
  dpdk["memory"] = "no hugepages";
  auto found = examine();
  EXPECT_EQ(found["dpdk memory"], ctl::Health::kWarn);
  EXPECT_EQ(found["dpdk iommu"], ctl::Health::kWarn) << "a device may write anywhere";
  dpdk["worker_nodes"] = {0, 0, 1, 0};
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "a worker on another NUMA node";
  dpdk["worker_nodes"] = {0, 0, 0, 0};
  dpdk["ports"][0]["rx_queues"] = 1;
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "fewer queues than workers";
  dpdk["ports"][0]["up"] = false;
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kFail) << "no link";
  dpdk["ports"][0]["up"] = true;
  dpdk["ports"][0]["virtual"] = true;
  dpdk["ports"][0]["driver"] = "net_af_packet";
  found = examine();
  EXPECT_EQ(found["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "the kernel is below all the same";
  EXPECT_EQ(found["dpdk memory"], ctl::Health::kOk) << "such a driver gains nothing by hugepages";
  EXPECT_EQ(found["dpdk iommu"], ctl::Health::kOk) << "no device of the bus";
}

TEST_F(DoctorTest, EachComplaintHasItsCause) {
  file("/proc/sys/net/core/rmem_default", "1000");
  file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
  file("/proc/sys/net/ipv4/ip_local_reserved_ports", "30000-35000");
  file("/proc/sys/fs/epoll/max_user_watches", "100");
  file("/proc/sys/net/netfilter/nf_conntrack_count", "95000");
  file("/proc/sys/net/netfilter/nf_conntrack_max", "100000");
  file("/sys/class/net/eth0/mtu", "1400");
  file("/sys/class/net/eth0/queues/rx-0/x", "");
  file("/sys/class/net/eth0/device/x", "");
  file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
  file("/clock_synchronized", "0");
  file("/nftables", "table inet x { chain input { type filter hook input priority 0; } }");
  facts_["descriptor_limit"] = 1024;
  facts_["exposure"] = {"open"};
  facts_["listeners"]["http"] = {"192.0.2.1:2225"};
  facts_["latch"] = "any";
  facts_["core_dumps"] = true;
  facts_["ranges"][0]["used"] = 4900;
  facts_["recording_dir"] = root_ + "/nowhere";
  const auto found = examine();
  using ctl::Health;
  for (const auto& [name, health] :
       std::map<std::string, Health>{{"socket buffers", Health::kWarn},
                                     {"ports 30000-40000 of 192.0.2.1", Health::kWarn},
                                     {"ports of 192.0.2.1", Health::kFail},
                                     {"epoll watches", Health::kWarn},
                                     {"conntrack", Health::kFail},
                                     {"mtu of eth0", Health::kWarn},
                                     {"queues of eth0", Health::kWarn},
                                     {"clock", Health::kWarn},
                                     {"clock source", Health::kWarn},
                                     {"firewall", Health::kWarn},
                                     {"descriptors", Health::kWarn},
                                     {"control", Health::kFail},
                                     {"http", Health::kWarn},
                                     {"latch", Health::kFail},
                                     {"core dumps", Health::kWarn},
                                     {"recordings", Health::kWarn}}) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name), health) << name;
  }
  facts_["engines"]["offload"] = json::array();
  EXPECT_EQ(examine().at("offload"), Health::kWarn);
  facts_["offload_wanted"] = false;
  EXPECT_EQ(examine().at("offload"), Health::kWarn);
}

}  // namespace
}  // namespace ferry::test
