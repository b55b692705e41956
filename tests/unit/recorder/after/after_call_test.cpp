// SPDX-License-Identifier: Apache-2.0
// The work after calls with real programs and servers on loopback.

#include "recorder/after/after_call.hpp"

#include "tests/support/http_server.hpp"
#include "tests/support/recordings.hpp"

#include <csignal>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class AfterCallTest : public ::testing::Test {
 protected:
  AfterCallTest() : folder_(*Folder::open(home_.path("rec"), {})) {
    settings_.directory = home_.path("rec");
    settings_.state_directory = home_.path("state");
    settings_.upload.bucket = "calls";
    settings_.upload.access_key = settings_.upload.secret_key = "x";
  }

  std::unique_ptr<AfterCall> make() {
    return std::make_unique<AfterCall>(
        settings_, folder_,
        [this](RecorderLogLevel level, const std::string& line) {
          const std::lock_guard guard(lock_);
          if (level == RecorderLogLevel::kWarning) warnings_.push_back(line);
        },
        [this](const ProgramOrder& order, const std::stop_token& stop) { return run_hook_(order, stop); });
  }
  std::unique_ptr<AfterCall> begin() {
    auto after = make();
    after->begin();
    return after;
  }
  /// A finished recording in its place.
  StoredRecording recording(const std::string& id) {
    std::ofstream(home_.path("rec/" + id + ".pcap")) << "packets";
    std::ofstream(home_.path("rec/" + id + ".json")) << "{\"id\": \"" + id + "\"}";
    return {"call-" + id, id, {id + ".pcap", id + ".json"}};
  }
  static void post(AfterCall& after, const StoredRecording& stored) { after.post(after.promise(stored)); }

  std::string folder_of_work() {
    for (const auto& each : fs::directory_iterator(home_.path("state/after-call"))) return each.path();
    return {};
  }
  /// Names of entries in the folder of work, or below it.
  std::vector<std::string> entries(const std::string& below = {}) {
    std::vector<std::string> names;
    std::error_code ignored;
    // More than one folder, if a program that a killed process had begun to start held its lock for a moment.
    for (const auto& folder : fs::directory_iterator(home_.path("state/after-call"), ignored)) {
      for (const auto& each : fs::directory_iterator(folder.path() / below, ignored)) {
        if (each.path().extension() == ".json") names.push_back(each.path().filename());
      }
    }
    std::ranges::sort(names);
    return names;
  }
  std::vector<std::string> warnings() {
    const std::lock_guard guard(lock_);
    return warnings_;
  }
  /// Manifests that hooks were run for.
  std::vector<std::string> hooked() {
    const std::lock_guard guard(lock_);
    return hooked_;
  }

  TemporaryFolder home_;
  std::shared_ptr<const Folder> folder_;
  RecorderSettings settings_;
  std::mutex lock_;
  std::condition_variable ran_;
  std::vector<std::string> warnings_;
  std::vector<std::string> hooked_;
  RunProgram run_hook_ = [this](const ProgramOrder& order, const std::stop_token&) {
    const std::lock_guard guard(lock_);
    hooked_.push_back(fs::path(order.words.back()).filename());
    ran_.notify_all();
    return ProgramResult{ProgramResult::End::kExited, 0};
  };
};

TEST_F(AfterCallTest, CTL15_EachKindIsDoneOnceAndLeavesNoEntry) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.hook = "/bin/hook";
  settings_.notify_url = server.url() + "/notify";
  settings_.upload.endpoint = server.url();
  const auto after = begin();
  const auto promised = after->promise(recording("a1"));
  EXPECT_THAT(entries(), ElementsAre("hook-a1.json", "notification-a1.json", "upload-a1.json"))
      << "written down before anything is begun";
  after->post(promised);
  after->settle();
  EXPECT_THAT(hooked(), ElementsAre("a1.json"));
  EXPECT_EQ(server.requests().size(), 3u) << "a notification and two files";
  EXPECT_THAT(entries(), IsEmpty());
  EXPECT_THAT(warnings(), IsEmpty());
  EXPECT_TRUE(fs::exists(home_.path("rec/a1.pcap")));
}

TEST_F(AfterCallTest, HooksGetTheManifestAndNoRightsOfOurs) {
  settings_.hook = "/bin/hook";
  ProgramOrder seen;
  run_hook_ = [&](const ProgramOrder& order, const std::stop_token&) {
    seen = order;
    return ProgramResult{ProgramResult::End::kExited, 0};
  };
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_THAT(seen.words, Contains("--no-new-privs"));
  EXPECT_THAT(seen.words, Contains("--ambient-caps=-all"));
  EXPECT_EQ(seen.words[seen.words.size() - 2], "/bin/hook");
  EXPECT_EQ(seen.words.back(), home_.path("rec/a1.json"));
  EXPECT_EQ(seen.time_out, settings_.hook_timeout);
}

// A server that takes everything and never answers holds up its own kind alone.
TEST_F(AfterCallTest, CTL15_AHangingUploadServerDelaysNoHookAndNoNotification) {
  HttpServer hanging([](std::size_t) { return 0; });
  HttpServer server([](std::size_t) { return 200; });
  settings_.hook = "/bin/hook";
  settings_.notify_url = server.url();
  settings_.upload.endpoint = hanging.url();
  {
    const auto after = begin();
    for (int i = 0; i < 20; ++i) post(*after, recording(fmt::format("a{}", i)));
    hanging.wait_for(1);
    server.wait_for(20);
    std::unique_lock guard(lock_);
    ran_.wait(guard, [&] { return hooked_.size() == 20; });
  }
  EXPECT_EQ(entries().size(), 20u) << "the uploads wait for the next start";
  EXPECT_THAT(entries("failed"), IsEmpty());
}

TEST_F(AfterCallTest, CTL15_AHangingHookDelaysNoUploadAndNoOtherHook) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.hook = "/bin/hook";
  settings_.hook_limit = 2;
  settings_.upload.endpoint = server.url();
  const auto quick = run_hook_;
  run_hook_ = [&](const ProgramOrder& order, const std::stop_token& stop) {
    if (order.words.back().find("dead") == std::string::npos) return quick(order, stop);
    return run_program({{"/bin/sleep", "600"}, {}, 600s}, stop);
  };
  {
    const auto after = begin();
    post(*after, recording("dead"));
    for (int i = 0; i < 5; ++i) post(*after, recording(fmt::format("a{}", i)));
    server.wait_for(12);
    std::unique_lock guard(lock_);
    ran_.wait(guard, [&] { return hooked_.size() == 5; });
  }
  EXPECT_THAT(entries(), ElementsAre("hook-dead.json"))
      << "ended by the stop, and run again at the next start";
}

TEST_F(AfterCallTest, CTL15_WhatAnEarlierStartLeftIsDoneAtTheNext) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.hook = "/bin/hook";
  settings_.notify_url = server.url();
  {
    const auto after = make();  // ends before it began
    post(*after, recording("a1"));
  }
  EXPECT_EQ(entries().size(), 2u);
  EXPECT_THAT(hooked(), IsEmpty());
  const auto after = begin();
  after->settle();
  EXPECT_THAT(hooked(), ElementsAre("a1.json"));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].body, "{\"id\": \"a1\"}");
  EXPECT_THAT(entries(), IsEmpty());
}

TEST_F(AfterCallTest, CTL15_WhatFailsIsTriedAgainAndThenGivenUpWithAReason) {
  HttpServer server([](std::size_t n) { return n < 2 ? 503 : 200; });
  settings_.notify_url = server.url();
  settings_.notify_tries = 2;
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_EQ(server.requests().size(), 2u);
  EXPECT_THAT(entries(), IsEmpty());
  EXPECT_THAT(entries("failed"), ElementsAre("notification-a1.json"));
  RecorderTotals totals;
  after->add_totals(totals);
  EXPECT_EQ(totals.notifications_failed, 1u);
  EXPECT_EQ(totals.work_failed, 1u);
  EXPECT_EQ(totals.work_waiting, 0u);
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("notifications fail and are tried again: HTTP status 503"),
                                      testing::AllOf(HasSubstr("call \"call-a1\""), HasSubstr("given up"),
                                                     HasSubstr("/failed"))));
  post(*after, recording("a2"));
  after->settle();
  EXPECT_EQ(server.requests().size(), 3u) << "the next one is taken";
}

TEST_F(AfterCallTest, CTL15_AHookThatSaysNoIsNotRunTwice) {
  settings_.hook = "/bin/hook";
  std::atomic<int> runs = 0;
  run_hook_ = [&](const ProgramOrder&, const std::stop_token&) {
    ++runs;
    return ProgramResult{ProgramResult::End::kExited, 3};
  };
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_EQ(runs, 1);
  EXPECT_THAT(entries("failed"), ElementsAre("hook-a1.json"));
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("the hook ended with status 3")));
}

TEST_F(AfterCallTest, CTL15_AHookThatCannotBeStartedIsTriedAgain) {
  settings_.hook = "/bin/hook";
  std::atomic<int> runs = 0;
  run_hook_ = [&](const ProgramOrder&, const std::stop_token&) {
    return ++runs == 1 ? ProgramResult{ProgramResult::End::kNotStarted, EAGAIN}
                       : ProgramResult{ProgramResult::End::kExited, 0};
  };
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(entries("failed"), IsEmpty());
}

TEST_F(AfterCallTest, CTL15_WorkOfAKindThatIsSwitchedOffIsSetAsideAndTold) {
  settings_.hook = "/bin/hook";
  {
    const auto after = make();
    post(*after, recording("a1"));
  }
  settings_.hook.clear();
  {
    const auto after = begin();
    after->settle();
  }
  EXPECT_THAT(entries(), IsEmpty());
  EXPECT_THAT(entries("set-aside"), ElementsAre("hook-a1.json"));
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("call \"call-a1\": recording a1: the hook is not done")));
}

TEST_F(AfterCallTest, CTL15_WithoutAPlaceForStateWorkIsDoneAllTheSameAndThatIsTold) {
  std::ofstream(home_.path("state")) << "a file";
  settings_.hook = "/bin/hook";
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_THAT(hooked(), ElementsAre("a1.json"));
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("a restart forgets what is undone")));
  RecorderTotals totals;
  after->add_totals(totals);
  EXPECT_THAT(totals.work_trouble, HasSubstr("Not a directory"));
}

// What a full or read-only disk does to each write, played by a folder that is gone.
TEST_F(AfterCallTest, CTL15_WhereNothingCanBeWrittenWorkIsDoneAndToldOnce) {
  settings_.hook = "/bin/hook";
  const auto after = begin();
  fs::remove_all(folder_of_work());
  for (const char* id : {"a1", "a2", "a3"}) post(*after, recording(id));
  after->settle();
  EXPECT_EQ(hooked().size(), 3u);
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("cannot write to")));
}

TEST_F(AfterCallTest, CTL15_WhatCanNeitherBeDoneNorKeptIsToldByName) {
  settings_.hook = "/bin/hook";
  settings_.state_directory.clear();
  {
    const auto after = make();
    post(*after, recording("a1"));
  }
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("call \"call-a1\": recording a1: the hook was left undone")));
}

TEST_F(AfterCallTest, CTL15_WhatIsWithdrawnIsNotDoneAfterARestart) {
  settings_.hook = "/bin/hook";
  {
    const auto after = begin();
    after->withdraw(after->promise(recording("a1")));
  }
  EXPECT_THAT(entries(), IsEmpty());
}

TEST_F(AfterCallTest, CTL15_StoredFilesAreRemovedOnlyAfterTheHookAndTheNotification) {
  HttpServer server([](std::size_t) { return 200; });
  settings_.hook = "/bin/hook";
  settings_.upload.endpoint = server.url();
  settings_.upload.keeps_files = false;
  std::atomic<bool> had_files = false;
  run_hook_ = [&](const ProgramOrder& order, const std::stop_token&) {
    server.wait_for(2);  // everything is stored
    had_files = fs::exists(order.words.back()) && fs::exists(home_.path("rec/a1.pcap"));
    return ProgramResult{ProgramResult::End::kExited, 0};
  };
  const auto after = begin();
  post(*after, recording("a1"));
  after->settle();
  EXPECT_TRUE(had_files);
  EXPECT_FALSE(fs::exists(home_.path("rec/a1.json")));
  EXPECT_FALSE(fs::exists(home_.path("rec/a1.pcap")));
}

// A process that is killed while it works, again and again: every hook and notification is done in the end,
// or kept among the failures.
TEST_F(AfterCallTest, CTL15_KilledInTheMiddleEverythingIsDoneByALaterStart) {
  constexpr int kMany = 12;
  settings_.hook = "/bin/hook";
  settings_.hook_limit = 3;
  run_hook_ = [this](const ProgramOrder& order, const std::stop_token& stop) {
    const std::string name = fs::path(order.words.back()).filename();
    const bool is_bad = name.starts_with("bad");
    return run_program(
        {{"/bin/sh", "-c",
          fmt::format("echo x >> {}; sleep 0.01; exit {}", home_.path("done-" + name), is_bad ? 1 : 0)},
         {"PATH=/bin:/usr/bin"},
         60s},
        stop);
  };
  std::vector<StoredRecording> recordings;
  for (int i = 0; i < kMany; ++i)
    recordings.push_back(recording(fmt::format("{}{}", i % 4 == 3 ? "bad" : "a", i)));
  const auto run_and_be_killed = [&](std::chrono::milliseconds after_time) {
    const pid_t child = fork();
    if (child == 0) {
      const auto after = begin();
      pause();
    }
    // Wherever it is then: the loop below goes through many places.
    std::this_thread::sleep_for(after_time);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  };
  {
    // Everything is promised before the first kill.
    const auto after = make();
    for (const StoredRecording& each : recordings) post(*after, each);
  }
  for (int i = 0; i < 8; ++i) run_and_be_killed(std::chrono::milliseconds(3 + 5 * i));
  const auto after = begin();
  after->settle();
  EXPECT_THAT(entries(), IsEmpty());
  EXPECT_THAT(entries("set-aside"), IsEmpty());
  EXPECT_EQ(entries("failed").size(), 3u);
  for (const StoredRecording& each : recordings)
    EXPECT_TRUE(fs::exists(home_.path("done-" + each.files.back()))) << each.id;
}

}  // namespace
}  // namespace ferry::test
