// SPDX-License-Identifier: Apache-2.0
// A source whose packets go on in a stream that has something of the relay's own in it.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/rtp/stream_shift.hpp"

#include <cstdint>

namespace ferry {

/// How one packet goes on in the relay's stream.
struct Passage {
  /// Why the receiver does not hear it; kNone: it leaves as it came, by the numbers of `shift`.
  DropReason refusal = DropReason::kNone;
  StreamShift shift;
  /// It begins anew behind something else: it gets the marker.
  bool marker = false;
};

/// The packets of one source that continue the relay's stream by other numbers, and nothing else. Whoever
/// passes them on needs no timeline: what was lost stays lost, what comes late leaves late. Pure; owned by an
/// output.
class PassedStream {
 public:
  /// A plain packet so far behind the newest one needs confirmation (SSR-4): it begins the stream anew.
  static constexpr int kMostBehind = 100;

  /// `first` is the number, as it came, of the first packet that passes. `most_behind`: how far behind the
  /// newest one a packet may come and still pass, in packets.
  PassedStream(Ssrc input, SeqNo first, const StreamShift& shift, int most_behind = kMostBehind)
      : input_(input), first_(first), shift_(shift), most_behind_(most_behind) {}

  [[nodiscard]] Ssrc input() const noexcept { return input_; }
  [[nodiscard]] const StreamShift& shift() const noexcept { return shift_; }

  /// Takes a packet of the stream. False if it is from before the first one: its place is taken.
  [[nodiscard]] bool take(SeqNo sequence) noexcept {
    if (!is_beyond_first_) {
      const int ahead = distance(sequence, first_);
      if (ahead < 0) return false;
      is_beyond_first_ = ahead >= most_behind_;
    }
    if (unsettled_ > 0) --unsettled_;
    return true;
  }
  /// Another source has tried to be heard: the packets have to be looked at for a while.
  void unsettle() noexcept { unsettled_ = most_behind_; }
  /// True if any further packet of the stream leaves by these numbers, whatever its place, so that nobody has
  /// to look at it.
  [[nodiscard]] bool is_settled() const noexcept { return is_beyond_first_ && unsettled_ == 0; }

 private:
  Ssrc input_;
  SeqNo first_;
  StreamShift shift_;
  int most_behind_;
  /// True once every packet that may still come late is one behind the first.
  bool is_beyond_first_ = false;
  int unsettled_ = 0;
};

}  // namespace ferry
