// SPDX-License-Identifier: Apache-2.0
#include "recorder/settings_check.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace ferry::test {
namespace {

class SettingsCheck : public ::testing::Test {
 protected:
  SettingsCheck() {
    std::filesystem::create_directories(root_);
    settings_.directory = root_ + "/records";
  }
  ~SettingsCheck() override { std::filesystem::remove_all(root_); }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(root_ + "/" + name) << text;
    return root_ + "/" + name;
  }
  std::string only_fault() {
    const auto faults = faults_of(settings_, false);
    EXPECT_EQ(faults.size(), 1u);
    return faults.empty() ? std::string() : faults.front();
  }

  std::string root_ = testing::TempDir() + "settings-check-" + std::to_string(getpid());
  RecorderSettings settings_;
};

TEST_F(SettingsCheck, WhatCanWorkHasNoFaultAndNothingIsMade) {
  EXPECT_TRUE(faults_of(settings_, false).empty());
  EXPECT_FALSE(std::filesystem::exists(settings_.directory));
  settings_.pattern = "%Y/%m/%d/%c-%f-%r-%H%M%S-100%%";
  EXPECT_TRUE(faults_of(settings_, false).empty());
  settings_.directory.clear();
  settings_.encryption_key = "/nowhere";
  EXPECT_TRUE(faults_of(settings_, false).empty()) << "nothing is recorded";
}

// Every recording was lost behind a manifest that said "complete".
TEST_F(SettingsCheck, KeysMustBeReadable) {
  settings_.encryption_key = root_ + "/absent.pem";
  EXPECT_TRUE(only_fault().starts_with("recording-encryption-key: cannot read the key"));
  settings_.encryption_key = file("empty.pem", "");
  EXPECT_NE(only_fault().find("holds no public RSA key"), std::string::npos);
  settings_.encryption_key.clear();
  settings_.signing_key = file("text.pem", "no key");
  EXPECT_TRUE(only_fault().starts_with("recording-signing-key: "));
}

TEST_F(SettingsCheck, PatternsStayInTheirFolderAndHaveKnownLetters) {
  for (const char* pattern : {"../%c", "/%c", "%c/../../x", "%c-%q", "%c-%", "", "a//b"}) {
    settings_.pattern = pattern;
    EXPECT_TRUE(only_fault().starts_with("recording-pattern: ")) << pattern;
  }
}

TEST_F(SettingsCheck, FoldersCanBeMadeOrAreNamed) {
  settings_.directory = file("file", "") + "/records";
  EXPECT_NE(only_fault().find("is no folder"), std::string::npos);
  settings_.directory = root_ + "/records";
  settings_.spool = "/dev/null/spool";
  EXPECT_TRUE(only_fault().starts_with("recording-spool: cannot make '/dev/null/spool'"));
}

TEST_F(SettingsCheck, HooksArePrograms) {
  settings_.hook = root_ + "/absent";
  EXPECT_TRUE(only_fault().starts_with("recording-hook: "));
  settings_.hook = file("hook", "#!/bin/sh\n");
  EXPECT_NE(only_fault().find("is no program"), std::string::npos);
  std::filesystem::permissions(settings_.hook, std::filesystem::perms::owner_all);
  EXPECT_TRUE(faults_of(settings_, false).empty());
}

}  // namespace
}  // namespace ferry::test
