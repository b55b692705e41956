// SPDX-License-Identifier: Apache-2.0
// Closed recordings on their way to their place, and what is made of those that a process left on the way.

#include "recorder/after/finisher.hpp"

#include "recorder/after/leftovers.hpp"
#include "tests/support/recordings.hpp"

#include <csignal>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kId = "0123456789abcdef";

class FinisherTest : public ::testing::Test {
 protected:
  FinisherTest() {
    settings_.directory = home_.path("rec");
    settings_.state_directory = home_.path("state");
    settings_.hook = "/bin/hook";
  }
  std::unique_ptr<Finisher> make() {
    return std::make_unique<Finisher>(
        settings_, folder_,
        [this](RecorderLogLevel, const std::string& line) {
          const std::lock_guard guard(lock_);
          log_ += line + "\n";
        },
        [this](const ProgramOrder& order, const std::stop_token&) {
          const std::lock_guard guard(lock_);
          hooked_.insert(fs::path(order.words.back()).filename());
          return ProgramResult{ProgramResult::End::kExited, 0};
        });
  }
  /// What a start does with what another process left.
  void take_leftovers() {
    const auto finisher = make();
    finish_leftovers(spool_, "run-of-ours", {},
                     [&](FinishedRecording left) { finisher->post(std::move(left)); });
    finisher->begin_work();
    finisher->settle();
  }
  /// A recording of two files in a folder of the spool, with what its writer notes beside them.
  static FinishedRecording recorded(const std::shared_ptr<const Folder>& folder, const std::string& id,
                                    const std::string& base) {
    FinishedRecording finished;
    finished.id = id;
    finished.spool = folder;
    finished.manifest_spool_name = id + ".json";
    finished.base = base;
    finished.manifest = {{"id", id}, {"call_id", "call-" + id}, {"base", base}, {"state", "recording"}};
    for (const char* ending : {".pcap", ".wav"}) {
      std::ofstream(folder->path_of(id + ending)) << std::string(100'000, ending[1]);
      finished.files.push_back({id + ending, ending, {{"kind", ending + 1}}});
      finished.manifest["files"].push_back(
          {{"spool", id + ending}, {"ending", ending}, {"kind", ending + 1}});
    }
    EXPECT_EQ(folder->replace(finished.manifest_spool_name, finished.manifest.dump()), 0);
    finished.manifest.erase("files");
    finished.manifest["state"] = "complete";
    return finished;
  }
  /// Of a process that is gone: its lock is there and nobody holds it.
  std::shared_ptr<const Folder> dead_folder() {
    const auto folder = *Folder::open(home_.path("rec/.spool/run-dead"), {});
    std::ofstream(folder->path_of("lock"));
    return folder;
  }
  std::set<std::string> spooled() const {
    std::set<std::string> names;
    for (const auto& each : fs::recursive_directory_iterator(home_.path("rec/.spool"))) {
      if (!each.is_directory() && each.path().filename() != "lock") names.insert(each.path().filename());
    }
    return names;
  }
  void expect_whole(const std::string& base, const std::string& id) {
    const json manifest = read_json(home_.path("rec/" + base + ".json"));
    EXPECT_EQ(manifest["id"], id);
    ASSERT_EQ(manifest["files"].size(), 2u) << manifest.dump(1);
    for (const json& file : manifest["files"]) {
      EXPECT_EQ(file["size"], 100'000) << file.dump();
      EXPECT_EQ(fs::file_size(fs::path(home_.path("rec/" + base)).parent_path() / file["name"]), 100'000u);
    }
    EXPECT_FALSE(manifest.contains("losses")) << manifest.dump(1);
  }

  TemporaryFolder home_;
  RecorderSettings settings_;
  std::shared_ptr<const Folder> folder_ = *Folder::open(home_.path("rec"), {});
  std::shared_ptr<const Folder> spool_ = *Folder::open(home_.path("rec/.spool"), {});
  std::mutex lock_;
  std::string log_;
  std::set<std::string> hooked_;
};

TEST_F(FinisherTest, BringsFilesAndManifestToTheirPlaceAndThenTheHookRuns) {
  const auto finisher = make();
  finisher->begin_work();
  finisher->post(recorded(dead_folder(), kId, "2026/call"));
  finisher->settle();
  expect_whole("2026/call", kId);
  EXPECT_TRUE(spooled().empty());
  EXPECT_THAT(hooked_, testing::ElementsAre("call.json"));
}

// Where a process may have ended between two steps: each place of the files with the note that says where
// they go.
TEST_F(FinisherTest, CTL15_WhatWasOnItsWayGoesOnFromWhereItWas) {
  const struct {
    const char* what;
    std::vector<const char*> moved;
    bool has_whole_manifest_in_spool;
    bool has_manifest_in_place;
  } rows[] = {
      {"nothing has moved", {}, false, false},
      {"one file has moved", {".pcap"}, false, false},
      {"both have", {".pcap", ".wav"}, false, false},
      {"both have, the manifest is written", {".pcap", ".wav"}, true, false},
      {"the manifest is in its place, the note is not removed", {".pcap", ".wav"}, false, true},
  };
  unsigned number = 0;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    const std::string id = fmt::format("{:016x}", ++number);
    const std::string base = fmt::format("call-{}", number);
    const auto folder = dead_folder();
    FinishedRecording finished = recorded(folder, id, base);
    ASSERT_EQ(folder->replace(finished.manifest_spool_name, describe_placing(finished).dump()), 0);
    for (const char* ending : row.moved) ASSERT_EQ(folder->move_to(id + ending, *folder_, base + ending), 0);
    if (row.has_whole_manifest_in_spool) std::ofstream(folder->path_of(id + ".manifest")) << "half of it";
    if (row.has_manifest_in_place)
      std::ofstream(home_.path("rec/" + base + ".json")) << "{\"id\": \"" << id << "\"}";
    take_leftovers();
    expect_whole(base, id);
    EXPECT_EQ(read_json(home_.path("rec/" + base + ".json"))["state"], "complete") << "it was not cut short";
    EXPECT_TRUE(spooled().empty()) << testing::PrintToString(spooled());
    EXPECT_TRUE(hooked_.contains(base + ".json"));
    EXPECT_FALSE(fs::exists(home_.path("rec/" + base + "-2.json"))) << "nor placed twice";
  }
}

TEST_F(FinisherTest, WhatIsNoNoteOfOursIsLeftAlone) {
  const auto folder = dead_folder();
  const std::string rows[] = {
      R"({"state": "placing"})",
      R"({"state": "placing", "id": "", "base": "a", "files": [], "manifest": {}})",
      R"({"state": "placing", "id": "1", "base": "../../etc/x", "files": [], "manifest": {}})",
      R"({"state": "placing", "id": "1", "base": "a", "files": [1], "manifest": {}})",
      R"({"state": "placing", "id": "1", "base": "a", "files": [], "manifest": 5})",
      "{",
      "[]",
  };
  for (std::size_t i = 0; i < std::size(rows); ++i)
    std::ofstream(folder->path_of(fmt::format("note-{}.json", i))) << rows[i];
  take_leftovers();
  EXPECT_EQ(spooled().size(), std::size(rows));
}

// The process is killed wherever it is then, again and again; the next start has every file of every
// recording.
TEST_F(FinisherTest, CTL15_KilledOnTheWayNoFileIsLostAndNoWorkIsLeft) {
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    const auto id_of = [&](int n) { return fmt::format("{:08x}{:08x}", round + 1, n); };
    const pid_t child = fork();
    if (child == 0) {
      const ClaimedSpool mine = claim_spool(spool_, {});
      std::vector<FinishedRecording> finished;
      for (int n = 0; n < 4; ++n) finished.push_back(recorded(mine.folder, id_of(n), "call-" + id_of(n)));
      std::ofstream(home_.path("ready"));
      const auto finisher = make();
      finisher->begin_work();
      for (FinishedRecording& each : finished) finisher->post(std::move(each));
      pause();
    }
    while (!fs::exists(home_.path("ready"))) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(200 * round));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    fs::remove(home_.path("ready"));
    take_leftovers();
    for (int n = 0; n < 4; ++n) {
      SCOPED_TRACE(fmt::format("round {}, recording {}", round, n));
      expect_whole("call-" + id_of(n), id_of(n));
    }
    EXPECT_TRUE(spooled().empty()) << testing::PrintToString(spooled());
    for (const auto& each : fs::recursive_directory_iterator(home_.path("state")))
      EXPECT_NE(each.path().extension(), ".json") << each.path() << ": every hook was run";
  }
}

}  // namespace
}  // namespace ferry::test
