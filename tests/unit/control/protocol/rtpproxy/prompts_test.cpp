// SPDX-License-Identifier: Apache-2.0
// Prompts as files of raw frames (docs/reference/rtpproxy.md#prompts), and what is not read (CTL-10).
#include "control/protocol/rtpproxy/prompts.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// The octets of each packet of a prompt.
std::vector<std::size_t> sizes_of(const Prompt& prompt) {
  std::vector<std::size_t> sizes;
  for (PromptReader reader(prompt); reader.look() == PromptReader::Found::kPacket; reader.advance())
    sizes.push_back(reader.payload().size());
  return sizes;
}
/// Its first octet.
std::byte begin_of(const Prompt& prompt) {
  PromptReader reader(prompt);
  return reader.look() == PromptReader::Found::kPacket ? reader.payload().front() : std::byte{};
}

class Prompts : public testing::Test {
 protected:
  Prompts() {
    fs::create_directories(inside_ / "sub");
    fs::create_directories(outside_);
  }
  ~Prompts() override { fs::remove_all(root_); }
  static void write(const fs::path& path, std::size_t octets, char octet = 'x') {
    std::ofstream(path, std::ios::binary) << std::string(octets, octet);
  }
  std::shared_ptr<const Prompt> find(std::string_view name, unsigned type = 0, unsigned ms = 10) {
    return store_.find(name, PayloadType{static_cast<std::uint8_t>(type)}, ms);
  }

  fs::path root_ = fs::path(testing::TempDir()) / ("prompts." + std::to_string(getpid()));
  fs::path inside_ = root_ / "prompts";
  fs::path outside_ = root_ / "prompts-else";
  rtpproxy::PromptStore store_{{inside_.string()}};
};

TEST_F(Prompts, WholePacketsOfEachTypeArePlayed) {
  const struct {
    unsigned type;
    unsigned wanted_ms;
    std::size_t file_octets;
    std::size_t packet_octets;
    std::size_t packets;
    Duration packet_time;
    std::uint32_t units;
  } rows[] = {
      {0, 10, 8 * 25, 80, 2, 10ms, 80},        // PCMU: 8 octets a millisecond
      {8, 20, 8 * 45, 160, 2, 20ms, 160},      // PCMA
      {9, 10, 8 * 10, 80, 1, 10ms, 80},        // G.722 counts 8,000 units a second (RFC 3551 §4.5.2)
      {3, 10, 33 * 2 + 32, 33, 2, 20ms, 160},  // GSM: a whole frame is longer than 10 ms
      {4, 10, 24 * 3, 24, 3, 30ms, 240},       // G.723
      {18, 20, 10 * 5, 20, 2, 20ms, 160},      // G.729
  };
  for (const auto& row : rows) {
    write(inside_ / ("ring." + std::to_string(row.type)), row.file_octets);
    const auto prompt = find("ring", row.type, row.wanted_ms);
    ASSERT_NE(prompt, nullptr) << row.type;
    EXPECT_EQ(sizes_of(*prompt), std::vector<std::size_t>(row.packets, row.packet_octets))
        << row.type << ": what does not fill a packet is not played";
    EXPECT_EQ(prompt->timing().packet_time, row.packet_time) << row.type;
    EXPECT_EQ(prompt->timing().units, row.units) << row.type;
  }
}

TEST_F(Prompts, TypesOfUnknownFramesAreNotThere) {
  write(inside_ / "ring.111", 800);
  EXPECT_EQ(find("ring", 111), nullptr);
  write(inside_ / "ring.0", 79);
  EXPECT_EQ(find("ring"), nullptr) << "not one packet";
  EXPECT_EQ(find("nothing"), nullptr);
  EXPECT_EQ(find(""), nullptr);
}

TEST_F(Prompts, CTL10_OnlyWhatIsBelowTheDirectory) {
  write(inside_ / "sub" / "ring.0", 80);
  write(outside_ / "ring.0", 80);
  EXPECT_NE(find("sub/ring"), nullptr);
  EXPECT_NE(find((inside_ / "sub" / "ring").string()), nullptr) << "an absolute name in the directory";
  EXPECT_EQ(find((outside_ / "ring").string()), nullptr) << "its name begins like that of the directory";
  EXPECT_EQ(find("../prompts-else/ring"), nullptr);
  EXPECT_EQ(find((inside_ / ".." / "prompts-else" / "ring").string()), nullptr);
}

TEST_F(Prompts, CTL10_NoLinkIsFollowedAndOnlyFilesAreRead) {
  write(outside_ / "ring.0", 80);
  fs::create_symlink(outside_ / "ring.0", inside_ / "link.0");
  fs::create_directory_symlink(outside_, inside_ / "away");
  fs::create_directory(inside_ / "folder.0");
  ASSERT_EQ(mkfifo((inside_ / "pipe.0").c_str(), 0600), 0);
  for (const char* name : {"link", "away/ring", "folder", "pipe"}) EXPECT_EQ(find(name), nullptr) << name;
}

TEST_F(Prompts, AFileIsReadOnceAndAgainWhenItChanged) {
  write(inside_ / "ring.0", 80, 'a');
  const auto first = find("ring");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(find("ring"), first) << "unchanged";
  EXPECT_NE(find("ring", 0, 5), first) << "other packets";
  write(inside_ / "ring.0", 160, 'b');
  const auto second = find("ring");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(sizes_of(*second), (std::vector<std::size_t>{80, 80}));
  EXPECT_EQ(begin_of(*second), std::byte{'b'});
  EXPECT_EQ(begin_of(*first), std::byte{'a'}) << "who hears it hears it to its end";
  fs::remove(inside_ / "ring.0");
  EXPECT_EQ(find("ring"), nullptr);
}

TEST_F(Prompts, DirectoriesAreTriedInOrder) {
  write(inside_ / "one.0", 80, 'i');
  write(outside_ / "one.0", 80, 'o');
  write(outside_ / "two.0", 80, 'o');
  rtpproxy::PromptStore both({inside_.string(), outside_.string()});
  EXPECT_EQ(begin_of(*both.find("one", PayloadType{0}, 10)), std::byte{'i'});
  EXPECT_EQ(begin_of(*both.find("two", PayloadType{0}, 10)), std::byte{'o'});
}

}  // namespace
}  // namespace ferry::test
