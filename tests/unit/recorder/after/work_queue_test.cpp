// SPDX-License-Identifier: Apache-2.0
// The order of the work after calls, in virtual time.

#include "recorder/after/work_queue.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1'000s};

Work work(WorkKind kind, const std::string& recording, std::int64_t posted_ms = 0) {
  return {{.kind = kind,
           .call_id = "call",
           .recording = recording,
           .directory = "/rec",
           .files = {recording + ".pcap", recording + ".json"},
           .posted_ms = posted_ms}};
}

std::string next(WorkQueue& queue, WorkKind kind, Instant now = kStart, bool only_new = false) {
  const auto taken = queue.take(kind, now, only_new);
  return taken ? taken->entry.recording : "-";
}

TEST(WorkQueue, CTL15_EachKindHasALineOfItsOwnInTheOrderOfPosting) {
  WorkQueue queue(3);
  queue.add(work(WorkKind::kHook, "b", 2), kStart);
  queue.add(work(WorkKind::kHook, "a", 3), kStart);
  queue.add(work(WorkKind::kUpload, "c", 1), kStart);
  EXPECT_EQ(next(queue, WorkKind::kNotify), "-");
  EXPECT_EQ(next(queue, WorkKind::kHook), "b");
  EXPECT_EQ(next(queue, WorkKind::kHook), "a");
  EXPECT_EQ(next(queue, WorkKind::kHook), "-") << "what runs is not handed out again";
  EXPECT_EQ(next(queue, WorkKind::kUpload), "c");
  EXPECT_EQ(queue.running(), 3u);
  queue.remove(work(WorkKind::kHook, "a").entry);
  EXPECT_EQ(queue.running(), 2u);
  EXPECT_EQ(queue.size(), 2u);
}

TEST(WorkQueue, CTL15_WhatFailedWaitsLongerEachTimeAndIsGivenUpInTheEnd) {
  WorkQueue queue(10);
  queue.add(work(WorkKind::kNotify, "a"), kStart);
  Instant now = kStart;
  std::vector<std::int64_t> pauses;
  while (auto taken = queue.take(WorkKind::kNotify, now, false)) {
    if (!queue.count_failure(taken->entry)) {
      queue.remove(taken->entry);
      break;
    }
    queue.put_back(std::move(*taken), now);
    const auto due = queue.next_due(WorkKind::kNotify);
    ASSERT_TRUE(due);
    EXPECT_EQ(next(queue, WorkKind::kNotify, *due - 1ns), "-");
    pauses.push_back(std::chrono::duration_cast<std::chrono::seconds>(*due - now).count());
    now = *due;
  }
  EXPECT_EQ(pauses, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 256}));
  EXPECT_TRUE(queue.is_empty());
  EXPECT_EQ(pause_after(1000), 256s);
}

TEST(WorkQueue, CTL15_WhatFailsHoldsUpNothingBehindIt) {
  WorkQueue queue(3);
  queue.add(work(WorkKind::kUpload, "a", 1), kStart);
  queue.add(work(WorkKind::kUpload, "b", 2), kStart);
  auto taken = queue.take(WorkKind::kUpload, kStart, false);
  EXPECT_TRUE(queue.count_failure(taken->entry));
  queue.put_back(std::move(*taken), kStart);
  EXPECT_EQ(next(queue, WorkKind::kUpload), "b");
  EXPECT_EQ(queue.next_due(WorkKind::kUpload), kStart + 1s);
  EXPECT_EQ(next(queue, WorkKind::kUpload, kStart + 1s), "a");
}

TEST(WorkQueue, AtTheEndOnlyWhatIsNewIsBegun) {
  WorkQueue queue(3);
  Work tried = work(WorkKind::kNotify, "tried");
  tried.entry.tries = 1;
  queue.add(std::move(tried), kStart);
  queue.add(work(WorkKind::kNotify, "new", 5), kStart);
  EXPECT_EQ(next(queue, WorkKind::kNotify, kStart, true), "new");
  EXPECT_EQ(next(queue, WorkKind::kNotify, kStart, true), "-");
  EXPECT_EQ(queue.rest().size(), 2u) << "what runs is undone as well";
}

// The upload removes the files when the operator wants that: who still needs them comes first.
TEST(WorkQueue, CTL15_AStoredUploadWaitsForTheOtherWorkOfItsRecording) {
  WorkQueue queue(3);
  queue.add(work(WorkKind::kHook, "a"), kStart);
  queue.add(work(WorkKind::kNotify, "a"), kStart);
  queue.add(work(WorkKind::kHook, "other"), kStart);
  queue.add(work(WorkKind::kUpload, "a"), kStart);
  auto upload = queue.take(WorkKind::kUpload, kStart, false);
  ASSERT_TRUE(upload) << "it is stored beside the others";
  upload->entry.stored = upload->entry.files.size();
  queue.put_back(std::move(*upload), kStart);
  EXPECT_EQ(next(queue, WorkKind::kUpload), "-");
  EXPECT_FALSE(queue.next_due(WorkKind::kUpload));
  queue.remove(work(WorkKind::kHook, "a").entry);
  EXPECT_EQ(next(queue, WorkKind::kUpload), "-");
  queue.remove(work(WorkKind::kNotify, "a").entry);
  EXPECT_EQ(queue.next_due(WorkKind::kUpload), kStart);
  EXPECT_EQ(next(queue, WorkKind::kUpload), "a");
}

TEST(WorkQueue, WhatIsPostedTwiceIsOnePiece) {
  WorkQueue queue(3);
  queue.add(work(WorkKind::kHook, "a"), kStart);
  queue.add(work(WorkKind::kHook, "a"), kStart + 1s);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(next(queue, WorkKind::kHook, kStart), "-");
  EXPECT_EQ(next(queue, WorkKind::kHook, kStart + 1s), "a");
}

}  // namespace
}  // namespace ferry::test
