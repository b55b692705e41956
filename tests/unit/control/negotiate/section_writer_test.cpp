// SPDX-License-Identifier: Apache-2.0
// What a section of an SDP says, whoever commanded it (docs/reference/ng.md#sdp).
#include "control/negotiate/section_writer.hpp"

#include "control/negotiate/directions.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::section_writer_test {
namespace {

using sdp::Direction;
using Words = std::vector<std::string>;

/// A media of one party with a port of ours, and a section of another party.
class Party {
 public:
  Party() {
    media.via = &transport;
    media.type = "audio";
    media.protocol = "RTP/SAVP";
    media.mid = "a1";
    LocalPorts ports;
    ports.local = &local_;
    ports.port = UdpPort{30000};
    transport.ports.push_back(std::move(ports));
  }
  const sdp::MediaSection& section(const std::string& lines = {}, const std::string& kind = "RTP/AVP 8") {
    text_ = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nt=0 0\r\nm=audio 5000 " + kind + "\r\n" +
            (lines.find("c=") == std::string::npos ? "c=IN IP4 198.51.100.7\r\n" : "") + lines;
    session_ = sdp::parse(text_).value();
    return session_.media.front();
  }
  [[nodiscard]] SideInput input() const { return {request, srtp_, dtls_, nullptr}; }

  Media media;
  MediaTransport transport;
  Request request;
  const IpAddress ours = *IpAddress::parse("203.0.113.1");

 private:
  LocalAddress local_{*IpAddress::parse("192.0.2.1"), ours, nullptr, 0};
  SrtpConfig srtp_;
  DtlsConfig dtls_;
  std::string text_;
  sdp::Session session_;
};

TEST(SectionWriter, BeginsWithPortZeroAndTheAdvertisedAddress) {
  Party party;
  const SideInput input = party.input();
  const sdp::MediaSection& section = party.section();
  const sdp::SectionEdit edit = SectionWriter(party.media, input, false).begin(&section);
  EXPECT_EQ(edit.source, &section);
  EXPECT_EQ(edit.port, 0);
  EXPECT_EQ(edit.connection, party.ours);
  EXPECT_EQ(edit.mid, "a1");
  EXPECT_TRUE(edit.protocol.secure) << "the profile is that of its own party";
}

TEST(SectionWriter, WithoutPortsTheAddressIsUnspecified) {
  Party party;
  party.transport.ports.clear();
  party.transport.family = AddressFamily::kIpv6;
  const SideInput input = party.input();
  EXPECT_EQ(SectionWriter(party.media, input, false).begin(nullptr).connection,
            IpAddress::unspecified(AddressFamily::kIpv6));
}

TEST(SectionWriter, ASectionWithoutSourceHasFormatsOfItsOwn) {
  Party party;
  const SideInput input = party.input();
  const SectionWriter writer(party.media, input, false);
  EXPECT_EQ(writer.begin(nullptr).formats, Words{"0"}) << "an m-line needs one";
  PayloadEntry entry;
  entry.type = PayloadType{8};
  party.media.payloads = {entry};
  const sdp::SectionEdit edit = writer.begin(nullptr);
  EXPECT_EQ(edit.formats, Words{"8"});
  EXPECT_EQ(edit.type, "audio");
  EXPECT_EQ(edit.protocol_text, "RTP/SAVP");
  const std::vector<std::string_view> said = {"101", "9"};
  EXPECT_EQ(writer.begin(nullptr, said).formats, (Words{"101", "9"}));
}

TEST(SectionWriter, OpensWithTheAddressThatTheClientWants) {
  struct Row {
    const char* what;
    bool is_on_hold;
    bool has_address;
    bool replaces_zero;
    const char* shown;
  };
  const Row rows[] = {
      {"our own", false, false, false, "203.0.113.1"},
      {"of the client", false, true, false, "2001:db8::5"},
      {"hold", true, false, false, "0.0.0.0"},
      {"hold in the family of the client's address", true, true, false, "::"},
      {"hold that is replaced", true, false, true, "203.0.113.1"},
      {"hold that is replaced by the client's", true, true, true, "2001:db8::5"},
  };
  for (const Row& row : rows) {
    Party party;
    if (row.has_address) party.request.media_address = IpAddress::parse("2001:db8::5");
    if (row.replaces_zero) party.request.replaces.set(static_cast<std::size_t>(Replace::kZeroAddress));
    const SideInput input = party.input();
    const SectionWriter writer(party.media, input, false);
    sdp::SectionEdit edit = writer.begin(&party.section());
    writer.open(edit, row.is_on_hold);
    EXPECT_EQ(edit.port, 30000) << row.what;
    EXPECT_EQ(edit.connection.to_string(), row.shown) << row.what;
  }
}

struct DirectionRow {
  const char* name;
  std::string lines;
  DirectionPolicy policy;
  bool is_original;
  Direction direction;
  bool is_printed;
};
void PrintTo(const DirectionRow& row, std::ostream* out) { *out << row.name; }

class ShownDirection : public ::testing::TestWithParam<DirectionRow> {};

TEST_P(ShownDirection, IsThePartnersOrTheRelays) {
  const DirectionRow& row = GetParam();
  Party party;
  if (row.is_original) party.request.flags.set(static_cast<std::size_t>(Flag::kOriginalSendrecv));
  const SideInput input = party.input();
  const SectionWriter writer(party.media, input, true);
  sdp::SectionEdit edit = writer.begin(&party.section(row.lines));
  writer.show_direction(edit, row.policy, {true, false});
  EXPECT_EQ(edit.direction, row.direction);
  EXPECT_EQ(edit.print_direction, row.is_printed);
}

constexpr auto kOn = DirectionPolicy::kHandedOn;
constexpr auto kOwn = DirectionPolicy::kDecided;
constexpr Direction kBoth{true, true};
constexpr Direction kSends{true, false};
constexpr Direction kNothing{false, false};
const std::string kHold = "c=IN IP4 0.0.0.0\r\n";
INSTANTIATE_TEST_SUITE_P(
    Table, ShownDirection,
    ::testing::Values(DirectionRow{"NoLineIsWritten", "", kOn, false, kBoth, true},
                      DirectionRow{"Line", "a=inactive\r\n", kOn, false, kNothing, true},
                      DirectionRow{"OriginalWithoutLine", "", kOn, true, kBoth, false},
                      DirectionRow{"OriginalLine", "a=sendonly\r\n", kOn, true, kSends, true},
                      DirectionRow{"HoldSends", kHold, kOn, false, kSends, true},
                      DirectionRow{"HoldOfAReceiver", kHold + "a=recvonly\r\n", kOn, false, kNothing, true},
                      DirectionRow{"OriginalHold", kHold + "a=sendrecv\r\n", kOn, true, kBoth, true},
                      DirectionRow{"Decided", "a=inactive\r\n", kOwn, false, kSends, true},
                      DirectionRow{"DecidedWithoutLine", "", kOwn, true, kSends, true}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(SectionWriter, OtherKindsKeepTheirOwnLine) {
  for (const DirectionPolicy policy : {kOn, kOwn}) {
    Party party;
    const SideInput input = party.input();
    const SectionWriter writer(party.media, input, false);
    sdp::SectionEdit edit = writer.begin(&party.section("a=sendonly\r\n", "udptl t38"));
    writer.show_direction(edit, policy);
    EXPECT_FALSE(edit.print_direction);
  }
}

TEST(SectionWriter, ShowsTransportAndPacketTimes) {
  Party party;
  party.transport.mux_used = true;
  party.transport.ensure_ice().in_use = true;
  party.transport.ice->own = {"ufrag", "password-of-22-letters"};
  const SideInput input = party.input();
  const SectionWriter answer(party.media, input, true);
  EXPECT_TRUE(answer.shows_ice());
  EXPECT_FALSE(SectionWriter(party.media, input, false).shows_ice()) << "it was not offered";
  sdp::SectionEdit edit = answer.begin(&party.section("a=ptime:30\r\na=maxptime:60\r\n"));
  answer.open(edit, false);
  answer.show_transport(edit, {{"a candidate"}, {}});
  EXPECT_TRUE(edit.rtcp_mux);
  EXPECT_EQ(edit.rtcp_port, 30000);
  EXPECT_EQ(edit.ice.ufrag, "ufrag");
  EXPECT_EQ(edit.ice.candidates, Words{"a candidate"});
  EXPECT_EQ(edit.ptime, "30");
  EXPECT_EQ(edit.maxptime, "60");
}

}  // namespace
}  // namespace ferry::test::section_writer_test
