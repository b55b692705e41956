// SPDX-License-Identifier: Apache-2.0
// Who is told of DTMF and of time-outs, and what the messages say.

#include "control/protocol/ng/notifier.hpp"

#include "control/protocol/ng/json_codec.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::ng_notifier_test {
namespace {

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

/// A call of A and B, who talk; C only subscribes.
struct Talking {
  Call call;
  Talking() {
    call.id = "c<1>&";
    for (const char* tag : {"A", "B", "C"}) {
      Leg& leg = *call.legs.emplace_back(std::make_unique<Leg>());
      leg.call = &call;
      leg.tag = tag;
      leg.number = call.next_leg++;
      leg.from_offer_answer = tag[0] != 'C';
      Media& media = leg.add_media();
      media.index = 1;
    }
    hears(1, 0);
    hears(0, 1);
  }
  void hears(std::size_t listener, std::size_t sender) {
    call.legs[listener]->medias[0]->subscriptions.push_back({call.legs[sender]->medias[0].get()});
  }
  Leg& leg(std::size_t place) { return *call.legs[place]; }
};

/// The parameters of each XML-RPC call, with its method in front.
std::vector<std::string> words(const std::vector<std::string>& bodies) {
  std::vector<std::string> result;
  for (const std::string& body : bodies) {
    std::string text = body.substr(body.find("<methodName>") + 12);
    std::string found = text.substr(0, text.find('<'));
    for (auto at = text.find("<string>"); at != std::string::npos; at = text.find("<string>", at + 1))
      found += " " + text.substr(at + 8, text.find('<', at + 8) - at - 8);
    result.push_back(found);
  }
  return result;
}

TEST(Notifier, EachFormOfTheTimeOutNamesWhatItsServerKnows) {
  Talking story;
  using Words = std::vector<std::string>;
  EXPECT_EQ(words(ng::time_out_bodies(story.call, ng::XmlRpcFormat::kCallId)),
            Words{"teardown c&lt;1&gt;&amp;"});
  EXPECT_EQ(words(ng::time_out_bodies(story.call, ng::XmlRpcFormat::kSems)),
            (Words{"di sbc postControlCmd A teardown", "di sbc postControlCmd B teardown"}))
      << "a subscriber has no dialogue";
  EXPECT_EQ(words(ng::time_out_bodies(story.call, ng::XmlRpcFormat::kKamailio)),
            Words{"dlg.terminate_dlg c&lt;1&gt;&amp; A B"})
      << "a dialogue is told once";
  story.leg(1).tag.clear();
  EXPECT_EQ(words(ng::time_out_bodies(story.call, ng::XmlRpcFormat::kSems)),
            Words{"di sbc postControlCmd A teardown"})
      << "nobody has answered";
  EXPECT_TRUE(ng::time_out_bodies(story.call, ng::XmlRpcFormat::kKamailio).empty());
}

TEST(Notifier, AnAddressOfIpv6StandsInBracketsInTheUrl) {
  const AccessList access({}, true);
  ng::NotifierConfig config;
  config.b2b_url = "http://%%:8080/RPC2";
  Call call;
  call.ensure_extras().client = *IpAddress::parse("2001:db8::7");
  EXPECT_EQ(ng::time_out_url(config, call, access), "http://[2001:db8::7]:8080/RPC2");
  config.b2b_url = "http://192.0.2.5/RPC2";
  EXPECT_EQ(ng::time_out_url(config, call, access), config.b2b_url) << "a fixed one is the operator's";
}

TEST(Notifier, ADtmfEventTellsWhoPressedWhat) {
  Talking story;
  story.leg(0).ensure_extras().label = "caller";
  DtmfEvent event;
  event.source = *IpAddress::parse("192.0.2.9");
  event.event = 11;
  event.duration_ms = 160;
  event.volume = 8;
  const WallTime when{std::chrono::seconds(1'700'000'000)};
  EXPECT_EQ(ng::encode_json(Value(ng::dtmf_dict(story.call, story.leg(0), event, when))),
            R"({"callid":"c<1>&","source_tag":"A","source_label":"caller","tags":["A","B"],"type":"DTMF",)"
            R"("timestamp":1700000000,"source_ip":"192.0.2.9","event":11,"duration":160,"volume":8})");
}

}  // namespace
}  // namespace ferry::test::ng_notifier_test
