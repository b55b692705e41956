// SPDX-License-Identifier: Apache-2.0
// A sound becomes packets, a step at a time, also when memory runs out.
// A packet of PCMA takes 160 octets, and two for its size.
#include "codecs/prompts/prompt_encoder.hpp"

#include <algorithm>
#include <new>

#include <gtest/gtest.h>

namespace ferry::prompt_encoder_test {
namespace {

/// A second of silence. Then it ends, or memory does.
class SilentSecond final : public SampleSource {
 public:
  explicit SilentSecond(bool fails) : fails_(fails) {}
  [[nodiscard]] std::uint32_t rate_hz() const noexcept override { return 8000; }
  std::size_t next(std::span<std::int16_t> out) override {
    const std::size_t count = std::min(left_, out.size());
    if (count == 0 && fails_) throw std::bad_alloc();
    std::ranges::fill(out.first(count), std::int16_t{0});
    left_ -= count;
    // A source that gives less than was wanted has ended.
    if (count < out.size() && fails_) throw std::bad_alloc();
    return count;
  }

 private:
  bool fails_;
  std::size_t left_ = 8000;
};

std::unique_ptr<PromptEncoder> encoder_of(bool fails) {
  return PromptEncoder::make(std::make_unique<SilentSecond>(fails), {"PCMA", 8000, 1, ""}, 20);
}

TEST(PromptEncoder, TheFirstStepIsShortAndTheLastCompletesThePrompt) {
  const auto encoder = encoder_of(false);
  EXPECT_TRUE(encoder->step());
  EXPECT_EQ(encoder->prompt()->octets(), 5u * 162);
  EXPECT_FALSE(encoder->prompt()->is_complete());
  EXPECT_FALSE(encoder->step());
  EXPECT_EQ(encoder->prompt()->octets(), 50u * 162);
  EXPECT_TRUE(encoder->prompt()->is_complete());
  EXPECT_FALSE(encoder->has_failed());
}

TEST(PromptEncoder, AStepWithoutMemoryEndsThePrompt) {
  const auto encoder = encoder_of(true);
  EXPECT_TRUE(encoder->step());
  EXPECT_FALSE(encoder->step());
  EXPECT_TRUE(encoder->has_failed());
  EXPECT_TRUE(encoder->prompt()->is_complete()) << "its listeners wait for nothing";
  EXPECT_EQ(encoder->prompt()->octets(), 5u * 162) << "what it had";
}

}  // namespace
}  // namespace ferry::prompt_encoder_test
