// SPDX-License-Identifier: Apache-2.0
// Remembers which packets of a stream were there already (RFC 3711 §3.3.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace ferry {

/// A window of bits that slides along the indices of one stream. Pure, of fixed size.
class ReplayWindow {
 public:
  static constexpr std::size_t kMaxBits = 1024;
  /// `bits` is the number of indices that are told apart: a multiple of 64, at most `kMaxBits`.
  explicit ReplayWindow(std::size_t bits = 128) noexcept : bits_(bits) {}

  /// kTooOld: so far below the highest index that nobody knows; treat it like kSeen.
  enum class Answer : std::uint8_t { kNew, kSeen, kTooOld };
  /// Looks an index up; changes nothing.
  [[nodiscard]] Answer check(std::uint64_t index) const noexcept {
    if (!started_ || index > highest_) return Answer::kNew;
    if (highest_ - index >= bits_) return Answer::kTooOld;
    return has_gap_ || (words_[word(index)] >> (index % 64) & 1) != 0 ? Answer::kSeen : Answer::kNew;
  }
  /// Marks an index as seen. Call it only for an authentic packet.
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
  /// Marks everything up to `index` as seen.
  void forbid_until(std::uint64_t index) noexcept {
    if (started_ && index < highest_) return;
    highest_ = index;
    started_ = true;
    words_.fill(~std::uint64_t{0});
  }
  /// Call it after restoring an earlier state: indices may have been accepted since, and this window does not
  /// know them. From then on only an index above the highest one counts as new; the first that is accepted
  /// becomes the new bottom.
  void expect_gap() noexcept { has_gap_ = true; }

  /// One bit for each index, at place index modulo window size.
  using Words = std::array<std::uint64_t, kMaxBits / 64>;
  /// Restores what `highest` and `words` returned, into a window of the same size.
  void restore(std::uint64_t highest, const Words& words) noexcept {
    highest_ = highest;
    words_ = words;
    started_ = true;
  }
  [[nodiscard]] const Words& words() const noexcept { return words_; }
  /// Number of indices that are told apart.
  [[nodiscard]] std::size_t size() const noexcept { return bits_; }

  /// Tells `bits` indices apart from now on. Nothing happens if the window is that large already. Indices
  /// that were too old stay refused.
  void widen(std::size_t bits) noexcept {
    if (bits <= bits_) return;
    ReplayWindow wide(bits);
    if (started_) wide.forbid_until(highest_);
    for (std::size_t back = 0; started_ && back < bits_ && back <= highest_; ++back) {
      const std::uint64_t index = highest_ - back;
      if ((words_[word(index)] >> (index % 64) & 1) == 0)
        wide.words_[wide.word(index)] &= ~(std::uint64_t{1} << (index % 64));
    }
    wide.has_gap_ = has_gap_;
    *this = wide;
  }

  /// True once an index was marked.
  [[nodiscard]] bool started() const noexcept { return started_; }
  /// The highest index marked so far; meaningless before the first.
  [[nodiscard]] std::uint64_t highest() const noexcept { return highest_; }
  bool operator==(const ReplayWindow&) const = default;

 private:
  /// Word of `words_` that holds an index.
  [[nodiscard]] std::size_t word(std::uint64_t index) const noexcept {
    return static_cast<std::size_t>(index % bits_ / 64);
  }

  std::size_t bits_;
  bool started_ = false;
  /// `expect_gap` was called, and no index was accepted since.
  bool has_gap_ = false;
  std::uint64_t highest_ = 0;
  Words words_{};
};

}  // namespace ferry
