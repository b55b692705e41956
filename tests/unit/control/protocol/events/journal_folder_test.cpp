// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/journal_folder.hpp"

#include "control/events/event_stream.hpp"
#include "control/protocol/events/journal_file.hpp"
#include "tests/support/recordings.hpp"

#include <chrono>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::journal_folder_test {
namespace {

using namespace std::chrono_literals;

class JournalFolderTest : public ::testing::Test {
 protected:
  std::unique_ptr<JournalFile> open(const std::string& receiver) {
    auto file = JournalFile::open(folder_.path(), receiver);
    EXPECT_TRUE(file) << (file ? "" : file.error());
    return file ? std::move(*file) : nullptr;
  }
  /// A journal in which one event waits.
  std::string leave(const std::string& receiver, std::uint64_t number) {
    auto file = open(receiver);
    const Event event{number, EventType::kDtmf, "c",
                      text_of(number, EventType::kDtmf, "c", {{"by", "\"id\":9999"}}, WallTime{})};
    file->add(event);
    EXPECT_EQ(file->flush({{number, event}}), 0);
    return file->path();
  }
  static WallTime now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }
  test::TemporaryFolder folder_;
};

TEST_F(JournalFolderTest, ANewPasswordOrTokenIsNoNewReceiver) {
  EXPECT_EQ(receiver_of("https://user:pass@host.example:8443/a/b?key=1#x"), "https://host.example:8443/a/b");
  EXPECT_EQ(receiver_of("http://host/a@b"), "http://host/a@b");
  EXPECT_EQ(receiver_of("http://host"), "http://host");
}

TEST_F(JournalFolderTest, TheHighestNumberIsFoundWhereverItStands) {
  EXPECT_EQ(highest_number(folder_.path()), 0u);
  leave("http://a/", 50);
  leave("http://b/", 70);
  leave("http://c/", 60);
  EXPECT_EQ(highest_number(folder_.path()), 70u) << "texts of callers do not count";
  auto large = open("http://d/");
  std::map<std::uint64_t, Event> waiting;
  for (std::uint64_t n = 100; n < 2000; ++n) {
    Event event{n, EventType::kDtmf, "c",
                text_of(n, EventType::kDtmf, "c", {{"by", std::string(n % 97, 'x')}}, WallTime{})};
    large->add(event);
    waiting.emplace(n, std::move(event));
  }
  EXPECT_EQ(large->flush(waiting), 0);
  EXPECT_EQ(highest_number(folder_.path()), 1999u) << "over the ends of blocks";
}

TEST_F(JournalFolderTest, JournalsOfUnknownReceiversGoAfterAWeek) {
  const std::string known = leave("http://known/", 1);
  const std::string stray = leave("http://stray/", 2);
  const auto held = open("http://held/");
  EXPECT_TRUE(tidy_journals(folder_.path(), {"http://known/"}, now() + 6 * 24h).empty());
  EXPECT_EQ(tidy_journals(folder_.path(), {"http://known/"}, now() + 8 * 24h),
            std::vector<std::string>{stray});
  EXPECT_TRUE(std::filesystem::exists(known));
  EXPECT_FALSE(std::filesystem::exists(stray));
  EXPECT_TRUE(std::filesystem::exists(held->path())) << "another process writes to it";
}

}  // namespace
}  // namespace ferry::events::journal_folder_test
