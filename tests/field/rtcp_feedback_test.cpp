// SPDX-License-Identifier: Apache-2.0
// RTCP feedback: whole toward a party whose profile has it, none toward one whose profile has not (RTC-3, RFC
// 4585 §4.2), in SDP and in packets.

#include "relay/srtp/backends.hpp"
#include "tests/support/dialogue.hpp"
#include "tests/support/secure_call.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::bytes_of;
using test::Dialogue;
using test::Packet;
using test::values_of;
using test::Words;

Packet joined(std::initializer_list<Packet> parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

constexpr std::uint32_t kSsrc = 'A';
const Packet kReport = test::receiver_report(kSsrc);
const Packet kSender = test::sender_report(kSsrc, 2, 'B');
const Packet kNames = bytes_of({0x81, 202, 0, 2, 0, 0, 0, 'A', 1, 1, 'a', 0});
const Packet kBye = bytes_of({0x81, 203, 0, 1, 0, 0, 0, 'A'});
const Packet kQuality = bytes_of({0x80, 207, 0, 1, 0, 0, 0, 'A'});
const Packet kPictureLoss = bytes_of({0x81, 206, 0, 2, 0, 0, 0, 'A', 0, 0, 0, 'B'});
const Packet kRefresh = bytes_of({0x84, 206, 0, 4, 0, 0, 0, 'A', 0, 0, 0, 0, 0, 0, 0, 'B', 1, 0, 0, 0});
const Packet kNack = bytes_of({0x81, 205, 0, 3, 0, 0, 0, 'A', 0, 0, 0, 'B', 0, 7, 0, 0});
const Packet kBitRate =
    bytes_of({0x8f, 206, 0, 5, 0, 0, 0, 'A', 0, 0, 0, 0, 'R', 'E', 'M', 'B', 1, 0, 0, 9, 0, 0, 0, 'B'});
/// transport-cc that ends with two octets of padding, as browsers write it.
const Packet kTransport =
    bytes_of({0xaf, 205, 0, 5, 0, 0, 0, 'A', 0, 0, 0, 'B', 0, 1, 0, 1, 0, 0, 1, 0, 0x20, 1, 0, 2});

test::Sections section(const std::string& profile, const Words& lines = {}) {
  return {{"", "audio", false, profile, lines}};
}

const Words kLines = {"rtcp-fb:8 nack pli", "rtcp-fb:* transport-cc", "rtcp-rsize", "rtcp-xr:rcvr-rtt=all"};

/// A call of A and B with profiles of their own.
std::unique_ptr<Dialogue> call_of(const std::string& a, const std::string& b, const Words& of_b = {}) {
  auto call = std::make_unique<Dialogue>();
  call->more["transport-protocol"] = b;
  call->offer('A', 'B', section(a, kLines));
  call->answer('A', 'B', section(b, of_b));
  call->settle('A', 'B');
  return call;
}

TEST(FieldRtcpFeedback, RTC3_ProfilesDecideWhatPasses) {
  struct Row {
    const char* what;
    Packet sent;
    Packet cut;  // what is left toward RTP/AVP; empty = nothing
  };
  const Row rows[] = {
      {"a report", kReport, kReport},
      {"sender report, names, quality, bye", joined({kSender, kNames, kQuality, kBye}),
       joined({kSender, kNames, kQuality, kBye})},
      {"picture loss behind a report", joined({kReport, kNames, kPictureLoss}), joined({kReport, kNames})},
      {"full intra request", joined({kReport, kRefresh}), kReport},
      {"negative acknowledgement in the middle", joined({kSender, kNack, kNames}), joined({kSender, kNames})},
      {"bit rate", joined({kReport, kBitRate}), kReport},
      {"transport-cc with padding", joined({kReport, kTransport}), kReport},
      {"picture loss alone", kPictureLoss, {}},
      {"transport-cc alone", kTransport, {}},
      {"several alone", joined({kNack, kPictureLoss, kBitRate}), {}},
      {"feedback before names", joined({kPictureLoss, kNames}), joined({kReport, kNames})},
  };
  struct Profiles {
    const char* a;
    const char* b;
    bool passes;
  };
  for (const Profiles& profiles :
       {Profiles{"RTP/AVPF", "RTP/AVPF", true}, Profiles{"RTP/AVPF", "RTP/AVP", false},
        Profiles{"RTP/AVP", "RTP/AVP", false}, Profiles{"RTP/AVP", "RTP/AVPF", true}}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(std::string(profiles.a) + " to " + profiles.b + ": " + row.what);
      const auto call = call_of(profiles.a, profiles.b, {"rtcp-rsize"});
      call->send('A', row.sent, true);
      const auto got = call->heard('B', true);
      const Packet& wanted = profiles.passes ? row.sent : row.cut;
      if (wanted.empty()) {
        EXPECT_TRUE(got.empty());
      } else {
        ASSERT_EQ(got.size(), 1u);
        EXPECT_EQ(got.front(), wanted);
      }
    }
  }
}

TEST(FieldRtcpFeedback, RTC3_SdpTowardAProfileWithoutFeedbackHasNone) {
  struct Row {
    const char* from;
    const char* to;
    bool shown;
  };
  for (const Row& row : {Row{"RTP/AVPF", "RTP/AVP", false}, Row{"RTP/AVP", "RTP/AVP", false},
                         Row{"RTP/AVPF", "RTP/AVPF", true}, Row{"RTP/AVP", "RTP/AVPF", true}}) {
    SCOPED_TRACE(std::string(row.from) + " to " + row.to);
    Dialogue call;
    call.more["transport-protocol"] = row.to;
    const std::string shown =
        call.offer('A', 'B', section(row.from, kLines), {}, {"rtcp-xr:voip-metrics", "tool:x"});
    // transport-cc goes from end to end or not at all (FB-4).
    const bool both = row.shown && std::string(row.from) == "RTP/AVPF";
    const Words wanted = both        ? Words{"8 nack pli", "* transport-cc"}
                         : row.shown ? Words{"8 nack pli"}
                                     : Words{};
    EXPECT_EQ(values_of(shown, "rtcp-fb"), wanted);
    EXPECT_EQ(values_of(shown, "rtcp-rsize").size(), row.shown ? 1u : 0u);
    EXPECT_EQ(values_of(shown, "rtcp-xr").size(), row.shown ? 1u : 0u);
    EXPECT_EQ(values_of(shown, "rtcp-xr", -1).size(), row.shown ? 1u : 0u);
    EXPECT_EQ(values_of(shown, "tool", -1), Words{"x"});
    // The answer: what B says reaches A as A's own profile has it.
    const std::string answered = call.answer('A', 'B', section(row.to, kLines));
    const bool back = std::string(row.from) == "RTP/AVPF";
    EXPECT_EQ(values_of(answered, "rtcp-fb").size(), both ? 2u : back ? 1u : 0u);
    EXPECT_EQ(values_of(answered, "rtcp-rsize").size(), back ? 1u : 0u);
  }
}

TEST(FieldRtcpFeedback, RTC3_AnAnswerWithoutFeedbackEndsIt) {
  Dialogue call;
  call.offer('A', 'B', section("RTP/AVPF", kLines));
  call.answer('A', 'B', section("RTP/AVP"));
  call.settle('A', 'B');
  call.send('A', joined({kReport, kPictureLoss}), true);
  EXPECT_EQ(call.heard('B', true), std::vector<Packet>{kReport});
  // An offer changes nothing before its answer.
  call.more["transport-protocol"] = "RTP/AVPF";
  call.offer('A', 'B', section("RTP/AVPF", kLines));
  call.send('A', joined({kReport, kPictureLoss}), true);
  EXPECT_EQ(call.heard('B', true), std::vector<Packet>{kReport});
  call.answer('A', 'B', section("RTP/AVPF", kLines));
  call.send('A', joined({kReport, kPictureLoss}), true);
  EXPECT_EQ(call.heard('B', true), std::vector<Packet>{joined({kReport, kPictureLoss})});
}

TEST(FieldRtcpFeedback, RTC3_ADropHasItsName) {
  const auto call = call_of("RTP/AVPF", "RTP/AVP");
  for (int i = 0; i < 3; ++i) call->send('A', joined({kPictureLoss}), true);
  const auto shown = call->world().manager().show("call", call->world().clock());
  EXPECT_NE(shown.dump().find("feedback-not-agreed"), std::string::npos) << shown.dump(1);
}

TEST(FieldRtcpFeedback, RTC1_PaddedTransportFeedbackPassesSrtcp) {
  const test::Suite suites[] = {test::kCm80, test::kGcm, std::nullopt};
  unsigned row = 60;
  for (const test::Suite a : suites) {
    for (const test::Suite b : suites) {
      test::WorldOptions options;
      options.session.srtp.backend = make_srtp_backend("openssl");
      const auto world = test::make_sim_world(options);
      test::SecureCall call(*world, ++row, a, b);
      call.has_feedback = true;
      call.set_up();
      for (int i = 0; i < 3; ++i) {
        call.deliver(call.a(), call.next(call.a()));
        call.deliver(call.b(), call.next(call.b()));
        call.pass();
      }
      for (const int padding : {1, 2, 3, 4}) {
        Packet packet = joined({kReport, kTransport});
        packet.back() = static_cast<std::byte>(padding);
        call.deliver(call.a(), call.sealed(call.a(), packet, true), true);
        call.pass();
        const auto got = call.heard(call.b(), true);
        ASSERT_EQ(got.size(), 1u) << row << ", padding " << padding;
        EXPECT_EQ(got.front(), packet);
      }
    }
  }
}

}  // namespace
}  // namespace ferry
