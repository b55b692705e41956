// SPDX-License-Identifier: Apache-2.0
// Verdicts and flight recorders as JSON, for `rtpferryctl explain`.
#include "control/session/explanation_json.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }

TEST(ExplanationJson, VerdictsHaveAllThatIsKnown) {
  Explanation explanation;
  explanation.call_id = "call";
  EXPECT_EQ(to_json(explanation).contains("summary"), false) << "nothing is judged";
  MediaVerdict& verdict = explanation.verdicts.emplace_back();
  verdict.leg = "A";
  verdict.media = 2;
  verdict.type = "audio";
  verdict.direction = MediaDirection::kTo;
  verdict.cause = Cause::kFine;
  verdict.sentence = "A hears B.";
  auto row = to_json(explanation)["verdicts"][0];
  EXPECT_EQ(row["leg"], "A");
  EXPECT_EQ(row["media"], 2);
  EXPECT_EQ(row["direction"], to_string(MediaDirection::kTo));
  EXPECT_EQ(row["cause"], to_string(Cause::kFine));
  EXPECT_EQ(row["sentence"], "A hears B.");
  EXPECT_FALSE(row.contains("figures") || row.contains("origin"));
  verdict.figures = EarFigures{.span = 5s, .spoken = 100, .missing = 25, .hole = 300ms, .jitter = 2ms};
  verdict.origin = MediaVerdict::Origin{"B", 1, Cause::kFine};
  row = to_json(explanation)["verdicts"][0];
  EXPECT_EQ(row["figures"]["seconds"], 5.0);
  EXPECT_EQ(row["figures"]["missing_percent"], 25.0);
  EXPECT_NEAR(row["figures"]["longest_hole_ms"].get<double>(), 300, 1e-6);
  EXPECT_NEAR(row["figures"]["jitter_ms"].get<double>(), 2, 1e-6);
  EXPECT_FALSE(row["figures"].contains("mos")) << "too little was spoken";
  EXPECT_EQ(row["origin"]["leg"], "B");
  EXPECT_TRUE(to_json(explanation).contains("summary"));
}

TEST(ExplanationJson, AFlightRecorderTellsEachPacket) {
  FlightRing ring;
  const Endpoint source = at("198.51.100.1:4000");
  const Instant start{100s};
  Packet packet = rtp('A', 7, 500, 8);
  ring.add(source, false, packet, packet.size(), DropReason::kNone, false, start);
  packet[1] = std::byte{200};  // a sender report
  ring.add(source, true, packet, 52, DropReason::kForeignSource, true, start + 250ms);
  const auto flight = flight_json("A", 1, at("198.18.0.1:30000"), ring);
  EXPECT_EQ(flight["leg"], "A");
  EXPECT_EQ(flight["local"], "198.18.0.1:30000");
  ASSERT_EQ(flight["packets"].size(), 2u);
  const auto& first = flight["packets"][0];
  EXPECT_NEAR(first["t"].get<double>(), -0.25, 1e-6) << "counted from the newest";
  EXPECT_EQ(first["from"], "198.51.100.1:4000");
  EXPECT_EQ(first["port"], "rtp");
  EXPECT_EQ(first["verdict"], "forwarded");
  EXPECT_EQ(first["payload_type"], 8);
  EXPECT_EQ(first["sequence"], 500);
  EXPECT_EQ(first["marker"], false);
  EXPECT_FALSE(first.contains("rtcp") || first.contains("kernel"));
  const auto& second = flight["packets"][1];
  EXPECT_EQ(second["rtcp"], 200);
  EXPECT_EQ(second["port"], "rtcp");
  EXPECT_EQ(second["size"], 52);
  EXPECT_EQ(second["verdict"], to_string(DropReason::kForeignSource));
  EXPECT_EQ(second["kernel"], true);
  EXPECT_FALSE(second.contains("payload_type"));
}

}  // namespace
}  // namespace ferry::test
