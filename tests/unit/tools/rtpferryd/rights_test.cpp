// SPDX-License-Identifier: Apache-2.0
// Whom the daemon becomes and what it keeps (CTL-17).
#include "tools/rtpferryd/rights.hpp"

#include "relay/rights/file_fence.hpp"
#include "tests/support/child.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>

namespace ferry {
namespace {

namespace fs = std::filesystem;

std::string own_status() {
  std::ifstream file("/proc/self/status");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}
bool status_has(const std::string& line) { return own_status().find(line + "\n") != std::string::npos; }

TEST(Rights, CTL17_RootBecomesSomebodyElseUnlessRootIsNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Config config;
  const auto usual = new_user(config);
  ASSERT_TRUE(usual);
  EXPECT_NE(usual->uid, 0u);
  EXPECT_EQ(usual->name, getpwnam("rtpferry") != nullptr ? "rtpferry" : "nobody");
  EXPECT_FALSE(usual->is_named);
  config.user = "root";
  const auto root = new_user(config);
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  EXPECT_TRUE(root->is_named);
  config.user = "nobody";
  EXPECT_EQ(new_user(config)->uid, getpwnam("nobody")->pw_uid);
  config.user = "nobody-of-this-name";
  EXPECT_FALSE(new_user(config));
  config.user.clear();
  config.group = "no-group-of-this-name";
  EXPECT_FALSE(new_user(config));
}

TEST(Rights, CTL17_ACapabilityStaysOnlyForWhatNeedsIt) {
  struct Row {
    const char* what;
    CapabilityNeeds needs;
    std::set<std::string_view> kept;
    std::set<std::string_view> in_force;
  };
  const std::set<std::string_view> all_of_files = {"CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE"};
  for (const Row& row :
       {Row{"nothing", {}, {}, {}}, Row{"user=root", {.is_root = true}, all_of_files, all_of_files},
        Row{"a low listener", {.has_low_port = true}, {"CAP_NET_BIND_SERVICE"}, {}},
        Row{"low media", {.has_low_media = true}, {"CAP_NET_BIND_SERVICE"}, {"CAP_NET_BIND_SERVICE"}},
        Row{"an owner of recordings", {.gives_files_away = true}, all_of_files, all_of_files},
        Row{"root's folder of recordings",
            {.lacks_recordings = true},
            {"CAP_DAC_OVERRIDE"},
            {"CAP_DAC_OVERRIDE"}},
        Row{"root's folder of sockets", {.lacks_sockets = true}, {"CAP_DAC_OVERRIDE"}, {}},
        Row{"a proxy's socket", {.lacks_peers = true}, {"CAP_DAC_OVERRIDE"}, {"CAP_DAC_OVERRIDE"}},
        Row{"root's key", {.lacks_keys = true}, {"CAP_DAC_READ_SEARCH"}, {"CAP_DAC_READ_SEARCH"}},
        Row{"root's configuration", {.lacks_reload = true}, {"CAP_DAC_READ_SEARCH"}, {}}}) {
    std::set<std::string_view> kept;
    std::set<std::string_view> in_force;
    for (const CapabilityRow& each : capability_rows()) {
      if (!each.is_kept(row.needs)) continue;
      kept.insert(each.name);
      if (each.is_in_force(row.needs)) in_force.insert(each.name);
    }
    EXPECT_EQ(kept, row.kept) << row.what;
    EXPECT_EQ(in_force, row.in_force) << row.what;
  }
}

/// A daemon's folders below one that everybody may enter.
class GiveUpRights : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    std::string pattern = fs::temp_directory_path() / "ferry-rights-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    top_ = pattern;
    fs::permissions(top_, static_cast<fs::perms>(0755));
    config_.config_file = "none";
    config_.control_socket = top_ / "run/control.sock";
    config_.recorder.directory = top_ / "recordings";
  }
  void TearDown() override {
    if (!top_.empty()) fs::remove_all(top_);
  }

  /// The result of `task` in a process that has given up.
  template <class Task>
  int after(const Task& task) const {
    // Opened now: whoever has given up may not make it.
    std::ofstream told(top_ / "error");
    return result_of_child([&] {
      try {
        give_up_rights(config_, new_user(config_).value(), places_of(config_, {}), {});
      } catch (const std::runtime_error& e) {
        told << e.what() << std::flush;
        return 200;
      }
      return task();
    });
  }
  std::string error() const {
    std::ifstream file(top_ / "error");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  int writes(const char* name) const {
    return after([&] { return std::ofstream(top_ / name) << "x" ? 0 : 1; });
  }

  fs::path top_;
  Config config_;
};

TEST_F(GiveUpRights, CTL17_KeepsNoCapabilityAndGainsNone) {
  EXPECT_EQ(after([] {
              return getuid() != 0 && getgid() != 0 && status_has("CapPrm:\t0000000000000000") &&
                             status_has("CapEff:\t0000000000000000") && status_has("NoNewPrivs:\t1")
                         ? 0
                         : 1;
            }),
            0);
}

TEST_F(GiveUpRights, CTL17_FoldersThatItMakesAreTheUsers) {
  EXPECT_EQ(writes("recordings/file"), 0);
  EXPECT_EQ(writes("run/file"), 1) << "sockets only";
  struct stat info {};
  ASSERT_EQ(stat((top_ / "recordings").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, new_user(config_)->uid);
  EXPECT_EQ(info.st_mode & 0777, config_.recorder.directory_mode & 0777);
}

TEST_F(GiveUpRights, CTL17_AnEmptyFolderOfRootIsGiven) {
  fs::create_directory(top_ / "recordings");
  EXPECT_EQ(writes("recordings/file"), 0);
  EXPECT_EQ(after([] { return status_has("CapEff:\t0000000000000000") ? 0 : 1; }), 0);
}

TEST_F(GiveUpRights, CTL17_AFolderWithOthersFilesStaysTheirsAndIsWrittenAllTheSame) {
  fs::create_directory(top_ / "recordings");
  std::ofstream(top_ / "recordings/of-root") << "x";
  EXPECT_EQ(writes("recordings/file"), 0);
  EXPECT_EQ(after([] { return status_has("CapEff:\t0000000000000002") ? 0 : 1; }), 0) << "CAP_DAC_OVERRIDE";
  struct stat info {};
  ASSERT_EQ(stat((top_ / "recordings").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
}

TEST_F(GiveUpRights, CTL17_ANamedUserIsToldWhichFolderAndWhatToDo) {
  config_.user = "nobody";
  fs::create_directory(top_ / "recordings");
  std::ofstream(top_ / "recordings/of-root") << "x";
  EXPECT_EQ(writes("recordings/file"), 200);
  for (const std::string& word : {std::string("recording-dir"), (top_ / "recordings").string(),
                                  std::string("chown"), std::string("user=root")})
    EXPECT_NE(error().find(word), std::string::npos) << word << " in: " << error();
}

TEST_F(GiveUpRights, CTL17_ARootWithAFenceWritesNowhereElse) {
  if (!FileFence::is_known_here()) GTEST_SKIP() << "this kernel has no Landlock";
  config_.user = "root";
  fs::create_directory(top_ / "other");
  std::ofstream(top_ / "other/secret") << "x";
  EXPECT_EQ(writes("recordings/file"), 0);
  EXPECT_EQ(writes("other/file"), 1);
  EXPECT_EQ(
      after([&] { return open((top_ / "other/secret").c_str(), O_RDONLY | O_CLOEXEC) < 0 ? errno : 0; }),
      EACCES);
}

TEST(Rights, CTL17_ACoreFileGoesWhereThePatternOfTheKernelSays) {
  struct Row {
    const char* pattern;
    std::string folder;
  };
  const std::string here = fs::current_path();
  for (const Row& row :
       {Row{"core", here}, Row{"core.%p", here}, Row{"cores/%e.%p", here + "/cores"},
        Row{"/var/crash/%p.core", "/var/crash"}, Row{"/core", ""}, Row{"", ""},
        Row{"|/usr/lib/systemd/systemd-coredump %P %u", ""}, Row{"@/run/coredump.socket", ""}})
    EXPECT_EQ(folder_of_cores(row.pattern), row.folder) << row.pattern;
}

TEST_F(GiveUpRights, CTL17_CoreDumpsSurviveTheChangeOfUser) {
  // With or without them: the change of user hides memory, and asking for core dumps shows it again (SRT-15).
  for (const bool wanted : {false, true}) {
    EXPECT_EQ(after([&] {
                show_memory(wanted);
                return prctl(PR_GET_DUMPABLE);
              }),
              wanted ? 1 : 0);
  }
}

TEST_F(GiveUpRights, CTL17_TheFolderOfCoreFilesIsOpenIfTheyAreWanted) {
  if (!FileFence::is_known_here()) GTEST_SKIP() << "this kernel has no Landlock";
  std::string pattern;
  std::ifstream file("/proc/sys/kernel/core_pattern");
  std::getline(file, pattern);
  if (pattern.starts_with('/') || folder_of_cores(pattern).empty())
    GTEST_SKIP() << "the kernel puts core files elsewhere: " << pattern;
  config_.user = "root";
  const fs::path before = fs::current_path();
  fs::current_path(top_);
  fs::create_directories(folder_of_cores(pattern));
  const fs::path core = fs::path(folder_of_cores(pattern)) / "core-of-test";
  const auto makes_it = [&] { return after([&] { return std::ofstream(core) << "x" ? 0 : 1; }); };
  EXPECT_EQ(makes_it(), 1);
  config_.core_dumps = true;
  EXPECT_EQ(makes_it(), 0);
  fs::current_path(before);
}

TEST_F(GiveUpRights, CTL17_RootsSocketFolderNeedsNothingInForce) {
  fs::permissions(top_, static_cast<fs::perms>(0700));
  fs::create_directory(top_ / "run");
  config_.recorder.directory.clear();
  EXPECT_EQ(after([] {
              return status_has("CapEff:\t0000000000000000") && status_has("CapPrm:\t0000000000000002") ? 0
                                                                                                        : 1;
            }),
            0);
}

TEST_F(GiveUpRights, CTL17_ANamedUserMayHaveItsSocketInAFolderOfRoot) {
  config_.user = "nobody";
  config_.recorder.directory.clear();
  fs::create_directory(top_ / "run");
  EXPECT_EQ(after([] {
              return status_has("CapEff:\t0000000000000000") && status_has("CapPrm:\t0000000000000002") ? 0
                                                                                                        : 1;
            }),
            0);
}

TEST_F(GiveUpRights, CTL16_WhatSighupReadsAgainIsTriedAsTheNewUser) {
  config_.recorder.directory.clear();
  config_.config_file = top_ / "conf";
  std::ofstream(config_.config_file) << "[rtpferry]\n";
  fs::permissions(config_.config_file, static_cast<fs::perms>(0600));
  EXPECT_EQ(after([] { return status_has("CapPrm:\t0000000000000004") ? 0 : 1; }), 0)
      << "CAP_DAC_READ_SEARCH waits";
  fs::permissions(config_.config_file, static_cast<fs::perms>(0644));
  EXPECT_EQ(after([] { return status_has("CapPrm:\t0000000000000000") ? 0 : 1; }), 0);
  config_.user = "nobody";
  config_.listen_https = {*Endpoint::parse("127.0.0.1:1")};
  config_.https_cert = top_ / "cert";
  std::ofstream(config_.https_cert) << "x";
  fs::permissions(config_.https_cert, static_cast<fs::perms>(0600));
  EXPECT_EQ(after([] { return 0; }), 200);
  EXPECT_NE(error().find("https-cert"), std::string::npos) << error();
}

}  // namespace
}  // namespace ferry
