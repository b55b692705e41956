// SPDX-License-Identifier: Apache-2.0
// The resampler keeps frequency, level, length and place.

#include "codecs/audio/resampler.hpp"

#include "tests/support/tones.hpp"

#include <algorithm>

#include <rapidcheck.h>

namespace ferry {
namespace {

/// All of `in` in parts of at most `part` samples, and what is left inside at the end.
std::vector<std::int16_t> resampled(Resampler& resampler, std::span<const std::int16_t> in,
                                    std::size_t part) {
  constexpr std::int16_t kUntouched = 0x5a5a;
  std::vector<std::int16_t> all;
  const auto keep = [&](std::size_t room, auto make) {
    std::vector<std::int16_t> out(room + 8, kUntouched);
    const std::size_t made = make(std::span(out).first(room));
    EXPECT_LE(made, room);
    for (std::size_t i = room; i < out.size(); ++i) EXPECT_EQ(out[i], kUntouched) << "behind the room";
    all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(made));
  };
  while (!in.empty()) {
    const auto now = in.first(std::min(part, in.size()));
    keep(resampler.room_for(now.size()),
         [&](std::span<std::int16_t> out) { return resampler.run(now, out); });
    in = in.subspan(now.size());
  }
  keep(resampler.drain_room(), [&](std::span<std::int16_t> out) { return resampler.drain(out); });
  return all;
}

TEST(Resampler, AToneStaysItself) {
  for (const std::uint32_t from : {8000u, 11'025u, 16'000u, 48'000u}) {
    for (const std::uint32_t to : {8000u, 16'000u, 44'100u, 48'000u}) {
      Resampler resampler(from, to);
      const auto out = resampled(resampler, test::tone(from, from), from / 50);
      EXPECT_EQ(out.size(), to) << from << " to " << to << ": a second stays a second";
      const test::Heard heard = test::listen(std::span(out).first(out.size() - to / 10), to);
      EXPECT_GT(heard.share, 0.999) << from << " to " << to;
      EXPECT_NEAR(heard.level, 1, 0.02) << from << " to " << to;
    }
  }
}

TEST(Resampler, NoDelayIsLeftInTheOutput) {
  for (const auto& [from, to] :
       {std::pair{8000u, 48'000u}, std::pair{48'000u, 8000u}, std::pair{16'000u, 8000u}}) {
    Resampler resampler(from, to);
    std::vector<std::int16_t> click(from / 10);
    click[from / 20] = 20'000;
    const auto out = resampled(resampler, click, 160);
    const auto loudest = static_cast<std::size_t>(std::ranges::max_element(out) - out.begin());
    EXPECT_NEAR(static_cast<double>(loudest), to / 20, 1) << from << " to " << to;
  }
}

TEST(Resampler, EqualRatesPassUnchanged) {
  Resampler resampler(8000, 8000);
  const auto in = test::tone(8000, 333);
  EXPECT_EQ(resampled(resampler, in, 100), in);
  EXPECT_EQ(resampler.drain_room(), 0u);
}

TEST(Resampler, BeginsAnewAfterADrain) {
  Resampler used(8000, 16'000);
  static_cast<void>(resampled(used, test::tone(8000, 500), 160));
  Resampler fresh(8000, 16'000);
  const auto in = test::tone(8000, 800);
  EXPECT_EQ(resampled(used, in, 160), resampled(fresh, in, 160));
  EXPECT_TRUE(resampled(used, {}, 160).empty()) << "nothing was put in, nothing is left inside";
}

// Packets of any length give the same samples as one long one, in the room that was asked for.
TEST(Resampler, WhereAStreamIsCutMakesNoDifference) {
  rc::check([] {
    const auto from = *rc::gen::element(8000u, 11'025u, 16'000u, 44'100u, 48'000u);
    const auto to = *rc::gen::element(8000u, 11'025u, 16'000u, 44'100u, 48'000u);
    const auto part = *rc::gen::inRange<std::size_t>(1, 2000);
    const auto in = test::tone(from, *rc::gen::inRange<std::size_t>(0, 6000));
    Resampler one(from, to);
    Resampler other(from, to);
    const auto whole = resampled(one, in, in.size() + 1);
    RC_ASSERT(resampled(other, in, part) == whole);
    RC_ASSERT(whole.size() == in.size() * std::uint64_t{to} / from);
  });
}

}  // namespace
}  // namespace ferry
