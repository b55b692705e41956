// SPDX-License-Identifier: Apache-2.0
// Prompts that grow while they are read.
#include "relay/core/output/prompt.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace ferry::prompt_test {
namespace {

using Found = PromptReader::Found;

/// Packets of so many octets; each octet is the number of its packet.
PromptPart part(std::initializer_list<std::uint16_t> sizes, unsigned first) {
  PromptPart made;
  for (const std::uint16_t size : sizes) {
    made.sizes.push_back(size);
    made.payloads.insert(made.payloads.end(), size, static_cast<std::byte>(first++));
  }
  return made;
}

/// Numbers of the packets from the reader's place on, as their octets say; 255 = nothing is sent.
std::vector<unsigned> read(PromptReader& reader) {
  std::vector<unsigned> numbers;
  for (; reader.look() == Found::kPacket; reader.advance())
    numbers.push_back(reader.payload().empty() ? 255 : std::to_integer<unsigned>(reader.payload().front()));
  return numbers;
}

TEST(Prompt, IsReadWhileItGrows) {
  Prompt prompt({});
  PromptReader reader(prompt);
  EXPECT_EQ(reader.look(), Found::kWaiting);
  prompt.append(part({3, 1}, 0));
  EXPECT_EQ(read(reader), (std::vector<unsigned>{0, 1}));
  EXPECT_EQ(reader.look(), Found::kWaiting);
  EXPECT_FALSE(prompt.is_complete());
  prompt.append(part({2}, 2));
  prompt.finish();
  EXPECT_EQ(read(reader), (std::vector<unsigned>{2}));
  EXPECT_EQ(reader.look(), Found::kEnd);
  EXPECT_EQ(reader.number(), 3u);
  reader.rewind();
  EXPECT_EQ(read(reader), (std::vector<unsigned>{0, 1, 2}));
}

TEST(Prompt, PacketsOfAnySizeAndOfNone) {
  Prompt prompt({});
  prompt.append(part({40, 0, 1, 0}, 0));
  prompt.append({});
  prompt.finish();
  PromptReader reader(prompt);
  EXPECT_EQ(read(reader), (std::vector<unsigned>{0, 255, 2, 255}));
  EXPECT_EQ(reader.look(), Found::kEnd);
}

TEST(Prompt, TheBeginCanBeLeftOut) {
  const struct {
    std::uint64_t skipped;
    std::vector<unsigned> heard;
  } rows[] = {{0, {0, 1, 2, 3, 4}}, {1, {1, 2, 3, 4}}, {2, {2, 3, 4}}, {3, {3, 4}}, {5, {}}, {1000, {}}};
  for (const auto& row : rows) {
    Prompt prompt({});
    prompt.append(part({2, 2}, 0));
    PromptReader reader(prompt, row.skipped);
    // What is left out may not be there yet.
    if (row.skipped >= 2) {
      EXPECT_EQ(reader.look(), Found::kWaiting) << row.skipped;
    }
    prompt.append(part({1, 0, 1}, 2));
    prompt.finish();
    std::vector<unsigned> heard = read(reader);
    for (unsigned& each : heard) each = each == 255 ? 3 : each;
    EXPECT_EQ(heard, row.heard) << row.skipped;
    EXPECT_EQ(reader.look(), Found::kEnd);
  }
}

TEST(Prompt, AWholeOneLeavesOutWhatFillsNoPacket) {
  const auto prompt = whole_prompt({}, std::vector<std::byte>(25), 10);
  EXPECT_TRUE(prompt->is_complete());
  PromptReader reader(*prompt);
  EXPECT_EQ(read(reader).size(), 2u);
  const auto empty = whole_prompt({}, std::vector<std::byte>(9), 10);
  EXPECT_EQ(PromptReader(*empty).look(), Found::kEnd);
}

TEST(Prompt, AnotherThreadWrites) {
  constexpr unsigned kParts = 2000;
  Prompt prompt({});
  std::jthread writer([&] {
    for (unsigned i = 0; i < kParts; ++i) prompt.append(part({1, 1}, i & 63));
    prompt.finish();
  });
  PromptReader reader(prompt);
  std::uint64_t wrong = 0;
  while (true) {
    const Found found = reader.look();
    if (found == Found::kEnd) break;
    if (found == Found::kWaiting) continue;
    const unsigned wanted = static_cast<unsigned>((reader.number() / 2 & 63) + reader.number() % 2);
    if (std::to_integer<unsigned>(reader.payload().front()) != wanted) ++wrong;
    reader.advance();
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(reader.number(), 2 * kParts);
}

}  // namespace
}  // namespace ferry::prompt_test
