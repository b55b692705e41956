// Which packets of a stream were there already (RFC 3711 §3.3.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ferry {

/// A sliding window over indices. Pure.
class ReplayWindow {
 public:
  static constexpr std::size_t kMaxBits = 1024;
  /// `bits`: a multiple of 64, at most `kMaxBits`.
  explicit ReplayWindow(std::size_t bits = 128) noexcept : bits_(bits) {}

  enum class Answer : std::uint8_t { kNew, kSeen, kTooOld };
  [[nodiscard]] Answer check(std::uint64_t index) const noexcept {
    if (!started_ || index > highest_) return Answer::kNew;
    if (highest_ - index >= bits_) return Answer::kTooOld;
    return has_gap_ || (words_[word(index)] >> (index % 64) & 1) != 0 ? Answer::kSeen : Answer::kNew;
  }
  void accept(std::uint64_t index) noexcept {
    if (std::exchange(has_gap_, false)) {
      forbid_until(index);
      return;
    }
    if (!started_ || index > highest_) {
      if (!started_ || index - highest_ >= bits_) {
        words_ = {};
      } else {
        for (std::uint64_t i = highest_ + 1; i <= index; ++i)
          words_[word(i)] &= ~(std::uint64_t{1} << (i % 64));
      }
      highest_ = index;
      started_ = true;
    }
    words_[word(index)] |= std::uint64_t{1} << (index % 64);
  }
  /// Everything up to `index` counts as seen.
  void forbid_until(std::uint64_t index) noexcept {
    if (started_ && index < highest_) return;
    highest_ = index;
    started_ = true;
    words_.fill(~std::uint64_t{0});
  }
  /// Indices may have been accepted that this list does not know of. Nothing counts as new any more but what
  /// is above its highest, and above the first that it accepts from now on.
  void expect_gap() noexcept { has_gap_ = true; }

  using Words = std::array<std::uint64_t, kMaxBits / 64>;
  /// As `words` and `highest` gave it, into a window of the same size.
  void restore(std::uint64_t highest, const Words& words) noexcept {
    highest_ = highest;
    words_ = words;
    started_ = true;
  }
  [[nodiscard]] const Words& words() const noexcept { return words_; }
  [[nodiscard]] std::size_t size() const noexcept { return bits_; }

  [[nodiscard]] bool started() const noexcept { return started_; }
  [[nodiscard]] std::uint64_t highest() const noexcept { return highest_; }
  bool operator==(const ReplayWindow&) const = default;

 private:
  [[nodiscard]] std::size_t word(std::uint64_t index) const noexcept {
    return static_cast<std::size_t>(index % bits_ / 64);
  }

  std::size_t bits_;
  bool started_ = false;
  bool has_gap_ = false;
  std::uint64_t highest_ = 0;
  Words words_{};
};

}  // namespace ferry
