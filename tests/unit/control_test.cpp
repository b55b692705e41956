// Configuration, access, and the rules that are seen from control.

#include "control/config/config.hpp"
#include "control/log/log.hpp"
#include "control/protocol/access.hpp"
#include "control/protocol/cli/cli_server.hpp"
#include "control/protocol/ng/notifier.hpp"
#include "control/sdp/write.hpp"
#include "tests/support/world.hpp"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

Endpoint peer(std::uint8_t last, std::uint16_t port = 4000) {
  return {IpAddress::v4({192, 0, 2, last}), UdpPort{port}};
}

Result<Config, ConfigError> load(std::vector<std::string> words) {
  words.insert(words.begin(), {"rtpferryd", "--config-file=none"});
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  return load_config(arguments);
}

TEST(Config, CTL1_DefaultsAreLoopbackAndAUnixSocket) {
  const auto config = load({"-i", "192.0.2.1"});
  ASSERT_TRUE(config);
  ASSERT_EQ(config->listen_ng.size(), 1u);
  EXPECT_EQ(config->listen_ng[0].to_string(), "127.0.0.1:2223");
  EXPECT_TRUE(config->listen_tcp_ng.empty());
  EXPECT_EQ(config->control_socket.front(), '/');
}

TEST(Config, CTL2_OpenListenerNeedsAnAllowListOrTheExplicitOption) {
  EXPECT_FALSE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223"}));
  EXPECT_FALSE(load({"-i", "192.0.2.1", "--listen-tcp-ng=[2001:db8::1]:2223"}));
  EXPECT_TRUE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223", "--control-allow=192.0.2.0/24"}));
  EXPECT_TRUE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223", "--allow-open-control"}));
}

TEST(Config, ListsMayBeRepeatedOrDividedBySemicolons) {
  const auto config = load({"--interface=a/192.0.2.1;b/192.0.2.2!203.0.113.2", "--interface=c=a"});
  ASSERT_TRUE(config);
  ASSERT_EQ(config->interfaces.size(), 3u);
  EXPECT_EQ(config->interfaces[1].advertised, "203.0.113.2");
  EXPECT_EQ(config->interfaces[2].alias_of, "a");
}

TEST(Config, ErrorsAreOneLineWithAHint) {
  EXPECT_EQ(load({"--timout=3"}).error().text, "unknown option 'timout': did you mean 'timeout'?");
  EXPECT_EQ(load({"-i", "x", "--timeout=soon"}).error().text,
            "--timeout: 'soon' is no number from 0 to 31536000");
  EXPECT_EQ(load({"--interface"}).error().text, "option 'interface' needs a value");
  EXPECT_NE(load({"-i", "192.0.2.1", "-m", "5000", "-M", "4000"}).error().text.find("port-min"),
            std::string::npos);
  Config config;
  EXPECT_EQ(apply_ini(config, "[rtpferry]\n# c\ntimeout = 5\nlatsh = any\n", "f.conf").error().text,
            "f.conf:4: unknown option 'latsh': did you mean 'latch'?");
}

TEST(Config, EverythingThatIsWrongIsToldAtOnce) {
  Config config;
  const auto from_file = apply_ini(
      config, "timout=1\n[rtpferri]\nport-min = 1\n[rtpferry]\ntimeout = soon\nlatch = some\n", "f.conf");
  EXPECT_EQ(from_file.error().text,
            "f.conf:1: unknown option 'timout': did you mean 'timeout'?\n"
            "f.conf:2: unknown section '[rtpferri]': there are [rtpferry], [interface-NAME] and [templates]\n"
            "f.conf:5: timeout: 'soon' is no number from 0 to 31536000\n"
            "f.conf:6: latch: 'some' is none of off, signalled, uncontested, any");
  const auto from_words = load({"--timeout=soon", "--nothing", "-Q", "-n", "192.0.2.1:2223", "--port-min"});
  EXPECT_EQ(from_words.error().text,
            "--timeout: 'soon' is no number from 0 to 31536000\n"
            "unknown option 'nothing' (--help lists them)\n"
            "unknown option '-Q' (--help lists them)\n"
            "option 'port-min' needs a value\n"
            "control listener 192.0.2.1:2223 is not on loopback: name who may use it with "
            "control-allow=NETWORK (or accept anybody with allow-open-control)");
}

// The beginning of a name opened a listener that nobody asked for.
TEST(Config, LongOptionsGoByTheirWholeName) {
  for (const char* word : {"--listen-tcp=127.0.0.1:2223", "--listen-tc=127.0.0.1:2223", "--num=2",
                           "--max-ses=5", "--check", "--l=7", "--interfac=192.0.2.1"}) {
    const auto config = load({"-i", "192.0.2.1", word});
    ASSERT_FALSE(config) << word;
    EXPECT_NE(config.error().text.find("unknown option '"), std::string::npos) << config.error().text;
  }
  EXPECT_FALSE(load({"-i", "192.0.2.1", "--listen-tcp", "127.0.0.1:2223"}))
      << "the value in a word of its own";
  EXPECT_TRUE(load({"-i", "192.0.2.1", "--listen-tcp-ng", "127.0.0.1:2223"}));
  EXPECT_TRUE(load({"--interface", "192.0.2.1", "--num-threads", "2", "--cdr", "--cdr=no"}));
}

TEST(Config, AVariableThatIsNotSetIsNoInterface) {
  for (const char* value : {"", "pub/", "/192.0.2.1", "pub/192.0.2.1!", "old=", "=pub"}) {
    const auto config = load({std::string("--interface=").append(value)});
    ASSERT_FALSE(config) << value;
    EXPECT_TRUE(config.error().text.starts_with("--interface: ")) << config.error().text;
  }
  EXPECT_EQ(load({}).error().text, "no interface: give at least one, e.g. --interface=192.0.2.1");
}

TEST(Config, InterfaceSectionsStandBesideTheList) {
  Config config;
  ASSERT_TRUE(apply_ini(config,
                        "interface = int/10.0.0.5\n[interface-ext]\naddress = "
                        "192.0.2.1\n[rtpferry]\ninterface=third/192.0.2.3\n",
                        "f"));
  ASSERT_EQ(config.interfaces.size(), 3u);
  EXPECT_EQ(config.interfaces[0].name, "int") << "the first one is the default";
  EXPECT_EQ(config.interfaces[1].name, "ext");
  EXPECT_EQ(config.interfaces[2].name, "third");
  InterfaceSpec empty;
  empty.name = "b";
  EXPECT_EQ(InterfaceSet::build({parse_interface_spec("a/192.0.2.250"), empty, parse_interface_spec("c=d")},
                                UdpPort{30000}, UdpPort{30010})
                .error(),
            "interface 'a': 192.0.2.250 is not an address of this host\ninterface 'b': no address\n"
            "interface alias 'c': there is no interface 'd'");
}

TEST(Config, TemplatesMayBeChosenAfterTheirSection) {
  const std::string path = testing::TempDir() + "templates.conf";
  const auto choose = [&](const std::string& name) {
    std::vector<std::string> words = {"rtpferryd", "--config-file=" + path, "--templates=" + name};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    return load_config(arguments);
  };
  std::ofstream(path) << "interface=192.0.2.1\n[my-templates]\noffer = replace-origin\n";
  ASSERT_TRUE(choose("my-templates"));
  EXPECT_EQ(choose("my-templates")->templates.at("offer"), "replace-origin");
  EXPECT_EQ(choose("your-templates").error().text,
            "templates: there is no section '[your-templates]' in '" + path + "'");
}

TEST(Config, InterfaceSectionsHaveTheirOwnPorts) {
  Config config;
  ASSERT_TRUE(apply_ini(
      config, "timeout=7\n[interface-ext]\naddress = 192.0.2.1!203.0.113.9\nport-min=1000\nport-max = 2000\n",
      "f"));
  EXPECT_EQ(config.session.timeout, 7s);
  ASSERT_EQ(config.interfaces.size(), 1u);
  EXPECT_EQ(config.interfaces[0].name, "ext");
  EXPECT_EQ(config.interfaces[0].advertised, "203.0.113.9");
  EXPECT_EQ(config.interfaces[0].port_max->value, 2000);
}

TEST(Interfaces, AliasesGroupsAndErrors) {
  const auto specs = [](std::vector<std::string_view> texts) {
    std::vector<InterfaceSpec> all;
    for (const auto text : texts) all.push_back(parse_interface_spec(text));
    return all;
  };
  const auto set = InterfaceSet::build(specs({"pub:1/192.0.2.1", "pub:2/192.0.2.2", "old=pub:1"}),
                                       UdpPort{30000}, UdpPort{30010}, false);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->find("old")->name, "pub:1");
  EXPECT_NE(set->find("pub"), set->find("pub")) << "members of a group in turn";
  EXPECT_EQ(set->find("nothing"), nullptr);
  EXPECT_FALSE(InterfaceSet::build(specs({"192.0.2.1"}), UdpPort{30001}, UdpPort{30002}, false))
      << "no even/odd pair";
  EXPECT_FALSE(InterfaceSet::build(specs({"no-such-device0"}), UdpPort{30000}, UdpPort{30010}, false));
  EXPECT_FALSE(InterfaceSet::build(specs({"203.0.113.250"}), UdpPort{30000}, UdpPort{30010}, true))
      << "not local";
}

TEST(Access, CTL5_BudgetOfStrangersOnAnOpenListener) {
  AccessList open({}, true);
  unsigned admitted = 0;
  for (int i = 0; i < 5000; ++i)
    admitted += open.admit(IpAddress::v4({198, 51, 100, 1}), Instant{1h}) ? 1u : 0u;
  EXPECT_EQ(admitted, 2000u);
  EXPECT_TRUE(open.admit(IpAddress::v4({127, 0, 0, 1}), Instant{1h}));
}

// A client of the control socket must not make the relay speak to any host of its choice.
TEST(Notifier, CTL9_CallsNameOnlyTrustedReceivers) {
  const AccessList access({*Network::parse("192.0.2.0/24")}, true);
  ng::NotifierConfig config;
  config.dtmf_destination = Endpoint::parse("203.0.113.5:3000");
  config.b2b_url = "http://%%:8080/RPC2";
  Call call;
  EXPECT_EQ(ng::dtmf_receiver(config, call, access), config.dtmf_destination) << "the operator's choice";
  EXPECT_EQ(ng::time_out_url(config, call, access), "") << "no client, no address";
  CallExtras& extras = call.ensure_extras();
  extras.client = IpAddress::v4({198, 51, 100, 7});
  EXPECT_EQ(ng::time_out_url(config, call, access), "http://198.51.100.7:8080/RPC2") << "who asked";
  const struct {
    const char* address;
    bool trusted;
  } rows[] = {{"192.0.2.9", true}, {"127.0.0.1", true}, {"10.0.0.1", false}, {"169.254.169.254", false}};
  for (const auto& row : rows) {
    extras.dtmf_log_destination = std::string(row.address) + ":4000";
    extras.xmlrpc_callback = row.address;
    const auto receiver = ng::dtmf_receiver(config, call, access);
    EXPECT_EQ(receiver->to_string() == extras.dtmf_log_destination, row.trusted) << row.address;
    EXPECT_EQ(ng::time_out_url(config, call, access).empty(), !row.trusted) << row.address;
  }
  extras.xmlrpc_callback = "metadata.example";
  EXPECT_EQ(ng::time_out_url(config, call, access), "") << "names are not looked up";
}

TEST(Cli, CTL7_TerminateAllEndsEveryCallAndSaysSo) {
  const auto world = make_sim_world();
  cli::CliService service(world->manager(), world->service(), [&] { return world->clock(); });
  for (const char* id : {"one", "two"}) world->ng(offer(id, "A", audio_sdp(peer(10))));
  EXPECT_EQ(service.execute({{"command", "list"}}, "uid 0")["calls"].size(), 2u);
  EXPECT_EQ(service.execute({{"command", "terminate"}, {"call_id", "nobody"}}, "uid 0")["error"],
            "no such call");
  EXPECT_EQ(service.execute({{"command", "terminate"}, {"all", true}}, "uid 0")["terminated"], 2);
  EXPECT_EQ(world->open_ports(), 0u);
  EXPECT_EQ(service.execute({{"command", 5}}, "uid 0")["error"], "unknown command");
}

TEST(Sdp, LIM6_CountsAreBounded) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
  std::string media = head;
  for (int i = 0; i < 32; ++i) media += "m=audio 4000 RTP/AVP 8\r\n";
  EXPECT_TRUE(sdp::parse(media));
  EXPECT_EQ(sdp::parse(media + "m=audio 4000 RTP/AVP 8\r\n").error(), sdp::SdpError::kTooManyMedia);
  std::string formats = head + "m=audio 4000 RTP/AVP";
  for (int i = 0; i < 65; ++i) formats += " " + std::to_string(i);
  EXPECT_EQ(sdp::parse(formats + "\r\n").error(), sdp::SdpError::kTooManyFormats);
  const auto world = make_sim_world();
  json last;
  for (int i = 0; i < 40; ++i)
    last = world->ng(offer("tags", "tag" + std::to_string(i), audio_sdp(peer(10))));
  EXPECT_EQ(last["result"], "error") << "64 tags a call";
}

TEST(Sdp, CodecIdentityIsNameRateAndChannels) {
  const auto codec = [](int type, std::string_view name, std::uint32_t rate, std::string_view fmtp) {
    sdp::Codec c;
    c.payload_type = static_cast<std::uint8_t>(type);
    c.name = name;
    c.clock_rate_hz = rate;
    c.fmtp = fmtp;
    return c;
  };
  EXPECT_TRUE(sdp::same_codec(codec(0, "PCMU", 8000, "abc=no"), codec(0, "pcmu", 8000, "")));
  EXPECT_TRUE(sdp::same_codec(codec(96, "opus", 48000, ""), codec(107, "OPUS", 48000, "x")));
  EXPECT_FALSE(sdp::same_codec(codec(96, "speex", 8000, ""), codec(96, "speex", 16000, "")));
  EXPECT_TRUE(
      sdp::same_codec(codec(101, "telephone-event", 8000, "0-16"), codec(98, "telephone-event", 8000, "")));
  EXPECT_FALSE(sdp::same_codec(codec(100, "telephone-event", 8000, "0-15"),
                               codec(101, "telephone-event", 8000, "0-16")));
  EXPECT_TRUE(sdp::same_codec(codec(100, "telephone-event", 8000, "0-15"),
                              codec(101, "telephone-event", 8000, "events=0-16")))
      << "what cannot be read takes no codec away";
  EXPECT_TRUE(sdp::same_codec(codec(18, "G729", 8000, ""), codec(18, "speex", 16000, "")))
      << "a static number is its codec";
}

TEST(Sdp, WritingWhatWasWrittenChangesNothing) {
  const auto world = make_sim_world();
  const json first = world->ng(offer("one", "A", audio_sdp(peer(10), "a=X-odd:1\r\na=ptime:20\r\n")));
  const json second = world->ng(offer("two", "A", first["sdp"].get<std::string>()));
  const auto without_port = [](std::string text) {
    text.erase(text.find("m=audio ") + 8, 5);
    const auto rtcp = text.find("a=rtcp:") + 7;
    text.erase(rtcp, text.find("\r\n", rtcp) - rtcp);
    return text;
  };
  EXPECT_EQ(without_port(first["sdp"]), without_port(second["sdp"]));
}

class TwoParty : public ::testing::Test {
 protected:
  void SetUp() override {
    world_ = make_sim_world();
    for (const Endpoint& e : {a_, b_, x_}) world_->open(e);
  }
  void set_up(const json& keys = {}) {
    json o = offer("c", "A", audio_sdp(a_));
    json w = answer("c", "A", "B", audio_sdp(b_));
    if (!keys.is_null()) {
      o.update(keys);
      w.update(keys);
    }
    to_b_ = World::port_of(world_->ng(o));
    to_a_ = World::port_of(world_->ng(w));
  }
  [[nodiscard]] Endpoint at(UdpPort port) const { return {world_->relay_address(), port}; }
  json shown() { return world_->manager().show("c", world_->clock()); }

  std::unique_ptr<World> world_;
  Endpoint a_ = peer(10);
  Endpoint b_ = peer(20);
  Endpoint x_ = peer(66);
  UdpPort to_a_;
  UdpPort to_b_;
};

TEST_F(TwoParty, LAT1_MediaLeavesFromThePortThatWasAdvertised) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  ASSERT_EQ(world_->received().size(), 2u);
  EXPECT_EQ(world_->received()[0].from, at(to_b_));
  EXPECT_EQ(world_->received()[1].from, at(to_a_));
}

TEST_F(TwoParty, DMX5_RefusedPacketsChangeNothingButDropCounters) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  json before = shown();
  for (std::uint16_t n = 2; n < 50; ++n) {
    world_->send(x_, at(to_a_), rtp('X', 1, n));
    world_->send(x_, at(to_a_), rtp('X', 99, static_cast<std::uint16_t>(n * 1000)));
    world_->send(x_, at(UdpPort{static_cast<std::uint16_t>(to_a_.value + 1)}), receiver_report(1));
    world_->send(x_, at(to_a_), bytes_of({22, 254, 253, 0, 0}));
  }
  json after = shown();
  for (json* side : {&before, &after}) {
    json& media = (*side)["legs"][0]["medias"][0];
    media.erase("drops");
    for (auto& stream : media["streams"]) stream["in"].erase("errors");
  }
  EXPECT_EQ(before, after) << json::diff(before, after);
}

TEST_F(TwoParty, SSR3_SameSsrcFromAnotherAddressIsRefusedTheFirstWins) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 7, 1));
  for (std::uint16_t n = 2; n < 20; ++n) world_->send(x_, at(to_a_), rtp('X', 7, n));
  world_->send(a_, at(to_a_), rtp('A', 7, 2));
  EXPECT_EQ(world_->count(b_, 'X'), 0u);
  EXPECT_EQ(world_->count(b_, 'A'), 2u);
}

TEST_F(TwoParty, RTC2_RtcpIsLimitedToFiftyASecond) {
  set_up();
  const Endpoint rtcp_port = at(UdpPort{static_cast<std::uint16_t>(to_a_.value + 1)});
  const Endpoint a_rtcp = peer(10, 4001);
  const Endpoint b_rtcp = peer(20, 4001);
  world_->open(b_rtcp);
  for (int i = 0; i < 4000; ++i) {
    world_->at(i * 1ms, [&, rtcp_port, a_rtcp] { world_->send(a_rtcp, rtcp_port, receiver_report(1)); });
  }
  world_->run(4s);
  EXPECT_NEAR(static_cast<double>(world_->count(b_rtcp)), 50.0 * 5, 5.0) << "a burst of one second and 50/s";
}

TEST_F(TwoParty, LIM2_NothingAnswersJunkAndOutputNeverExceedsInput) {
  set_up();
  for (const int first : {0, 1, 20, 63, 64, 128, 191, 192, 255}) {
    Packet junk(100, std::byte{0});
    junk[0] = static_cast<std::byte>(first);
    for (const UdpPort port : {to_a_, to_b_}) world_->send(x_, at(port), junk);
  }
  EXPECT_EQ(world_->received().size(), 0u);
}

TEST_F(TwoParty, LAT4a_WordsThatChooseThePolicy) {
  const auto policy_with = [&](const json& keys) {
    set_up(keys);
    return shown()["legs"][0]["medias"][0]["latch_policy"].get<std::string>();
  };
  EXPECT_EQ(policy_with({}), "signalled");
  EXPECT_EQ(policy_with({{"latch", "any"}}), "any");
  EXPECT_EQ(policy_with({{"latch", "uncontested"}}), "uncontested");
  EXPECT_EQ(policy_with({{"endpoint-learning", "off"}}), "off");
  EXPECT_EQ(policy_with({{"flags", {"endpoint-learning-heuristic"}}}), "any (endpoint-learning)");
  EXPECT_TRUE(shown()["legs"][0]["medias"][0]["unsafe"].get<bool>());
}

TEST_F(TwoParty, AsymmetricSendsToTheSdpAddressWhateverSourceIsSeen) {
  set_up({{"flags", {"asymmetric"}}});
  const Endpoint source = peer(10, 4444);
  world_->open(source);
  for (std::uint16_t n = 1; n < 4; ++n) world_->send(source, at(to_a_), rtp('A', 1, n));
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  EXPECT_EQ(world_->count(b_, 'A'), 3u);
  EXPECT_EQ(world_->count(a_, 'B'), 1u);
  EXPECT_EQ(world_->count(source, 'B'), 0u);
}

TEST_F(TwoParty, RtcpMuxCarriesBothOnOnePortBothWays) {
  json o = offer("c", "A", audio_sdp(a_, "a=rtcp-mux\r\n"));
  json w = answer("c", "A", "B", audio_sdp(b_, "a=rtcp-mux\r\n"));
  to_b_ = World::port_of(world_->ng(o));
  to_a_ = World::port_of(world_->ng(w));
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  world_->send(a_, at(to_a_), receiver_report(1));
  ASSERT_EQ(world_->count(b_), 2u);
  EXPECT_EQ(world_->received()[1].from, at(to_b_));
}

TEST_F(TwoParty, T38AndUnknownPayloadPassUnchanged) {
  const std::string fax =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.{}\r\nt=0 0\r\nm=image 4000 udptl "
      "t38\r\na=T38FaxVersion:0\r\n";
  const auto body = [&](const char* last) {
    std::string text = fax;
    return text.replace(text.find("{}"), 2, last);
  };
  to_b_ = World::port_of(world_->ng(offer("c", "A", body("10"))));
  to_a_ = World::port_of(world_->ng(answer("c", "A", "B", body("20"))));
  const Packet udptl = bytes_of({0, 1, 2, 0xaa, 0xbb, 0, 0});
  world_->send(a_, at(to_a_), udptl);
  world_->send(a_, at(to_a_), bytes_of({0, 2, 90, 1}));
  ASSERT_EQ(world_->received().size(), 1u);
  EXPECT_EQ(world_->received()[0].packet, udptl);
  EXPECT_EQ(shown()["legs"][0]["medias"][0]["drops"]["malformed-udptl"], 1);
}

TEST_F(TwoParty, HoldStopsMediaOfWhoMayNotSend) {
  set_up();
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  json hold = offer("c", "A", audio_sdp(a_, "a=sendonly\r\n"));
  hold["to-tag"] = "B";
  world_->ng(hold);
  world_->ng(answer("c", "A", "B", audio_sdp(b_, "a=recvonly\r\n")));
  world_->send(b_, at(to_b_), rtp('B', 2, 2));
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  EXPECT_EQ(world_->count(a_, 'B'), 1u);
  EXPECT_EQ(world_->count(b_, 'A'), 1u);
}

TEST(Log, PRC2_TextFromOutsideIsOneSafeLine) {
  EXPECT_EQ(log::quote("a b\n\"\\%\x01"), "a\\x20b\\x0a\\x22\\x5c%\\x01");
  EXPECT_LT(log::quote(std::string(100'000, 'x')).size(), 210u);
}

}  // namespace
}  // namespace ferry::test
