// SPDX-License-Identifier: Apache-2.0
// Files and queue of the recorder.

#include "recorder/files/folder.hpp"
#include "recorder/files/names.hpp"
#include "recorder/files/output.hpp"
#include "recorder/packet_queue.hpp"
#include "tests/support/recordings.hpp"

#include <random>
#include <span>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::make_keys;
using test::TemporaryFolder;
namespace fs = std::filesystem;

// --- names

TEST(RecordingNames, CTL10_CallDataBecomesPlainCharacters) {
  EXPECT_EQ(safe_name("a/../b c%\n"), "a%2F..%2Fb%20c%25%0A");
  EXPECT_EQ(safe_name(".hidden"), "%2Ehidden");
  EXPECT_EQ(safe_name("..").substr(0, 3), "%2E");
  EXPECT_EQ(safe_name(""), "_");
  const std::string longest = safe_name(std::string(500, '/'));
  EXPECT_LE(longest.size(), 200u);
  EXPECT_EQ(longest.size() % 3, 0u) << "no half of an encoded character";
}

TEST(RecordingNames, PatternMakesFoldersButCallDataNever) {
  const NameParts parts{"x/y", "tag", "0123456789abcdef", WallTime{std::chrono::seconds(1'700'000'000)}};
  EXPECT_EQ(fill_pattern("%Y/%m/%d/%c-%r", parts), "2023/11/14/x%2Fy-0123456789abcdef");
  EXPECT_EQ(fill_pattern("%H%M%S%%%f%q", parts), "221320%tag%q");
}

TEST(RecordingNames, OnlyPathsBelow) {
  EXPECT_TRUE(is_path_below("a/b.wav"));
  for (const char* bad : {"", "/a", "a//b", "../a", "a/../b", "a/.", "a/"})
    EXPECT_FALSE(is_path_below(bad)) << bad;
}

TEST(RecordingNames, CTL10_APathThatFilesCannotHaveIsAFault) {
  const std::string long_part(200, 'x');
  for (const std::string& good :
       {std::string("a"), std::string("gr\xc3\xbcn/a\\b"), std::string("2026/case 7"), std::string("a..b/c."),
        long_part, long_part + "/" + long_part})
    EXPECT_EQ(fault_of_recording_path(good), "") << good;
  const std::pair<std::string, const char*> rows[] = {
      {"", "not below"},
      {"/etc/x", "not below"},
      {"a/../b", "not below"},
      {"a//b", "not below"},
      {".spool/x", "hidden"},
      {".spool", "hidden"},
      {"a\x1b[2J", "terminal"},
      {"a\nb/c", "terminal"},
      {"a/\xc2\x9b", "terminal"},
      {"\xff", "terminal"},
      {"a\xe2\x80\xae", "terminal"},
      {"a/.ssh/b", "hidden"},
      {"a/.b", "hidden"},
      {long_part + "x", "longer than 200"},
      {long_part + "x/b", "200"},
      {"b/" + long_part + "x", "200"},
  };
  for (const auto& [path, fault] : rows)
    EXPECT_THAT(fault_of_recording_path(path), testing::HasSubstr(fault)) << path;
  std::string deep = "a";
  for (int i = 0; i < 1000; ++i) deep += "/a";
  EXPECT_THAT(fault_of_recording_path(deep), testing::HasSubstr("longer than 2000"));
}

// --- folders

class FolderTest : public testing::Test {
 protected:
  TemporaryFolder home_;
  std::shared_ptr<const Folder> folder_ = *Folder::open(home_.path("rec"), {});
};

TEST_F(FolderTest, CTL10_LinksAreNotFollowed) {
  fs::create_directory(home_.path("outside"));
  fs::create_directory_symlink(home_.path("outside"), folder_->path_of("link"));
  fs::create_symlink(home_.path("outside/target"), folder_->path_of("file"));
  EXPECT_FALSE(folder_->create("link/x"));
  EXPECT_FALSE(folder_->create("file"));
  EXPECT_FALSE(folder_->create("../x"));
  EXPECT_FALSE(folder_->create("/tmp/x"));
  EXPECT_TRUE(fs::is_empty(home_.path("outside")));
}

TEST_F(FolderTest, CTL10_NothingIsOverwritten) {
  ASSERT_TRUE(folder_->create("a"));
  const auto again = folder_->create("a");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), EEXIST);
  ASSERT_TRUE(folder_->create("b"));
  EXPECT_EQ(folder_->move_to("b", *folder_, "a"), EEXIST);
  EXPECT_TRUE(folder_->exists("b"));
}

TEST_F(FolderTest, REC4_ModesAreThoseThatWereChosen) {
  const mode_t before = umask(0);
  ASSERT_TRUE(folder_->create("sub/a"));
  umask(0777);
  ASSERT_TRUE(folder_->create("b"));
  umask(before);
  EXPECT_EQ(fs::status(folder_->path_of("sub/a")).permissions(), fs::perms(0640));
  EXPECT_EQ(fs::status(folder_->path_of("b")).permissions(), fs::perms(0640));
  EXPECT_EQ(fs::status(folder_->path_of("sub")).permissions(), fs::perms(0750));
}

TEST_F(FolderTest, MovesToAnotherFileSystem) {
  if (!fs::exists("/dev/shm")) GTEST_SKIP() << "there is no second file system";
  const std::string path = "/dev/shm/ferry-test-" + std::to_string(getpid());
  const auto other = Folder::open(path, {});
  ASSERT_TRUE(other);
  {
    const auto file = folder_->create("a");
    ASSERT_TRUE(file);
    ASSERT_EQ(write(file->get(), "hello", 5), 5);
  }
  EXPECT_EQ(folder_->move_to("a", **other, "sub/b"), 0);
  EXPECT_FALSE(folder_->exists("a"));
  EXPECT_EQ(fs::file_size(path + "/sub/b"), 5u);
  EXPECT_FALSE((*other)->exists("sub/b.part"));
  fs::remove_all(path);
}

// --- encryption

class SealTest : public FolderTest {
 protected:
  void SetUp() override {
    if (!make_keys(home_.path())) GTEST_SKIP() << "openssl is not there";
  }
  static std::vector<std::byte> noise(std::size_t size) {
    std::mt19937 random(7);
    std::vector<std::byte> octets(size);
    for (std::byte& octet : octets) octet = static_cast<std::byte>(random());
    return octets;
  }
  std::vector<std::byte> unsealed() {
    fs::remove(home_.path("plain"));
    const auto done = unseal(folder_->path_of("a"), home_.path("plain"), home_.path("key.pem"));
    if (!done) return {};
    std::ifstream file(home_.path("plain"), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
  }
};

TEST_F(SealTest, REC4_OnlyThePrivateKeyReadsWhatWasWritten) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{65535}, std::size_t{65536},
                                 std::size_t{65537}, std::size_t{131072}, std::size_t{400'001}}) {
    folder_->remove("a");
    auto content = noise(size);
    {
      auto output = make_sealed_output(*folder_->create("a"), home_.path("pub.pem"));
      ASSERT_TRUE(output) << output.error();
      for (std::size_t at = 0; at < size; at += 5000) {
        ASSERT_EQ((*output)->write_at(at, Bytes(content).subspan(at, std::min<std::size_t>(5000, size - at))),
                  0);
        if (at % 20000 == 0) {
          ASSERT_EQ((*output)->flush(), 0);
        }
      }
      if (size > 100) {  // a header that is written again
        for (std::size_t i = 0; i < 44; ++i) content[i] = std::byte{0xaa};
        ASSERT_EQ((*output)->write_at(0, Bytes(content).first(44)), 0);
      }
      ASSERT_EQ((*output)->size(), size);
    }
    EXPECT_EQ(unsealed(), content) << size;
    std::ifstream file(folder_->path_of("a"), std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    if (size > 100) {
      EXPECT_EQ(text.find(std::string(44, '\xaa')), std::string::npos) << "in clear";
    }
  }
}

TEST_F(SealTest, REC4_ChangesAndCutsShow) {
  const auto content = noise(200'000);
  {
    auto output = make_sealed_output(*folder_->create("a"), home_.path("pub.pem"));
    ASSERT_TRUE(output);
    ASSERT_EQ((*output)->write_at(0, content), 0);
  }
  ASSERT_EQ(unsealed(), content);
  const auto size = fs::file_size(folder_->path_of("a"));
  fs::resize_file(folder_->path_of("a"), size - 65564 / 2);
  EXPECT_TRUE(unsealed().empty()) << "a cut in a chunk";
  fs::resize_file(folder_->path_of("a"), size - (200'000 - 3 * 65536 + 28));
  EXPECT_TRUE(unsealed().empty()) << "a cut between two chunks";
  fs::resize_file(folder_->path_of("a"), size);
  std::fstream file(folder_->path_of("a"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(70'000);
  file.put('x');
  file.close();
  EXPECT_TRUE(unsealed().empty()) << "an octet";
  EXPECT_FALSE(make_sealed_output(*folder_->create("b"), home_.path("key.pem"))) << "no public key";
}

// --- queue

TEST(PacketQueue, OrderAndContentOverManyRounds) {
  PacketQueue queue(1 << 16);
  std::mt19937 random(3);
  std::uint64_t pushed = 0;
  std::uint64_t popped = 0;
  std::uint64_t refused = 0;
  std::vector<std::byte> datagram(1500);
  for (int round = 0; round < 20'000; ++round) {
    for (auto i = random() % 40; i > 0; --i) {
      const std::size_t size = random() % datagram.size();
      for (std::size_t k = 0; k < size; ++k) datagram[k] = static_cast<std::byte>(pushed + k);
      QueuedPacket packet;
      packet.recording = pushed;
      packet.size = static_cast<std::uint32_t>(size);
      queue.push(packet, Bytes(datagram).first(size)) ? ++pushed : ++refused;
    }
    QueuedPacket packet;
    Bytes got;
    for (auto i = random() % 40; i > 0 && queue.front(packet, got); --i) {
      ASSERT_EQ(packet.recording, popped);
      ASSERT_EQ(got.size(), packet.size);
      if (!got.empty()) {
        ASSERT_EQ(got.back(), static_cast<std::byte>(popped + got.size() - 1));
      }
      queue.pop();
      ++popped;
    }
  }
  EXPECT_GT(refused, 0u) << "it was full at times";
  EXPECT_LE(queue.peak(), queue.capacity());
}

TEST(PacketQueue, TwoThreads) {
  PacketQueue queue(1 << 16);
  constexpr std::uint64_t kPackets = 200'000;
  std::thread producer([&] {
    std::vector<std::byte> datagram(172);
    for (std::uint64_t i = 0; i < kPackets;) {
      QueuedPacket packet;
      packet.recording = i;
      std::memcpy(datagram.data(), &i, sizeof i);
      if (queue.push(packet, datagram)) ++i;
    }
  });
  QueuedPacket packet;
  Bytes got;
  for (std::uint64_t i = 0; i < kPackets;) {
    if (!queue.front(packet, got)) continue;
    std::uint64_t inside = 0;
    std::memcpy(&inside, got.data(), sizeof inside);
    if (packet.recording != i || inside != i) {
      ADD_FAILURE() << i;
      break;
    }
    queue.pop();
    ++i;
  }
  producer.join();
}

}  // namespace
}  // namespace ferry
