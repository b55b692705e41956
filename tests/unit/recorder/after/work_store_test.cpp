// SPDX-License-Identifier: Apache-2.0
// The folder of the work after calls: what it takes, what it keeps, and what is left of it when its process
// is killed in the middle of each step (CTL-15).

#include "recorder/after/work_store.hpp"

#include "tests/support/recordings.hpp"

#include <csignal>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

constexpr const char* kRecordings = "/var/rec";

WorkEntry entry(const std::string& recording, WorkKind kind = WorkKind::kHook) {
  return {.kind = kind,
          .call_id = "call",
          .recording = recording,
          .directory = kRecordings,
          .files = {recording + ".json"}};
}

class WorkStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<WorkStore> open(const std::string& recordings = kRecordings) {
    auto store = WorkStore::open(home_.path("state"), recordings);
    EXPECT_TRUE(store) << store.error();
    return store ? std::move(*store) : nullptr;
  }
  std::set<std::string> load(WorkStore& store) {
    std::set<std::string> recordings;
    for (const WorkEntry& each : store.load([this](const std::string& line) { told_.push_back(line); }))
      recordings.insert(each.recording);
    return recordings;
  }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

  TemporaryFolder home_;
  std::vector<std::string> told_;
};

TEST_F(WorkStoreTest, CTL15_OutlivesItsProcessAndIsForItsUserAlone) {
  EXPECT_FALSE(WorkStore::exists(home_.path("state"), kRecordings));
  {
    const auto store = open();
    EXPECT_EQ(store->keep(entry("a1")), 0);
    EXPECT_EQ(store->keep(entry("a2")), 0);
    store->forget(entry("a2"));
  }
  EXPECT_TRUE(WorkStore::exists(home_.path("state"), kRecordings));
  const auto store = open();
  EXPECT_THAT(load(*store), ElementsAre("a1"));
  EXPECT_THAT(told_, IsEmpty());
  for (const auto& each : fs::recursive_directory_iterator(home_.path("state"))) {
    struct stat info {};
    stat(each.path().c_str(), &info);
    EXPECT_EQ(info.st_mode & 0777, each.is_directory() ? 0700u : 0600u) << each.path();
  }
}

TEST_F(WorkStoreTest, CTL15_AFolderOpenToOthersIsClosedAndOneOfAnotherUserIsRefused) {
  { open(); }
  chmod(home_.path("state/after-call").c_str(), 0777);
  { open(); }
  struct stat info {};
  stat(home_.path("state/after-call").c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  if (geteuid() != 0) GTEST_SKIP() << "giving a folder away needs root";
  ASSERT_EQ(chown(home_.path("state/after-call").c_str(), 65534, 65534), 0);
  const auto refused = WorkStore::open(home_.path("state"), kRecordings);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("belongs to another user"));
}

TEST_F(WorkStoreTest, CTL15_WhatCannotBeReadOrWrittenIsAReason) {
  write(home_.path("state"), "a file");
  const auto refused = WorkStore::open(home_.path("state"), kRecordings);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("Not a directory"));
}

TEST_F(WorkStoreTest, CTL15_WhatIsGivenUpIsKeptWithItsReasonAndCanBeMovedBack) {
  {
    const auto store = open();
    WorkEntry failed = entry("a1");
    failed.tries = 12;
    failed.error = "HTTP status 500";
    EXPECT_EQ(store->keep(failed), 0);
    EXPECT_EQ(store->give_up(failed), 0);
    EXPECT_EQ(store->give_up(failed), 0) << "a second time changes nothing";
    EXPECT_EQ(store->failed(), 1u);
    EXPECT_THAT(load(*store), IsEmpty());
    EXPECT_THAT(read_json(store->path() + "/failed/hook-a1.json")["error"], "HTTP status 500");
    fs::rename(store->path() + "/failed/hook-a1.json", store->path() + "/hook-a1.json");
  }
  const auto store = open();
  EXPECT_EQ(store->failed(), 0u);
  const auto back = store->load([](const std::string&) {});
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].tries, 0u);
}

TEST_F(WorkStoreTest, CTL15_TornAndForeignEntriesAreSetAsideAndTold) {
  std::string folder;
  {
    const auto store = open();
    EXPECT_EQ(store->keep(entry("a1")), 0);
    folder = store->path();
  }
  WorkEntry elsewhere = entry("a3");
  elsewhere.directory = "/other";
  const std::pair<const char*, std::string> rows[] = {
      {"hook-a2.json", to_text(entry("a2")).substr(0, 30)},
      {"hook-a3.json", to_text(elsewhere)},
      {"hook-a4.json", to_text(entry("a5"))},
      {"empty.json", ""},
      {"notes.txt", "bought milk"},
  };
  for (const auto& [name, text] : rows) write(folder + "/" + name, text);
  write(folder + "/hook-a6.json.part", "half");
  fs::create_symlink("/etc/passwd", folder + "/hook-a7.json");
  const auto store = open();
  EXPECT_THAT(load(*store), ElementsAre("a1"));
  EXPECT_EQ(told_.size(), std::size(rows));
  for (const auto& [name, text] : rows) {
    EXPECT_FALSE(fs::exists(folder + "/" + name)) << name;
    EXPECT_TRUE(fs::exists(folder + "/set-aside/" + name)) << name;
  }
  EXPECT_FALSE(fs::exists(folder + "/hook-a6.json.part")) << "half a file is nothing";
  told_.clear();
  EXPECT_THAT(load(*store), ElementsAre("a1"));
  EXPECT_THAT(told_, IsEmpty()) << "once";
}

TEST_F(WorkStoreTest, CTL15_TwoDaemonsNeverShareAnEntryAndNoneIsForgotten) {
  auto first = open();
  {
    auto second = open();
    EXPECT_NE(first->path(), second->path());
    EXPECT_EQ(second->keep(entry("b1")), 0);
    WorkEntry failed = entry("b2");
    EXPECT_EQ(second->keep(failed), 0);
    EXPECT_EQ(second->give_up(failed), 0);
    EXPECT_EQ(first->keep(entry("a1")), 0);
    EXPECT_THAT(load(*first), ElementsAre("a1")) << "the second one lives";
  }
  EXPECT_THAT(load(*first), UnorderedElementsAre("a1", "b1")) << "it is gone";
  EXPECT_TRUE(fs::exists(first->path() + "/failed/hook-b2.json"));
}

TEST_F(WorkStoreTest, CTL15_WorkOfAnotherRecordingDirectoryIsLeftAndTold) {
  {
    const auto other = open("/var/old");
    WorkEntry old = entry("a1");
    old.directory = "/var/old";
    EXPECT_EQ(other->keep(old), 0);
    const auto store = open();
    EXPECT_THAT(load(*store), IsEmpty());
    EXPECT_THAT(told_, IsEmpty()) << "its daemon lives";
  }
  const auto store = open();
  EXPECT_THAT(load(*store), IsEmpty());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("%2Fvar%2Fold")));
  const auto back = open("/var/old");
  EXPECT_THAT(load(*back), ElementsAre("a1"));
}

/// Runs `task` in a process that is killed before its `step`-th system call. False: it came to its end before
/// that, or `is_allowed` became false because nobody may trace here.
bool is_killed_at(unsigned step, const std::function<void()>& task, bool& is_allowed) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(99);
    raise(SIGSTOP);
    task();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) {
    is_allowed = WEXITSTATUS(status) != 99;
    return false;
  }
  for (unsigned calls = 0;;) {
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    if (WIFEXITED(status) || WIFSIGNALED(status)) return false;
    // Each call stops at its entry and at its exit; the kernel kills a process at its entry before the call.
    if (++calls / 2 < step) continue;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return true;
  }
}

TEST_F(WorkStoreTest, CTL15_KilledAtAnyStepAnEntryIsWhereItWasOrWhereItGoes) {
  const struct {
    const char* what;
    std::function<void(WorkStore&)> task;
    std::set<std::string> before;              // waits before the task
    std::vector<std::set<std::string>> after;  // what may wait afterwards
    bool may_fail;                             // a1 may be in failed/
  } rows[] = {
      {"keep", [](WorkStore& s) { static_cast<void>(s.keep(entry("a1"))); }, {}, {{}, {"a1"}}, false},
      {"keep again",
       [](WorkStore& s) {
         WorkEntry tried = entry("a1");
         tried.tries = 3;
         static_cast<void>(s.keep(tried));
       },
       {"a1"},
       {{"a1"}},
       false},
      {"forget", [](WorkStore& s) { s.forget(entry("a1")); }, {"a1"}, {{"a1"}, {}}, false},
      {"give up",
       [](WorkStore& s) { static_cast<void>(s.give_up(entry("a1"))); },
       {"a1"},
       {{"a1"}, {}},
       true},
  };
  bool is_allowed = true;
  for (const auto& row : rows) {
    unsigned step = 0;
    for (bool was_killed = true; was_killed && is_allowed; ++step) {
      const TemporaryFolder home;
      const std::string state = home.path("state");
      {
        const auto store = *WorkStore::open(state, kRecordings);
        for (const std::string& each : row.before) ASSERT_EQ(store->keep(entry(each)), 0);
      }
      was_killed = is_killed_at(
          step,
          [&] {
            const auto store = WorkStore::open(state, kRecordings);
            if (store) row.task(**store);
          },
          is_allowed);
      const auto opened = WorkStore::open(state, kRecordings);
      ASSERT_TRUE(opened) << row.what << " step " << step << ": " << opened.error();
      told_.clear();
      const auto waiting = load(**opened);
      const std::string where = fmt::format("{}, killed at step {}", row.what, step);
      EXPECT_THAT(row.after, testing::Contains(waiting)) << where;
      EXPECT_THAT(told_, IsEmpty()) << where << ": nothing was torn";
      if (row.may_fail) {
        EXPECT_EQ(waiting.size() + (*opened)->failed(), 1u) << where << ": neither lost nor doubled";
      }
    }
    if (is_allowed) {
      EXPECT_GT(step, 10u) << row.what;
    }
  }
  if (!is_allowed) GTEST_SKIP() << "this host lets nobody trace a process";
}

}  // namespace
}  // namespace ferry::test
