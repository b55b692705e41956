// SPDX-License-Identifier: Apache-2.0
// Sessions of the rtpproxy protocol in virtual time.

#include "tests/support/kernel_model.hpp"
#include "tests/support/world.hpp"
#include "tools/rtpferry-rtpproxy/translate.hpp"

#include <filesystem>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class RtpproxyCalls : public testing::Test {
 protected:
  explicit RtpproxyCalls(const WorldOptions& options = {}) : world_(make_sim_world(options)) {}
  std::string ask(const std::string& command) { return world_->rtpproxy(command); }
  Endpoint peer(char who) { return {world_->peer_address(1, who), UdpPort{4000}}; }
  /// A call between A and B; ports that A and B send to.
  std::pair<Endpoint, Endpoint> call(const std::string& id, const std::string& mods_a = "",
                                     const std::string& mods_b = "") {
    const auto text = [&](char who) { return peer(who).address.to_string() + " 4000"; };
    world_->open(peer('A'));
    world_->open(peer('B'));
    const UdpPort to_b = World::port_of(ask(fmt::format("U{} {} {} a", mods_a, id, text('A'))));
    const UdpPort to_a = World::port_of(ask(fmt::format("L{} {} {} a b", mods_b, id, text('B'))));
    return {{world_->relay_address(), to_a}, {world_->relay_address(), to_b}};
  }
  std::unique_ptr<World> world_;
};

TEST_F(RtpproxyCalls, TagsOfTheReference) {
  ask("U t 198.51.1.1 4000 from;1");
  ask("U t 198.51.1.1 4002 from;2");
  ask("L t 198.51.1.2 4000 from;1 to;1");
  const auto is_known = [&](const std::string& tags) { return ask("Q t " + tags) != "E50"; };
  EXPECT_TRUE(is_known("from;1"));
  EXPECT_TRUE(is_known("from;1 whatever"));  // the other tag is not compared
  EXPECT_TRUE(is_known("to;1 from;1"));      // the other way round
  EXPECT_TRUE(is_known("anything from;2"));  // by the to-tag alone
  EXPECT_TRUE(is_known("to;2 from"));        // the media number is that of the from-tag
  EXPECT_FALSE(is_known("from to"));         // no media number: no session
  EXPECT_FALSE(is_known("from;3 to;3"));
  EXPECT_FALSE(is_known("fro;1 t"));
  EXPECT_EQ(ask("D t fro"), "E50");  // a prefix of a tag is no tag
  EXPECT_EQ(ask("D t from;1"), "0");
  EXPECT_TRUE(is_known("from;2"));
  EXPECT_EQ(ask("D t from"), "0");
  EXPECT_EQ(world_->manager().size(), 0u);
}

TEST_F(RtpproxyCalls, TimeOutsOfBothKinds) {
  SessionConfig config = world_->manager().config();
  config.rtpproxy.timeout = 20s;
  config.rtpproxy.setup_timeout = 7s;
  world_->manager().set_config(config);
  ask("U early 198.51.1.1 4000 a");
  const auto [for_a, for_b] = call("both");
  world_->run(1s);
  EXPECT_EQ(ask("Q early a").substr(0, 2), "6 ");
  EXPECT_EQ(ask("Q both a").substr(0, 3), "19 ");
  world_->run(9s);
  EXPECT_EQ(ask("Q early a"), "E50");
  // Any packet keeps it, whoever sends.
  for (std::uint16_t n = 0; n < 65; ++n) {
    world_->at(10s + n * 1s, [this, n, to = for_a] { world_->send(peer('A'), to, rtp('A', 0xA, n)); });
  }
  world_->run(50s);
  EXPECT_EQ(ask("Q both a").substr(0, 3), "20 ");
  config.rtpproxy.independent_legs = true;
  world_->manager().set_config(config);
  call("both");  // B has 20 s again, and never sends anything
  world_->run(69s);
  EXPECT_EQ(ask("Q both a").substr(0, 2), "1 ");
  world_->run(72s);
  EXPECT_EQ(ask("Q both a"), "E50");
  EXPECT_EQ(ask("G nsess_timeout"), "2");
}

TEST_F(RtpproxyCalls, CTL6_WhatIsRefusedChangesNothing) {
  call("c");
  const std::string port = ask("U c 198.51.1.1 4000 a b");
  const std::string before = ask("Gv nsess_created nsess_complete");
  for (const char* wrong : {"Uz0 c 198.51.9.9 9 a b", "U c 198.51.9.9 xx a b", "U c 198.51.9.9 9 a b x y",
                            "U c 198.51.9.9 9 a b && Z", "Unl{nope} c 198.51.9.9 9 a b",
                            "U c 198.51.9.9 9 a b && L 198.51.9.9", "Ue c 198.51.9.9 9 a b"})
    EXPECT_TRUE(ask(wrong).starts_with("E")) << wrong;
  EXPECT_EQ(ask("U c 198.51.1.1 4000 a b"), port);
  EXPECT_EQ(ask("Gv nsess_created nsess_complete"), before);
  EXPECT_EQ(world_->manager().size(), 1u);
}

TEST_F(RtpproxyCalls, ExportAndRestoreTellTheSame) {
  const auto [for_a, for_b] = call("c", "c0,8z40w", "a");
  ask("U c 198.51.1.65 4000 a b && S ttl=33 && S tos=32");
  for (std::uint16_t n = 0; n < 30; ++n) {
    world_->at(n * 20ms, [this, n, a = for_a, b = for_b] {
      world_->send(peer('A'), a, rtp('A', 0xA, n));
      world_->send(peer('B'), b, rtp('B', 0xB, n));
    });
  }
  world_->run(1s);
  const std::string asked =
      "Qv c a b ttl npkts_ina npkts_ino longest_ipi rtpa_nsent rtpa_nlost rtpa_javg rtpa_jmax";
  const std::string before = ask(asked);
  const auto record = world_->manager().export_call("c a", world_->clock());
  ASSERT_FALSE(record.is_null());
  ASSERT_EQ(ask("X"), "0");
  const auto restored = world_->manager().restore_call(record, world_->clock());
  ASSERT_TRUE(restored) << restored.error();
  world_->manager().flush(world_->clock());
  EXPECT_EQ(ask(asked), before);
  EXPECT_EQ(world_->manager().export_call("c a", world_->clock())["sections"]["rtpproxy"],
            record["sections"]["rtpproxy"]);
  EXPECT_EQ(World::port_of(ask("U c 198.51.1.65 4000 a b")), for_b.port);
  // It is known by its tags again, and goes with its references.
  EXPECT_EQ(ask("D c a"), "0");
  EXPECT_NE(ask("Q c a"), "E50") << "its weak reference is there";
  EXPECT_EQ(ask("Dw c a"), "0");
  EXPECT_EQ(ask("Q c a"), "E50");
  auto damaged = record;
  damaged["sections"]["rtpproxy"]["components"][0]["parties"][0]["local"] = "192.0.2.200";
  EXPECT_FALSE(world_->manager().restore_call(damaged, world_->clock()));
  damaged = record;
  damaged["sections"]["legs"]["components"].erase(1);
  EXPECT_FALSE(world_->manager().restore_call(damaged, world_->clock()));
  world_->manager().flush(world_->clock());
  EXPECT_EQ(world_->open_ports(), 0u);
}

TEST_F(RtpproxyCalls, RandomCommandsLeaveNothing) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](std::initializer_list<const char*> words) {
      return std::string(*(words.begin() + random() % words.size()));
    };
    const auto tags = [&] { return pick({"a", "a;1", "b", "a b", "b a", "a;1 b;1", "b;1 a;1", "x y"}); };
    const auto address = [&] {
      return pick({"198.51.1.1", "0.0.0.0", "10.0.0.1", "bad"}) + " " + pick({"4000", "0", "5002"});
    };
    const auto id = [&] { return pick({"c1", "c2", "c3"}); };
    const auto sub = [&] {
      return pick({"", "", "", " && D", " && Dw", " && S ttl=9", " && Sr tos=8", " && L 198.51.1.2 4000",
                   " && C c2 a b", " && C c1 a;1 b;1 && L 198.51.1.2 6000", " && M3:1 t"});
    };
    for (int i = 0; i < 200; ++i) {
      std::string line;
      switch (random() % 12) {
        case 0:
        case 1:
        case 2:
        case 3:
          line = pick({"U", "Uw", "Un", "Uc0,8", "Uz30", "Ua", "Ul{global}"}) + " " + id() + " " + address() +
                 " " + tags() + sub();
          break;
        case 4:
        case 5:
          line = pick({"L", "Ln", "Lw", "Lnl{global}"}) + " " + id() + " " + address() + " " + tags() + sub();
          break;
        case 6:
          line = pick({"D", "Dw"}) + " " + id() + " " + tags();
          break;
        case 7:
          line = "Q " + id() + " " + tags() + pick({"", " && D"});
          break;
        case 8:
          line = pick({"C", "CP"}) + " " + id() + " udp:198.51.1.9:7000 " + tags();
          break;
        case 9:
          line = pick({"N", "Na", "R", "S"}) + " " + id() + " " + tags();
          break;
        case 10:
          world_->run(world_->elapsed() + 3s);
          line = "I";
          break;
        default:
          line = "G nsess_created";
      }
      ask(line);
      const std::string info = ask("I");
      ASSERT_NE(info.find(fmt::format("active sessions: {}\n", world_->manager().size())), std::string::npos)
          << line << "\n"
          << info;
    }
    ask("X");
    ASSERT_EQ(world_->manager().size(), 0u) << seed;
    ASSERT_EQ(world_->open_ports(), 0u) << seed;
    ASSERT_EQ(world_->manager().plane().worker(0).transports(), 0u) << seed;
  }
}

TEST_F(RtpproxyCalls, NgDoesNotTouchItsCalls) {
  call("c");
  const auto reply = world_->ng(offer("c a", "x", audio_sdp(peer('A'))));
  EXPECT_EQ(reply.value("result", ""), "error") << reply;
  // By its Call-ID alone as well, and there it can be asked for.
  EXPECT_EQ(world_->ng(offer("c", "x", audio_sdp(peer('A')))).value("result", ""), "error");
  EXPECT_EQ(world_->ng({{"command", "query"}, {"call-id", "c"}}).value("result", ""), "ok");
  EXPECT_NE(ask("Q c a b"), "E50");
}

// ---- Prompts ----

class RtpproxyPrompts : public RtpproxyCalls {
 protected:
  RtpproxyPrompts() : RtpproxyCalls(options()) {
    std::filesystem::create_directories(folder());
    std::ofstream(folder() + "/ring.0") << std::string(800, '\x55');
  }
  ~RtpproxyPrompts() override { std::filesystem::remove_all(folder()); }
  static std::string folder() { return fmt::format("/tmp/ferry-prompts-{}", getpid()); }
  static WorldOptions options() {
    WorldOptions options;
    options.prompts = {folder()};
    return options;
  }
  /// RTP headers of what a peer got from this relay itself.
  std::vector<RtpView> own_packets(char who) {
    std::vector<RtpView> all;
    for (const Received& got : world_->received()) {
      const auto view = parse_rtp(got.packet);
      if (got.at == peer(who) && view && view->ssrc.value != 0xA && view->ssrc.value != 0xB)
        all.push_back(*view);
    }
    return all;
  }
  void other_party_during_prompt();
  /// Something happens every 5 ms: virtual time moves in steps as an engine wakes up.
  void tick(Duration from, Duration to) {
    for (Duration t = from; t < to; t += 5ms) world_->at(t, [] {});
  }
};

TEST_F(RtpproxyPrompts, SSR5_OneStreamWithRandomBeginningsAForACall) {
  call("p");
  tick(0s, 1s);
  world_->at(10ms, [this] { EXPECT_EQ(ask("P2 p ring 0 a b"), "0"); });
  world_->at(500ms, [this] { EXPECT_EQ(ask("P p ring 0 a b"), "0"); });
  world_->run(1s);
  const auto packets = own_packets('A');
  ASSERT_EQ(packets.size(), 30u);  // 800 octets are ten packets
  for (std::size_t i = 1; i < packets.size(); ++i) {
    EXPECT_EQ(packets[i].ssrc, packets[0].ssrc);
    EXPECT_EQ(distance(packets[i].sequence, packets[i - 1].sequence), 1);
    const std::uint32_t ahead = packets[i].timestamp - packets[i - 1].timestamp;
    // The pause between the two is one in the timestamps as well.
    EXPECT_EQ(ahead, i == 20 ? 8u * 300 : 80u) << i;
    EXPECT_EQ(packets[i].marker, i == 20);
  }
  call("q");
  ask("P q ring 0 a b");
  tick(world_->elapsed(), world_->elapsed() + 200ms);
  world_->run(world_->elapsed() + 200ms);
  const auto more = own_packets('A');
  ASSERT_GT(more.size(), 30u);
  EXPECT_NE(more[30].ssrc, packets[0].ssrc);
  EXPECT_NE(more[30].sequence.value, packets[0].sequence.value);
  EXPECT_NE(more[30].timestamp, packets[0].timestamp);
}

TEST_F(RtpproxyPrompts, TheOtherPartyIsNotHeardMeanwhileAndCounted) { other_party_during_prompt(); }

TEST_F(RtpproxyPrompts, TheSameWithTheStreamsBelowTheSockets) {
  WorldOptions below = options();
  below.offload = [](SimNetwork& network) { return std::make_unique<KernelModel>(network); };
  world_ = make_sim_world(below);
  other_party_during_prompt();
  // All but what led to the lock, the 20 that nobody heard included.
  EXPECT_GE(world_->forwarded_by_kernel(), 90u);
}

void RtpproxyPrompts::other_party_during_prompt() {
  const auto [for_a, for_b] = call("p");
  tick(0s, 1s);
  for (std::uint16_t n = 0; n < 50; ++n) {
    world_->at(n * 20ms, [this, n, a = for_a, b = for_b] {
      world_->send(peer('A'), a, rtp('A', 0xA, n));
      world_->send(peer('B'), b, rtp('B', 0xB, n));
    });
  }
  world_->at(201ms, [this] { ask("P4 p ring 0 a b"); });  // 400 ms
  world_->run(1s);
  EXPECT_EQ(own_packets('A').size(), 40u);
  const std::size_t heard = world_->count(peer('A'), 'B');
  EXPECT_NEAR(static_cast<double>(heard), 30, 1);
  EXPECT_EQ(world_->count(peer('B'), 'A'), 50u);
  const auto shown = world_->manager().show("p a", world_->clock());
  EXPECT_EQ(shown["legs"][0]["medias"][0]["drops"].value("prompt-playing", 0u), 50 - heard)
      << "counted for who hears the prompt";
  EXPECT_EQ(ask("Q p a b").substr(3), fmt::format("50 50 {} {}", 50 + heard, 50 - heard));
  EXPECT_EQ(ask("G nplrs_created nplrs_destroyed npkts_played"), "1 1 40");
  ask("P-1 p ring 0 a b");
  ask("D p a b");
  EXPECT_EQ(ask("G nplrs_created nplrs_destroyed"), "2 1");
  world_->manager().poll_events();
  EXPECT_EQ(ask("G nplrs_created nplrs_destroyed"), "2 2");
}

// ---- Start ----

std::vector<std::string> translated(std::vector<std::string> words) {
  const auto start = translate_rtpproxy(words);
  return start ? start->arguments : std::vector<std::string>{start.error()};
}
bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

TEST(RtpproxyStart, EveryLetter) {
  const auto all = translated({"-f",
                               "-D",
                               "-F",
                               "-l",
                               "192.0.2.1/10.0.0.1",
                               "-A",
                               "203.0.113.1/10.9.9.9",
                               "-6",
                               "2001:db8::1",
                               "-s",
                               "udp:127.0.0.1:9000",
                               "-s",
                               "/run/x.sock",
                               "-m",
                               "1000",
                               "-M",
                               "2000",
                               "-t",
                               "0x10",
                               "-T",
                               "30",
                               "-W",
                               "10",
                               "-i",
                               "-r",
                               "/rec",
                               "-S",
                               "/spool",
                               "-a",
                               "-P",
                               "-R",
                               "-n",
                               "tcp:127.0.0.1:1",
                               "-L",
                               "5000",
                               "-u",
                               "me:us",
                               "-w",
                               "0711",
                               "-p",
                               "/run/x.pid",
                               "-d",
                               "warn:LOG_LOCAL5",
                               "--bridge_symmetric",
                               "--force_asymmetric",
                               "--no_resolve",
                               "--overload_prot=1.0",
                               "--",
                               "--threads=1"});
  for (const char* word : {"--foreground=yes",
                           "--interface=internal/192.0.2.1!203.0.113.1",
                           "--interface=external/10.0.0.1!10.9.9.9",
                           "--rtpp-bridge=internal/external",
                           "--listen-rtpp=udp:127.0.0.1:9000",
                           "--listen-rtpp=/run/x.sock",
                           "--port-min=1000",
                           "--port-max=2000",
                           "--tos=16",
                           "--rtpp-timeout=30",
                           "--rtpp-setup-timeout=10",
                           "--rtpp-independent-legs=yes",
                           "--recording-dir=/rec",
                           "--recording-spool=/spool",
                           "--record-all=yes",
                           "--rtpp-recording=pcap",
                           "--recording-rtcp=no",
                           "--rtpp-notify=tcp:127.0.0.1:1",
                           "--user=me",
                           "--group=us",
                           "--rtpp-socket-mode=711",
                           "--pidfile=/run/x.pid",
                           "--log-level=4",
                           "--rtpp-bridge-symmetric=yes",
                           "--rtpp-asymmetric=yes",
                           "--threads=1"})
    EXPECT_TRUE(has(all, word)) << word;
  EXPECT_TRUE(has(all, "--rtpp-prompts=" + std::filesystem::current_path().string()));
  const auto plain = translated({});
  for (const char* word : {"--interface=internal/0.0.0.0", "--listen-rtpp=unix:/var/run/rtpproxy.sock",
                           "--port-min=35000", "--port-max=65000", "--tos=184", "--foreground=no",
                           "--log-facility=daemon", "--pidfile=/var/run/rtpproxy.pid"})
    EXPECT_TRUE(has(plain, word)) << word;
  const auto families = translated({"-f", "-l127.0.0.1", "-6/::1"});
  EXPECT_TRUE(has(families, "--interface=internal/127.0.0.1") && has(families, "--interface=external/::1"));
  const auto labels = translated({"-fl", "127.0.0.1", "-l", "pub@127.0.0.2=203.0.113.7"});
  EXPECT_TRUE(has(labels, "--interface=pub/127.0.0.2!203.0.113.7"));
  const auto start = translate_rtpproxy(std::vector<std::string>{"-L", "77", "-c", "rr", "--nice", "5"});
  ASSERT_TRUE(start);
  EXPECT_EQ(start->open_files, 77u);
  EXPECT_TRUE(start->scheduler.has_value());
  EXPECT_EQ(start->nice, 5);
  EXPECT_TRUE(
      translate_rtpproxy(std::vector<std::string>{"-v"})->text.starts_with("Basic version: 20040107\n"));
  EXPECT_FALSE(translate_rtpproxy(std::vector<std::string>{"-V"})->text.empty());
  EXPECT_FALSE(translate_rtpproxy(std::vector<std::string>{"-C"})->text.empty());
}

TEST(RtpproxyStart, LevelsAndFacilitiesComeInAnyCase) {
  const struct {
    const char* given;
    const char* level;
    const char* facility;
  } rows[] = {{"DBUG", "7", "daemon"},        {"DBUG:LOG_LOCAL3", "7", "local3"},
              {"INFO", "6", "daemon"},        {"ERR:LOG_DAEMON", "3", "daemon"},
              {"dbug:local0", "7", "local0"}, {"Warn:Log_Local7", "4", "local7"},
              {"crit:USER", "2", "user"}};
  for (const auto& row : rows) {
    const auto words = translated({"-l", "192.0.2.1", "-d", row.given});
    EXPECT_TRUE(has(words, std::string("--log-level=") + row.level)) << row.given;
    EXPECT_TRUE(has(words, std::string("--log-facility=") + row.facility)) << row.given;
  }
}

TEST(RtpproxyStart, TheModeOfSocketsIsOctal) {
  for (const char* mode : {"0755", "755"})
    EXPECT_TRUE(has(translated({"-f", "-w", mode}), "--rtpp-socket-mode=755")) << mode;
  for (const char* mode : {"", "rwx", "789", "-1", "0x1ed", "7777"})
    EXPECT_FALSE(translate_rtpproxy(std::vector<std::string>{"-f", "-w", mode})) << mode;
}

TEST(RtpproxyStart, ARelativeSpoolIsBelowTheRecordings) {
  const std::string here = std::filesystem::current_path().string();
  const auto words = translated({"-f", "-l", "192.0.2.1", "-r", "done", "-S", "./spool/../grow"});
  EXPECT_TRUE(has(words, "--recording-dir=" + here + "/done"));
  EXPECT_TRUE(has(words, "--recording-spool=" + here + "/done/grow"));
  EXPECT_TRUE(has(translated({"-f", "-S", "grow"}), "--recording-spool=" + here + "/grow"));
  EXPECT_TRUE(
      has(translated({"-f", "-l", "192.0.2.1", "-S", "/var/spool/x"}), "--recording-spool=/var/spool/x"));
}

TEST(RtpproxyStart, WhatIsRefusedSaysWhy) {
  using Words = std::vector<std::string>;
  for (const Words& words :
       {Words{"-b"}, Words{"-2"}, Words{"--dso", "x.so"}, Words{"--config", "x"}, Words{"-Z"},
        Words{"--nonsense"}, Words{"-m"}, Words{"-m", "x"}, Words{"-t", "300"}, Words{"-c", "x"},
        Words{"-d", "loud"}, Words{"word"}, Words{"-s", "stdio:"}, Words{"-w", "9999"},
        Words{"-l", "1.2.3.4", "-l", "1.2.3.5"}, Words{"-l", "/1.2.3.4"}}) {
    const auto start = translate_rtpproxy(words);
    ASSERT_FALSE(start) << words.front();
    EXPECT_GT(start.error().size(), 8u);
  }
}

}  // namespace
}  // namespace ferry::test
