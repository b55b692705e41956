// SPDX-License-Identifier: Apache-2.0
// Which conversions stay in the worker.

#include "relay/media/light.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::light_test {
namespace {

AudioInput speech(std::string encoding, std::uint32_t rate = 8000, unsigned channels = 1) {
  return {PayloadType{0}, AudioInput::Kind::kSpeech, {std::move(encoding), rate, channels, ""}};
}
AudioInput events() {
  return {PayloadType{101}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}};
}

TEST(IsLight, OnlyG711ToG711WithoutAToneDetectorIsLight) {
  const struct {
    std::string what;
    std::vector<AudioInput> inputs;
    std::string to;
    bool detects_tones;
    bool is_light;
  } rows[] = {
      {"law to law", {speech("PCMU")}, "PCMA", false, true},
      {"names in small letters", {speech("pcma")}, "pcmu", false, true},
      {"both laws and events", {speech("PCMU"), speech("PCMA"), events()}, "PCMA", false, true},
      {"a tone detector", {speech("PCMU")}, "PCMA", true, false},
      {"from another codec", {speech("PCMU"), speech("opus", 48000, 2)}, "PCMA", false, false},
      {"to another codec", {speech("PCMU")}, "G722", false, false},
      {"G.711 at another rate", {speech("PCMU", 16000)}, "PCMA", false, false},
      {"two channels", {speech("PCMU", 8000, 2)}, "PCMA", false, false},
  };
  for (const auto& row : rows) {
    AudioConversion conversion;
    conversion.inputs = row.inputs;
    conversion.format = {row.to, 8000, 1, ""};
    conversion.detects_tones = row.detects_tones;
    EXPECT_EQ(is_light(conversion), row.is_light) << row.what;
    conversion.mixes = true;
    EXPECT_FALSE(is_light(conversion)) << row.what << ", mixed";
  }
  AudioConversion fax;
  fax.inputs = {speech("PCMU")};
  fax.format = {"PCMA", 8000, 1, ""};
  fax.fax = std::make_shared<const FaxSide>();
  EXPECT_FALSE(is_light(fax)) << "modems are at work";
}

}  // namespace
}  // namespace ferry::light_test
