// SPDX-License-Identifier: Apache-2.0
// Recorded calls through the whole relay in virtual time: signalling, workers, taps, files.

#include "recorder/convert/capture.hpp"
#include "tests/support/recordings.hpp"
#include "tests/support/world.hpp"

#include <random>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class RecordedWorld : public testing::Test {
 protected:
  void start(bool all = false) {
    settings_.directory = home_.path("rec");
    settings_.audio = true;
    settings_.all_calls = all;
    settings_.queue_bytes = 256u << 20;
    auto made = Recorder::make(
        settings_, 1, [](RecorderLogLevel, const std::string&) {}, time_.clock());
    ASSERT_TRUE(made) << made.error();
    recorder_ = std::move(*made);
    WorldOptions options;
    options.session.delete_delay = 0s;
    options.recorder = recorder_.get();
    options.on_time = [this](Instant now) { time_.set(now); };
    world_ = make_sim_world(options);
  }
  [[nodiscard]] std::map<std::string, json> by_call() {
    recorder_->settle();
    std::map<std::string, json> found;
    for (json& manifest : manifests(settings_.directory)) {
      const std::string call = manifest["call_id"];
      EXPECT_FALSE(found.contains(call)) << "two manifests of " << call;
      found[call] = std::move(manifest);
    }
    return found;
  }

  TemporaryFolder home_;
  VirtualTime time_;
  RecorderSettings settings_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<World> world_;
};

/// One party of a random call: what it sends, and how much of it arrived at the relay.
struct RandomParty {
  Endpoint own;
  Endpoint to;
  std::uint32_t ssrc = 0;
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  std::uint8_t type = 8;
  int quiet = 0;
  /// Packets until the relay has admitted the SSRC for sure (SSR-1): they come as they should.
  int fresh = 3;
  std::map<std::uint32_t, std::uint64_t> sent;  // by SSRC

  Packet next() {
    Packet packet = rtp('x', ssrc, sequence++, type);
    write_u32(packet, 4, timestamp);
    timestamp += 160;
    return packet;
  }
};

TEST_F(RecordedWorld, ThousandCallsWithRandomTroubleHaveCompleteManifestsWithTheGeneratorsCounts) {
  start();
  constexpr int kBatches = 20;
  constexpr int kCalls = 50;
  std::mt19937 random(20261121);
  const auto chance = [&](unsigned one_in) { return random() % one_in == 0; };
  struct RandomCall {
    std::string id;
    RandomParty a, b;
    Instant begin{}, end{};
  };
  std::map<std::string, std::shared_ptr<RandomCall>> calls;
  for (int batch = 0; batch < kBatches; ++batch) {
    const Duration base = world_->elapsed() + 10ms;
    for (int n = 0; n < kCalls; ++n) {
      auto call = std::make_shared<RandomCall>();
      call->id = fmt::format("random-{}-{}", batch, n);
      calls[call->id] = call;
      call->a.own = {world_->peer_address(1, static_cast<char>(n + 1)),
                     UdpPort{static_cast<std::uint16_t>(4000 + 2 * batch)}};
      call->b.own = {world_->peer_address(2, static_cast<char>(n + 1)),
                     UdpPort{static_cast<std::uint16_t>(6000 + 2 * batch)}};
      for (RandomParty* party : {&call->a, &call->b}) {
        party->ssrc = static_cast<std::uint32_t>(random());
        party->sequence = static_cast<std::uint16_t>(random());
        party->timestamp = static_cast<std::uint32_t>(random());
      }
      const Duration start = base + 1ms * (n * 7);
      const int packets = 50 + static_cast<int>(random() % 150);
      const auto signal = [this, call](bool first, const char* direction) {
        auto o = offer(call->id, "A", audio_sdp(call->a.own, fmt::format("a={}\r\n", direction)));
        if (first)
          o["flags"] = {"record-call"};
        else
          o["to-tag"] = "B";
        const json offered = world_->ng(o);
        const json answered = world_->ng(answer(call->id, "A", "B", audio_sdp(call->b.own)));
        ASSERT_EQ(answered["result"], "ok") << answered.dump();
        ASSERT_EQ(answered["recordings"].size(), 1u);
        call->b.to = {world_->relay_address(), World::port_of(offered)};
        call->a.to = {world_->relay_address(), World::port_of(answered)};
      };
      world_->at(start, [=, this] {
        call->begin = time_.now();
        signal(true, "sendrecv");
      });
      for (int i = 0; i < packets; ++i) {
        const Duration when = start + 5ms + 20ms * i;
        // Everything random is drawn now: the order of the calls' packets must not matter.
        for (RandomParty* party : {&call->a, &call->b}) {
          const bool is_lost = chance(30);
          const bool is_doubled = chance(50);
          const bool is_late = chance(40);
          const bool changes_ssrc = chance(150) && i > 20 && i + 5 < packets;
          const bool changes_type = chance(60);
          const int goes_quiet = chance(80) ? static_cast<int>(random() % 40) : 0;
          const auto ssrc = static_cast<std::uint32_t>(random());
          world_->at(when, [=, this] {
            if (goes_quiet != 0 && party->quiet == 0 && party->fresh == 0) party->quiet = goes_quiet;
            if (party->quiet > 0) {  // DTX
              --party->quiet;
              party->timestamp += 160;
              return;
            }
            if (changes_type) party->type = party->type == 8 ? 0 : 8;
            if (changes_ssrc && party->fresh == 0) {
              party->ssrc = ssrc;
              party->sequence = static_cast<std::uint16_t>(ssrc >> 7);
              party->timestamp = ssrc * 3;
              party->fresh = 3;
            }
            Packet packet = party->next();
            const bool is_fresh = party->fresh > 0;
            if (is_fresh) --party->fresh;
            if (is_lost && !is_fresh) return;
            const std::uint32_t own = party->ssrc;
            const auto go = [=, this] {
              world_->send(party->own, party->to, packet);
              ++party->sent[own];
              if (!is_doubled || is_fresh) return;
              world_->send(party->own, party->to, packet);
              ++party->sent[own];
            };
            if (is_late && !is_fresh)
              world_->at(when + 30ms, go);
            else
              go();
          });
        }
      }
      if (chance(3)) world_->at(start + 20ms * (packets / 2), [=] { signal(false, "sendrecv"); });
      if (chance(4)) {
        world_->at(start + 20ms * (packets / 3), [=] { signal(false, "sendonly"); });
        world_->at(start + 20ms * (packets / 3) + 400ms, [=] { signal(false, "sendrecv"); });
      }
      world_->at(start + 20ms * packets + 100ms, [=, this] {
        call->end = time_.now();
        const json gone = world_->ng({{"command", "delete"}, {"call-id", call->id}, {"from-tag", "A"}});
        EXPECT_EQ(gone["result"], "ok");
      });
    }
    world_->run(base + 6s);
    recorder_->settle();
  }
  const auto told = by_call();
  ASSERT_EQ(told.size(), calls.size());
  std::size_t complete = 0;
  std::uint64_t packets = 0;
  for (const auto& [id, call] : calls) {
    const json& manifest = told.at(id);
    EXPECT_EQ(manifest["losses"],
              (json{{"queue_packets", 0}, {"kernel_copies", 0}, {"disk_packets", 0}, {"disk_frames", 0}}))
        << id;
    EXPECT_EQ(manifest["files"].size(), 2u);
    complete += manifest["state"] == "complete" ? 1 : 0;
    std::map<std::uint32_t, std::uint64_t> counted;
    for (const json& stream : manifest["streams"]) {
      counted[stream["ssrc"]] += stream["packets"].get<std::uint64_t>();
      EXPECT_TRUE(!stream.contains("problems") && stream["damaged_packets"] == 0) << stream.dump();
    }
    auto sent = call->a.sent;
    sent.insert(call->b.sent.begin(), call->b.sent.end());
    EXPECT_EQ(counted, sent) << id;
    for (const auto& [ssrc, count] : sent) packets += count;
    for (const json& file : manifest["files"]) {
      if (file["kind"] != "audio") continue;
      const double wanted = std::chrono::duration<double>(call->end - call->begin).count();
      EXPECT_NEAR(read_sound(settings_.directory + "/" + file["name"].get<std::string>()).seconds(), wanted,
                  0.02)
          << id;
    }
  }
  fmt::print("{} complete manifests, {} packets, counts equal the generator's\n", complete, packets);
  EXPECT_EQ(complete, calls.size());
}

/// A call of two; its relay ports.
struct PlainCall {
  Endpoint a, b, to_a, to_b;
};

class RecordingCommands : public RecordedWorld {
 protected:
  PlainCall set_up(const std::string& id, const json& more = {}) {
    PlainCall call;
    call.a = {world_->peer_address(1, 1), UdpPort{4000}};
    call.b = {world_->peer_address(2, 1), UdpPort{6000}};
    const std::string events = "a=sendrecv\r\n";
    json o = offer(id, "A", audio_sdp(call.a, events));
    if (more.is_object()) o.update(more);
    call.to_a = {world_->relay_address(), World::port_of(world_->ng(o))};
    call.to_b = {world_->relay_address(),
                 World::port_of(world_->ng(answer(id, "A", "B", audio_sdp(call.b))))};
    return call;
  }
  void talk(const PlainCall& call, int packets, std::uint16_t& sequence) {
    for (int i = 0; i < packets; ++i, ++sequence) {
      world_->send(call.a, call.to_b, rtp('a', 1, sequence));
      world_->send(call.b, call.to_a, rtp('b', 2, sequence));
      world_->run(world_->elapsed() + 20ms);
    }
  }
  json ask(const std::string& command, const std::string& id, json more = json::object()) {
    more["command"] = command;
    more["call-id"] = id;
    return world_->ng(more);
  }
  void hang_up(const std::string& id) { ask("delete", id, {{"from-tag", "A"}}); }
  static std::uint64_t packets_of(const json& manifest) {
    std::uint64_t sum = 0;
    for (const json& stream : manifest["streams"]) sum += stream["packets"].get<std::uint64_t>();
    return sum;
  }
};

TEST_F(RecordingCommands, StartPauseStopByCommand) {
  start();
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c");
  talk(call, 10, sequence);
  EXPECT_EQ(ask("start recording", "c", {{"from-tag", "A"}, {"metadata", "m"}})["result"], "ok");
  EXPECT_EQ(ask("query", "c")["recording"]["call recording"], 1);
  talk(call, 10, sequence);
  EXPECT_EQ(ask("pause recording", "c")["result"], "ok");
  EXPECT_EQ(ask("query", "c")["recording"]["call recording"], 0);
  talk(call, 10, sequence);
  // A repeated `yes` does not go on; the command does (docs/reference/ng.md#recording).
  json again = offer("c", "A", audio_sdp(call.a));
  again["to-tag"] = "B";
  again["record call"] = "yes";
  world_->ng(again);
  talk(call, 10, sequence);
  ask("start recording", "c");
  talk(call, 10, sequence);
  EXPECT_EQ(ask("stop recording", "c")["result"], "ok");
  EXPECT_FALSE(ask("query", "c").contains("recording"));
  talk(call, 10, sequence);
  hang_up("c");
  const auto told = by_call();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(packets_of(told.at("c")), 40u) << "ten before and ten behind the pause, of each";
  EXPECT_EQ(told.at("c")["metadata"], "m");
  EXPECT_EQ(told.at("c")["pauses"].size(), 1u);
  EXPECT_THAT(told.at("c")["reason"].get<std::string>(), testing::StartsWith("stopped by "));
}

TEST_F(RecordingCommands, RecordAllRecordsFromTheFirstMessageAndStopsForGood) {
  start(true);
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c");
  talk(call, 10, sequence);
  ask("stop recording", "c");
  talk(call, 10, sequence);
  hang_up("c");
  const auto told = by_call();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(packets_of(told.at("c")), 20u);
  EXPECT_EQ(told.at("c")["parties"].size(), 2u);
}

TEST_F(RecordingCommands, RecordAllLeavesACallAloneThatSaysNo) {
  start(true);
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c", {{"record call", "no"}});
  talk(call, 10, sequence);
  hang_up("c");
  EXPECT_TRUE(by_call().empty());
}

TEST_F(RecordingCommands, RtcpHasThePortThatItCameTo) {
  start(true);
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c");
  talk(call, 5, sequence);
  const auto next = [](Endpoint endpoint) {
    return Endpoint{endpoint.address, UdpPort{static_cast<std::uint16_t>(endpoint.port.value + 1)}};
  };
  world_->send(next(call.a), next(call.to_b), receiver_report(1));
  hang_up("c");
  const json manifest = by_call().at("c");
  std::string path;
  for (const json& file : manifest["files"]) {
    if (file["kind"] == "packets") path = settings_.directory + "/" + file["name"].get<std::string>();
  }
  auto reader = CaptureReader::open(path);
  ASSERT_TRUE(reader) << reader.error();
  CapturedDatagram datagram;
  std::set<std::pair<Endpoint, Endpoint>> ends;
  std::size_t packets = 0;
  for (; (*reader)->next(datagram); ++packets) ends.insert({datagram.from, datagram.to});
  const std::set<std::pair<Endpoint, Endpoint>> wanted = {
      {call.a, call.to_b}, {call.b, call.to_a}, {next(call.a), next(call.to_b)}};
  EXPECT_EQ(ends, wanted);
  EXPECT_EQ(packets, 11u);
}

TEST_F(RecordingCommands, ExcludedPartiesAndDiscardedCallsLeaveNothing) {
  start();
  std::uint16_t sequence = 1;
  PlainCall call = set_up("excluded", {{"flags", {"record-call", "exclude-recording"}}});
  talk(call, 10, sequence);
  EXPECT_EQ(ask("query", "excluded")["tags"]["A"]["recording"]["excluded"], 1);
  hang_up("excluded");
  call = set_up("discarded", {{"record-call", "on"}});
  talk(call, 10, sequence);
  ask("delete", "discarded", {{"from-tag", "A"}, {"flags", {"discard-recording"}}});
  const auto told = by_call();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(packets_of(told.at("excluded")), 0u);
}

TEST_F(RecordingCommands, DigitsControlTheRecording) {
  start();
  const Endpoint a = {world_->peer_address(1, 1), UdpPort{4000}};
  const Endpoint b = {world_->peer_address(2, 1), UdpPort{6000}};
  const std::string events = "a=rtpmap:101 telephone-event/8000\r\n";
  const auto with_events = [&](const Endpoint& media) {
    std::string sdp = audio_sdp(media, events);
    sdp.replace(sdp.find("AVP 8 0"), 7, "AVP 8 0 101");
    return sdp;
  };
  json o = offer("c", "A", with_events(a));
  o["flags"] = {"recording-vsc"};
  o["vsc-start-stop-rec"] = "*9";
  o["VSC-pause-resume-recording"] = "*8";
  world_->ng(o);
  const json answered = world_->ng(answer("c", "A", "B", with_events(b)));
  const Endpoint to = {world_->relay_address(), World::port_of(answered)};
  std::uint16_t sequence = 100;
  const auto press = [&](std::string_view digits) {
    for (const char digit : digits) {
      const auto event = static_cast<std::uint8_t>(digit == '*' ? 10 : digit - '0');
      for (int i = 0; i < 3; ++i) {
        Packet packet(kRtpFixedHeaderSize + 4);
        write_rtp_header(packet, PayloadType{101}, i == 0, SeqNo{sequence},
                         1000u * static_cast<unsigned>(digit) + sequence / 3 * 1000u, Ssrc{9});
        ++sequence;
        packet[kRtpFixedHeaderSize] = std::byte{event};
        packet[kRtpFixedHeaderSize + 1] = std::byte{0x8a};
        write_u16(packet, kRtpFixedHeaderSize + 2, 800);
        world_->send(a, to, packet);
      }
      world_->run(world_->elapsed() + 200ms);
      world_->manager().poll_events();
    }
  };
  EXPECT_EQ(ask("query", "c")["tags"]["A"]["VSC"].size(), 2u);
  press("1*9");
  EXPECT_EQ(ask("query", "c")["recording"]["call recording"], 1);
  press("*8");
  EXPECT_EQ(ask("query", "c")["recording"]["call recording"], 0);
  press("*8");
  EXPECT_EQ(ask("query", "c")["recording"]["call recording"], 1);
  press("*9");
  EXPECT_FALSE(ask("query", "c").contains("recording"));
  hang_up("c");
  EXPECT_EQ(by_call().size(), 1u);
}

TEST_F(RecordingCommands, REC2_AndKeysOfBodiesAreLeftOut) {
  start();
  const Endpoint a = {world_->peer_address(1, 1), UdpPort{4000}};
  json o = offer(
      "c", "A",
      audio_sdp(a,
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\na=ice-pwd:secretsecretsecretsecret\r\n"));
  o["flags"] = {"record-call"};
  world_->ng(o);
  hang_up("c");
  const std::string text = by_call().at("c").dump();
  EXPECT_EQ(text.find("WVNf"), std::string::npos);
  EXPECT_EQ(text.find("secretsecret"), std::string::npos);
  EXPECT_NE(text.find("a=crypto:(left out)"), std::string::npos);
}

TEST_F(RecordingCommands, EgressIsWhatLeavesTowardTheParties) {
  settings_.egress = true;
  start();
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c", {{"record-call", "yes"}});
  talk(call, 10, sequence);
  ask("block media", "c", {{"from-tag", "A"}, {"flags", {"directional"}}});
  talk(call, 10, sequence);
  hang_up("c");
  const json manifest = by_call().at("c");
  EXPECT_EQ(packets_of(manifest), 30u) << "what was blocked never left";
  for (const json& stream : manifest["streams"]) {
    // The caller (party 1) is sent what the callee says.
    EXPECT_EQ(stream["ssrc"], stream["party"] == 1 ? 2 : 1);
    EXPECT_EQ(stream["remote"], (stream["party"] == 1 ? call.a : call.b).to_string());
  }
}

TEST_F(RecordingCommands, AMovedCallIsRecordedOn) {
  settings_.directory = home_.path("rec");
  auto made = Recorder::make(
      settings_, 2, [](RecorderLogLevel, const std::string&) {}, time_.clock());
  ASSERT_TRUE(made);
  recorder_ = std::move(*made);
  WorldOptions options;
  options.session.delete_delay = 0s;
  options.workers = 2;
  options.recorder = recorder_.get();
  options.on_time = [this](Instant now) { time_.set(now); };
  world_ = make_sim_world(options);
  std::uint16_t sequence = 1;
  const PlainCall call = set_up("c", {{"record-call", "yes"}});
  for (std::size_t i = 0; i < 10; ++i) {
    talk(call, 10, sequence);
    world_->manager().move_call("c", 1 - world_->manager().find("c")->worker);
    recorder_->settle();
  }
  hang_up("c");
  const json manifest = by_call().at("c");
  EXPECT_EQ(packets_of(manifest), 200u);
  EXPECT_FALSE(manifest.contains("packets_of_no_media"));
}

}  // namespace
}  // namespace ferry::test
