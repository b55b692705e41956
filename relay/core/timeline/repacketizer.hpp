// Another packet time for one receiver, on the output timeline (design seam 8).
#pragma once

#include "relay/core/rtp/rtp.hpp"
#include "relay/core/timeline/frame_size.hpp"
#include "relay/core/timeline/output_timeline.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace ferry {

/// Joins and cuts payloads of known frames (`frame_size`); others pass whole. SSRC and timestamps stay those
/// of the sender, sequence numbers rise by one a packet. Owned by one worker; no allocation.
class Repacketizer {
 public:
  struct Out {
    TimelinePosition position;
    PayloadType type;
    Bytes payload;  // borrowed for the call
  };

  /// Takes one packet and calls `emit` for each that is complete by it. `ptime_ms` 0: packets keep their
  /// size and are renumbered only. False if the packet came too late for its place.
  template <class Emit>
  bool take(const RtpView& rtp, unsigned ptime_ms, Emit emit) {
    if (!timeline_ || ssrc_ != rtp.ssrc) {
      flush(emit);
      // A stream begins as its sender began it.
      timeline_.emplace(rtp.ssrc, rtp.sequence, rtp.timestamp);
      ssrc_ = rtp.ssrc;
      last_timestamp_ = rtp.timestamp;
    } else if (!is_newer(rtp.sequence, last_sequence_)) {
      return false;
    }
    last_sequence_ = rtp.sequence;
    const auto frame = frame_size(rtp.payload_type);
    if (ptime_ms == 0 || !frame || rtp.payload.empty() || rtp.payload.size() % frame->octets != 0) {
      flush(emit);
      send(rtp.timestamp, rtp.marker, rtp.payload_type, rtp.payload, emit);
      return true;
    }
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

 private:
  /// Octets of payload: with its headers such a packet still fits an Ethernet frame.
  static constexpr std::size_t kLongest = 1400;

  static std::uint32_t units(const FrameSize& frame, std::size_t octets) {
    return static_cast<std::uint32_t>(octets / frame.octets) * frame.ms * kFrameClockPerMs;
  }
  template <class Emit>
  void flush(Emit& emit) {
    if (size_ == 0) return;
    send(timestamp_, marker_, type_, Bytes(waiting_).first(size_), emit);
    size_ = 0;
  }
  template <class Emit>
  void send(std::uint32_t timestamp, bool marker, PayloadType type, Bytes payload, Emit& emit) {
    emit(Out{timeline_->generate(timestamp - last_timestamp_, marker), type, payload});
    last_timestamp_ = timestamp;
  }

  std::optional<OutputTimeline> timeline_;
  Ssrc ssrc_;
  SeqNo last_sequence_;
  std::uint32_t last_timestamp_ = 0;  // of the last packet sent
  unsigned ptime_ms_ = 0;
  // What waits for more.
  PayloadType type_;
  std::uint32_t timestamp_ = 0;
  bool marker_ = false;
  std::size_t size_ = 0;
  std::array<std::byte, kLongest> waiting_{};
};

}  // namespace ferry
