// SPDX-License-Identifier: Apache-2.0
// Changes the packet time of a stream (NG `ptime`, rtpproxy `z`).
#pragma once

#include "relay/core/output/frame_size.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace ferry {

/// Joins and cuts payloads of codecs with known frames (`frame_size`); other packets pass whole. It gives
/// packets no numbers: the timeline of the receiver does. Owned by one worker; no allocation.
class Repacketizer {
 public:
  /// A packet that is complete. SSRC and time stamp are those of its sender.
  struct Made {
    Ssrc ssrc;
    std::uint32_t timestamp = 0;
    bool marker = false;
    PayloadType type;
    /// Borrowed for the call.
    Bytes payload;
  };

  /// Takes one packet and calls `emit` for each packet that it completes. `ptime_ms` is the wanted packet
  /// time; 0: packets keep their size. False if the packet came after its place was over.
  template <class Emit>
  bool take(const RtpView& rtp, unsigned ptime_ms, Emit emit) {
    // Another stream begins: what is left of the one before goes out first.
    if (!ssrc_ || *ssrc_ != rtp.ssrc) {
      flush(emit);
      ssrc_ = rtp.ssrc;
    } else if (!is_newer(rtp.sequence, last_sequence_)) {
      return false;
    }
    last_sequence_ = rtp.sequence;
    const auto frame = frame_size(rtp.payload_type);
    // A packet that cannot be cut goes out whole, behind what waited.
    if (ptime_ms == 0 || !frame || rtp.payload.empty() || rtp.payload.size() % frame->octets != 0) {
      flush(emit);
      emit(Made{rtp.ssrc, rtp.timestamp, rtp.marker, rtp.payload_type, rtp.payload});
      return true;
    }
    // This packet cannot continue what waits, so that goes out as it is.
    if (ptime_ms != ptime_ms_ || rtp.marker || rtp.payload_type != type_ ||
        rtp.timestamp != timestamp_ + units(*frame, size_))
      flush(emit);
    ptime_ms_ = ptime_ms;
    type_ = rtp.payload_type;
    const std::size_t wanted =
        std::min<std::size_t>(frame->frames_for(ptime_ms), kLongest / frame->octets) * frame->octets;
    Bytes rest = rtp.payload;
    std::uint32_t at = rtp.timestamp;
    bool marker = rtp.marker;
    while (!rest.empty()) {
      if (size_ == 0) {
        timestamp_ = at;
        marker_ = marker;
      }
      const Bytes part = rest.first(std::min(rest.size(), wanted - size_));
      std::ranges::copy(part, waiting_.begin() + static_cast<std::ptrdiff_t>(size_));
      size_ += part.size();
      at += units(*frame, part.size());
      rest = rest.subspan(part.size());
      marker = false;
      if (size_ == wanted) flush(emit);
    }
    return true;
  }

  /// Drops what waits for more: it would come too late, or into a stream that another source goes on with.
  void discard() noexcept { size_ = 0; }
  /// The next packet begins a stream, whatever its number. What waits is dropped.
  void restart() noexcept {
    discard();
    ssrc_.reset();
  }
  /// SSRC of the stream that was taken last; nothing if there was none.
  [[nodiscard]] std::optional<Ssrc> ssrc() const noexcept { return ssrc_; }

  /// Calls `emit` with what waits for more, if there is anything.
  template <class Emit>
  void flush(Emit& emit) {
    if (size_ == 0) return;
    emit(Made{*ssrc_, timestamp_, marker_, type_, Bytes(waiting_).first(size_)});
    size_ = 0;
  }

 private:
  /// Largest payload that is made: with its headers it still fits an Ethernet frame.
  static constexpr std::size_t kLongest = 1400;

  /// Time stamp units of `octets` of payload.
  static std::uint32_t units(const FrameSize& frame, std::size_t octets) {
    return static_cast<std::uint32_t>(octets / frame.octets) * frame.ms * kFrameClockPerMs;
  }

  /// SSRC of the stream that was taken last; nothing if there was none.
  std::optional<Ssrc> ssrc_;
  SeqNo last_sequence_;
  unsigned ptime_ms_ = 0;
  // The payload that waits for more, and its header fields.
  PayloadType type_;
  std::uint32_t timestamp_ = 0;
  bool marker_ = false;
  std::size_t size_ = 0;
  std::array<std::byte, kLongest> waiting_{};
};

}  // namespace ferry
