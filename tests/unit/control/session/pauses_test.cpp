// SPDX-License-Identifier: Apache-2.0
#include "control/session/pauses.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{24h};

TEST(Pauses, C13_APauseIsNoSilence) {
  struct Case {
    const char* what;
    Duration since, silence, began, ended, due;
  };
  // The pause counts with the second in which what waited is looked at.
  const Case cases[] = {
      {"within the silence", 10s, 60s, 20s, 90s, 10s + 60s + 71s},
      {"longer than the silence", 10s, 3s, 11s, 16s, 10s + 3s + 6s},
      {"an hour", 10s, 60s, 11s, 1h, 10s + 60s + 1h - 11s + 1s},
      {"before it began", 100s, 60s, 20s, 90s, 160s},
      {"just before it began", 90s, 60s, 20s, 90s, 151s},
      {"after it was over", 10s, 60s, 71s, 90s, 70s},
      {"as it was over", 10s, 60s, 70s, 90s, 70s},
      {"a silence that begins within", 50s, 3s, 20s, 90s, 94s},
  };
  for (const Case& each : cases) {
    Pauses pauses;
    pauses.add(kStart + each.began, kStart + each.ended);
    EXPECT_EQ(pauses.after(kStart + each.since, each.silence), kStart + each.due) << each.what;
  }
}

TEST(Pauses, C13_SeveralPausesAddUp) {
  Pauses pauses;
  EXPECT_EQ(pauses.after(kStart, 60s), kStart + 60s) << "none";
  for (int n = 0; n < 5; ++n) pauses.add(kStart + 10s + n * 20s, kStart + 20s + n * 20s);
  // Ten seconds run before the first pause, and nine between two.
  EXPECT_EQ(pauses.after(kStart, 10s), kStart + 10s);
  EXPECT_EQ(pauses.after(kStart, 11s), kStart + 22s);
  EXPECT_EQ(pauses.after(kStart, 19s), kStart + 30s);
  EXPECT_EQ(pauses.after(kStart, 60s), kStart + 60s + 5 * 11s);
}

TEST(Pauses, C13_OnePauseAfterTheOtherCountsOnce) {
  Pauses pauses;
  pauses.add(kStart + 10s, kStart + 20s);
  pauses.add(kStart + 20s + 500ms, kStart + 30s);  // within the grace of the first
  EXPECT_EQ(pauses.after(kStart, 60s), kStart + 60s + 21s);
}

TEST(Pauses, SRT7a_OfTooManyTheLongestAgoAreForgotten) {
  Pauses pauses;
  const auto count = static_cast<int>(Pauses::kKept) + 10;
  for (int n = 0; n < count; ++n) pauses.add(kStart + n * 20s, kStart + n * 20s + 9s);
  const Instant last = kStart + (count - 1) * 20s;
  EXPECT_EQ(pauses.after(last - 1s, 60s), last + 59s + 10s) << "the newest counts";
  EXPECT_EQ(pauses.after(kStart, 24h), kStart + 24h + static_cast<int>(Pauses::kKept) * 10s);
}

}  // namespace
}  // namespace ferry
