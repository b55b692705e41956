// SPDX-License-Identifier: Apache-2.0
// Whole faxes between spandsp's terminals through the gateway, in virtual time. FERRY_PAGES says how many
// pages.

#include "codecs/fax/gateway.hpp"

#include "codecs/audio/g711.hpp"
#include "tests/support/fax.hpp"

#include <algorithm>
#include <array>
#include <ostream>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::gateway_test {
namespace {

constexpr UdptlView::Recovery kParity = UdptlView::Recovery::kParity;

struct FaxRow {
  const char* what;
  /// True: the machine on T.38 calls and sends; false: the one with sound.
  bool t38_sends = true;
  double loss = 0;
  UdptlProtection protection{};
  int version = 0;
  bool ecm = true;
  /// What the gateway allows.
  T38Settings settings{};
  /// Speed that the machines must find, bit/s.
  int bit_rate = 14'400;
};
std::ostream& operator<<(std::ostream& out, const FaxRow& row) { return out << row.what; }

/// What A-law makes of samples.
void through_g711(std::span<std::int16_t> samples) {
  for (auto& sample : samples) sample = g711_samples(Law::kA)[linear_to_alaw(sample)];
}

std::uint64_t recovered(const UdptlReader::Figures& figures) {
  return figures.repeated_earlier + figures.recovered_by_parity;
}

class FaxCall {
 public:
  FaxCall(const FaxRow& row, const FaxJob& t38, const FaxJob& sound)
      : there_(t38, row.version, row.protection),
        here_(sound),
        gateway_(settings_of(row)),
        toward_(11, row.loss),
        back_(12, row.loss) {}

  /// Lets the call go on until both machines are done, for at most so many seconds.
  void run(std::size_t seconds) {
    for (std::size_t i = 0; i < seconds * 50 && !(there_.engine.is_done() && here_.engine.is_done()); ++i) {
      step();
      ++steps;
    }
  }

  T38Machine there_;
  SoundMachine here_;
  T38Gateway gateway_;
  std::size_t steps = 0;

 private:
  static T38Settings settings_of(const FaxRow& row) {
    T38Settings settings = row.settings;
    settings.version = row.version;
    settings.protection = row.protection;
    return settings;
  }
  void step() {
    there_.step();
    for (; !there_.sent.empty(); there_.sent.pop_front())
      if (toward_.passes()) gateway_.take(there_.sent.front());
    std::array<std::int16_t, T38Gateway::kStep> sound{};
    gateway_.speak(sound);
    through_g711(sound);
    std::array<std::int16_t, T38Gateway::kStep> answer{};
    here_.speak(answer);
    here_.hear(sound);
    through_g711(answer);
    gateway_.hear(answer);
    for (Bytes next = gateway_.next_datagram(); !next.empty(); next = gateway_.next_datagram())
      if (back_.passes()) there_.take(next);
  }

  LossyLink toward_;
  LossyLink back_;
};

class FaxGateway : public testing::TestWithParam<FaxRow> {};

TEST_P(FaxGateway, PagesArriveAsTheyWereSent) {
  const FaxRow& row = GetParam();
  const FaxFolder folder;
  const std::string sent = folder.path + "/sent.tif";
  const std::string received = folder.path + "/received.tif";
  const auto pages = some_pages(pages_to_send());
  write_pages(sent, pages);
  const FaxJob sender{.calls = true, .sends = sent, .ecm = row.ecm};
  const FaxJob receiver{.receives = received, .ecm = row.ecm};
  FaxCall call(row, row.t38_sends ? sender : receiver, row.t38_sends ? receiver : sender);
  call.run(60 + 60 * pages.size());
  EXPECT_EQ(call.there_.engine.result(), T30_ERR_OK);
  EXPECT_EQ(call.here_.engine.result(), T30_ERR_OK);
  EXPECT_EQ(read_pages(received), pages);
  const t30_stats_t stats = call.here_.engine.stats();
  EXPECT_EQ(stats.error_correcting_mode != FALSE, row.ecm && row.settings.ecm);
  EXPECT_EQ(stats.bit_rate, row.bit_rate);
  EXPECT_EQ(call.gateway_.progress().bit_rate, row.bit_rate);
  EXPECT_EQ(call.gateway_.overflown(), 0u);
  EXPECT_EQ(call.gateway_.figures().refused, 0u);
  EXPECT_EQ(call.gateway_.figures().lost + call.there_.figures().lost, 0u);
  EXPECT_EQ(recovered(call.gateway_.figures()) + recovered(call.there_.figures()) > 0, row.loss > 0);
  RecordProperty("seconds", static_cast<int>(call.steps / 50));
}

TEST(T38Gateway, ALimitThatFitsNoProtectionOnlySaysThatADeviceIsOld) {
  struct Row {
    std::uint32_t said;
    std::size_t room;
  };
  const std::vector<Row> rows = {{0, 1400},  {72, 1400}, {90, 1400},  {259, 1400},
                                 {260, 260}, {400, 400}, {9999, 1400}};
  for (const Row& row : rows) EXPECT_EQ(datagram_room(row.said), row.room) << row.said;
}

TEST(T38Gateway, DatagramsWaitUntilTheyAreTaken) {
  T38Gateway gateway{T38Settings{}};
  std::array<std::int16_t, T38Gateway::kStep> sound{};
  std::size_t datagrams = 0;
  for (int i = 0; i < 100; ++i) {
    gateway.hear(sound);
    gateway.speak(sound);
    EXPECT_TRUE(std::ranges::all_of(sound, [](std::int16_t sample) { return sample == 0; })) << "silence";
  }
  for (Bytes next = gateway.next_datagram(); !next.empty(); next = gateway.next_datagram(), ++datagrams)
    EXPECT_TRUE(parse_udptl(next));
  EXPECT_GT(datagrams, 0u) << "no signal, three times";
  EXPECT_EQ(gateway.take({}), UdptlReader::Outcome::kMalformed);
  EXPECT_TRUE(gateway.next_datagram().empty());
  EXPECT_EQ(gateway.progress().pages, 0);
}

T38Settings without(bool T38Settings::*first, bool T38Settings::*second = nullptr) {
  T38Settings settings{};
  settings.*first = false;
  if (second != nullptr) settings.*second = false;
  return settings;
}
constexpr UdptlProtection kFec{.recovery = kParity};

INSTANTIATE_TEST_SUITE_P(
    Calls, FaxGateway,
    testing::Values(
        FaxRow{.what = "T.38 sends"}, FaxRow{.what = "sound sends", .t38_sends = false},
        FaxRow{.what = "machines without ECM", .ecm = false}, FaxRow{.what = "version 3", .version = 3},
        FaxRow{.what = "2 % loss, redundancy", .loss = 0.02},
        FaxRow{.what = "2 % loss, redundancy, sound sends", .t38_sends = false, .loss = 0.02},
        FaxRow{.what = "2 % loss, parity", .loss = 0.02, .protection = kFec},
        FaxRow{.what = "2 % loss, parity, sound sends", .t38_sends = false, .loss = 0.02, .protection = kFec},
        FaxRow{.what = "no ECM at the gateway", .settings = without(&T38Settings::ecm)},
        FaxRow{.what = "no V.17", .settings = without(&T38Settings::v17), .bit_rate = 9600},
        FaxRow{.what = "no V.17, sound sends",
               .t38_sends = false,
               .settings = without(&T38Settings::v17),
               .bit_rate = 9600},
        FaxRow{.what = "no V.17, no V.29",
               .settings = without(&T38Settings::v17, &T38Settings::v29),
               .bit_rate = 4800}));

}  // namespace
}  // namespace ferry::test::gateway_test
