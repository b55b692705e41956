// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/journal_file.hpp"

#include "control/events/event_stream.hpp"
#include "tests/support/recordings.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace ferry::events::journal_file_test {
namespace {

class JournalFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<JournalFile> open(const std::string& receiver = "http://localhost/") {
    auto file = JournalFile::open(folder_.path(), receiver);
    EXPECT_TRUE(file) << (file ? "" : file.error());
    return file ? std::move(*file) : nullptr;
  }
  Event event(std::uint64_t number, std::size_t size = 10) {
    Event made{number, EventType::kDtmf, "c", {}};
    made.text = text_of(number, made.type, "c", {{"by", std::string(size, 'x')}}, WallTime{});
    return made;
  }
  /// Adds an event to the journal and to what waits.
  void add(JournalFile& file, std::uint64_t number, std::size_t size = 10) {
    Event made = event(number, size);
    file.add(made);
    waiting_.emplace(number, std::move(made));
  }
  void remove(JournalFile& file, std::uint64_t number) {
    file.remove(number);
    waiting_.erase(number);
  }
  static std::vector<std::uint64_t> left(JournalFile& file) {
    std::vector<std::uint64_t> numbers;
    for (const Event& each : file.load().waiting) numbers.push_back(each.number);
    return numbers;
  }
  test::TemporaryFolder folder_;
  std::map<std::uint64_t, Event> waiting_;
};
using Numbers = std::vector<std::uint64_t>;

TEST_F(JournalFileTest, WhatWaitsIsFoundByTheNextProcess) {
  auto file = open();
  add(*file, 1);
  add(*file, 2);
  remove(*file, 1);
  EXPECT_EQ(file->flush(waiting_), 0);
  const std::string path = file->path();
  file.reset();
  file = open();
  EXPECT_EQ(file->path(), path);
  EXPECT_EQ(left(*file), Numbers{2});
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u) << "digits are in it";
}

TEST_F(JournalFileTest, TwoProcessesDoNotShareAJournalNorDoTwoReceivers) {
  const auto first = open();
  const auto second = open();
  const auto other = open("http://localhost/other");
  EXPECT_NE(first->path(), second->path());
  EXPECT_NE(first->path(), other->path());
  EXPECT_NE(second->path(), other->path());
}

TEST_F(JournalFileTest, AFolderThatCannotBeMadeIsASentence) {
  const auto file = JournalFile::open("/proc/nowhere", "x");
  ASSERT_FALSE(file);
  EXPECT_TRUE(file.error().starts_with("/proc/nowhere/events: ")) << file.error();
}

TEST_F(JournalFileTest, ATornLineIsCountedAndTheFileIsWrittenAnew) {
  auto file = open();
  add(*file, 1);
  EXPECT_EQ(file->flush(waiting_), 0);
  const std::string path = file->path();
  file.reset();
  std::ofstream(path, std::ios::app) << "+ {\"id\":2,\"ty";
  file = open();
  const JournalContents contents = file->load();
  EXPECT_EQ(contents.damaged, 1u);
  EXPECT_EQ(contents.waiting.size(), 1u);
  add(*file, 3);
  EXPECT_EQ(file->flush(waiting_), 0);
  file.reset();
  file = open();
  EXPECT_EQ(left(*file), (Numbers{1, 3}));
}

TEST_F(JournalFileTest, TheFileDoesNotGrowWithWhatIsOver) {
  auto file = open();
  constexpr std::size_t kSize = 10'000;
  add(*file, 1, kSize);
  for (std::uint64_t n = 2; n < 2000; ++n) {
    add(*file, n, kSize);
    EXPECT_EQ(file->flush(waiting_), 0);
    remove(*file, n);
    EXPECT_EQ(file->flush(waiting_), 0);
  }
  EXPECT_LT(std::filesystem::file_size(file->path()), 2 * JournalFile::kWaste);
  const std::string path = file->path();
  file.reset();
  file = open();
  EXPECT_EQ(file->path(), path) << "the lock goes with the file";
  EXPECT_EQ(left(*file), Numbers{1});
}

TEST_F(JournalFileTest, WhatOverlappingProcessesLeftIsFound) {
  auto first = open();
  auto second = open();
  add(*second, 7);
  EXPECT_EQ(second->flush(waiting_), 0);
  const std::string path = second->path();
  EXPECT_TRUE(JournalFile::left_behind(folder_.path(), "http://localhost/").empty()) << "both are held";
  second.reset();
  {
    const auto left = JournalFile::left_behind(folder_.path(), "http://localhost/");
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0]->path(), path);
    EXPECT_EQ(JournalFileTest::left(*left[0]), Numbers{7});
    left[0]->erase();
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(JournalFileTest, AFileWithMuchThatWaitsIsNotWrittenAnewForALittleWaste) {
  auto file = open();
  constexpr std::size_t kSize = 100'000;
  constexpr std::uint64_t kWaiting = 4 * JournalFile::kWaste / kSize;
  for (std::uint64_t n = 1; n <= kWaiting; ++n) add(*file, n, kSize);
  EXPECT_EQ(file->flush(waiting_), 0);
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(file->path().c_str(), &before), 0);
  // More waste than `kWaste`, and less than what waits.
  for (std::uint64_t n = 1; n <= kWaiting / 3; ++n) remove(*file, n);
  EXPECT_EQ(file->flush(waiting_), 0);
  ASSERT_EQ(stat(file->path().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  for (std::uint64_t n = kWaiting / 3 + 1; n <= kWaiting; ++n) remove(*file, n);
  EXPECT_EQ(file->flush(waiting_), 0);
  EXPECT_LT(std::filesystem::file_size(file->path()), kSize);
}

}  // namespace
}  // namespace ferry::events::journal_file_test
