// SPDX-License-Identifier: Apache-2.0
// The replay list of a stream against a plain set of what was accepted (RFC 3711 section 3.3.2, SRT-4).

#include "relay/core/srtp/replay_window.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::replay_window_test {
namespace {

using Answer = ReplayWindow::Answer;

TEST(ReplayWindow, SRT4_TellsNewSeenAndTooOldApart) {
  ReplayWindow window(128);
  EXPECT_FALSE(window.started());
  EXPECT_EQ(window.check(0), Answer::kNew) << "nothing was seen yet";
  window.accept(1000);
  EXPECT_EQ(window.highest(), 1000u);
  EXPECT_EQ(window.check(1000), Answer::kSeen);
  EXPECT_EQ(window.check(1001), Answer::kNew);
  EXPECT_EQ(window.check(873), Answer::kNew) << "the last place of the window";
  EXPECT_EQ(window.check(872), Answer::kTooOld);
  window.accept(873);
  EXPECT_EQ(window.check(873), Answer::kSeen);
  EXPECT_EQ(window.highest(), 1000u) << "a late packet does not move the window";
  window.accept(1001);
  EXPECT_EQ(window.check(873), Answer::kTooOld);
  EXPECT_EQ(window.check(874), Answer::kNew);
}

TEST(ReplayWindow, SRT4_ALeapForgetsNothingThatIsStillInside) {
  ReplayWindow window(128);
  window.accept(10);
  window.accept(137);
  EXPECT_EQ(window.check(10), Answer::kSeen);
  for (std::uint64_t i = 11; i < 137; ++i) ASSERT_EQ(window.check(i), Answer::kNew) << i;
  // Farther than the window is long: all old bits must be gone.
  window.accept(137 + 128);
  for (std::uint64_t i = 138; i < 265; ++i) ASSERT_EQ(window.check(i), Answer::kNew) << i;
}

TEST(ReplayWindow, SRT9_WhatIsForbiddenIsNeverNewAgain) {
  ReplayWindow window(128);
  window.accept(100);
  window.forbid_until(500);
  EXPECT_EQ(window.check(500), Answer::kSeen);
  EXPECT_EQ(window.check(450), Answer::kSeen);
  EXPECT_EQ(window.check(501), Answer::kNew);
  window.forbid_until(300);
  EXPECT_EQ(window.highest(), 500u) << "never back";
}

TEST(ReplayWindow, SRT9_AfterAGapOnlyWhatIsHigherIsNew) {
  ReplayWindow window(128);
  window.accept(100);
  window.expect_gap();
  EXPECT_EQ(window.check(99), Answer::kSeen) << "it may have come in the gap";
  EXPECT_EQ(window.check(101), Answer::kNew);
  window.accept(120);
  EXPECT_EQ(window.check(110), Answer::kSeen) << "the first one is the new bottom";
  EXPECT_EQ(window.check(121), Answer::kNew);
  window.accept(125);
  EXPECT_EQ(window.check(122), Answer::kNew) << "from there on it is a window again";
}

// The truth is a set. New: not in it and not below the window.
TEST(ReplayWindow, SRT4_AnswersAsASetDoes) {
  rc::check([] {
    const std::size_t bits = *rc::gen::element<std::size_t>(64, 128, 1024);
    ReplayWindow window(bits);
    std::set<std::uint64_t> accepted;
    std::uint64_t index = *rc::gen::inRange<std::uint64_t>(0, 1ull << 48);
    const auto steps = *rc::gen::container<std::vector<std::int64_t>>(
        rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-20, 20), rc::gen::inRange<std::int64_t>(-1100, 1100)));
    for (const std::int64_t step : steps) {
      index = static_cast<std::uint64_t>(std::max<std::int64_t>(0, static_cast<std::int64_t>(index) + step));
      Answer wanted = accepted.contains(index) ? Answer::kSeen : Answer::kNew;
      if (!accepted.empty() && *accepted.rbegin() >= index && *accepted.rbegin() - index >= bits)
        wanted = Answer::kTooOld;
      RC_ASSERT(window.check(index) == wanted);
      if (wanted != Answer::kNew) continue;
      window.accept(index);
      accepted.insert(index);
    }
    // An export and a restore change no answer.
    if (accepted.empty()) return;
    ReplayWindow restored(bits);
    restored.restore(window.highest(), window.words());
    RC_ASSERT(restored == window);
  });
}

// What a longer window knows, the shorter one knew, and whatever that did not know counts as seen.
TEST(ReplayWindow, SRT4_ALongerWindowForgetsNothing) {
  for (const std::uint64_t highest : {0u, 63u, 64u, 127u, 128u, 5'000u}) {
    ReplayWindow window(128);
    for (std::uint64_t back = std::min<std::uint64_t>(highest, 200); back > 0; back -= 1) {
      if ((highest - back) % 3 != 0) window.accept(highest - back);
    }
    window.accept(highest);
    const ReplayWindow before = window;
    window.widen(64);
    EXPECT_EQ(window, before) << "it never gets shorter";
    window.widen(1024);
    EXPECT_EQ(window.size(), 1024u);
    for (std::uint64_t back = 0; back <= std::min<std::uint64_t>(highest, 1100); ++back) {
      const bool was_new = before.check(highest - back) == Answer::kNew;
      EXPECT_EQ(window.check(highest - back) == Answer::kNew, was_new) << highest << " - " << back;
    }
    window.accept(highest + 500);
    EXPECT_EQ(window.check(highest + 1), Answer::kNew) << "packets that are late by hundreds pass now";
    EXPECT_EQ(window.check(highest), Answer::kSeen);
  }
  ReplayWindow unused(128);
  unused.widen(1024);
  EXPECT_EQ(unused, ReplayWindow(1024));
}

}  // namespace
}  // namespace ferry::replay_window_test
