// SPDX-License-Identifier: Apache-2.0
// One continuous RTP timeline for a receiver, whatever sources feed it (SSR-2, SSR-5).
#pragma once

#include "relay/base/types.hpp"

#include <optional>

namespace ferry {

/// The header fields of one packet on a timeline.
struct TimelinePosition {
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
  bool marker = false;
};

/// Gives packets of changing inputs (a party, another party, a prompt, DTMF) places in one stream. The stream
/// has one SSRC, sequence numbers that rise by one a packet, and time stamps that never go back. The start
/// values come from outside; if the relay originates the stream, they are random (SSR-5). Pure; owned by a
/// worker.
class OutputTimeline {
 public:
  /// `first_sequence` and `first_timestamp` are those of the first packet.
  OutputTimeline(Ssrc ssrc, SeqNo first_sequence, std::uint32_t first_timestamp)
      : ssrc_(ssrc), next_sequence_(first_sequence), timestamp_(first_timestamp) {}

  /// The timeline of a stream that has left as it came until now; the arguments are those of its last packet.
  static OutputTimeline behind(Ssrc ssrc, SeqNo last_sequence, std::uint32_t last_timestamp) {
    OutputTimeline goes_on(ssrc, SeqNo{static_cast<std::uint16_t>(last_sequence.value + 1)}, last_timestamp);
    goes_on.has_begun_ = true;
    return goes_on;
  }

  [[nodiscard]] Ssrc ssrc() const noexcept { return ssrc_; }

  /// The place of a packet of the input stream `input_ssrc`. Gaps in time stay gaps. If another input, or a
  /// packet of the relay's own, was there before, the timeline continues `elapsed_units` after its last
  /// packet (in clock units), with the marker set.
  TimelinePosition follow(Ssrc input_ssrc, std::uint32_t input_timestamp, bool marker,
                          std::uint32_t elapsed_units) {
    TimelinePosition out{ssrc_, next_sequence_, timestamp_, marker};
    if (input_ == input_ssrc) {
      out.timestamp = timestamp_ + (input_timestamp - last_input_timestamp_);
    } else if (has_begun_) {
      out.timestamp = timestamp_ + elapsed_units;
      out.marker = true;
    }
    input_ = input_ssrc;
    last_input_timestamp_ = input_timestamp;
    commit(out);
    return out;
  }

  /// The next packet of any input counts as that of another one: its time stamps began anew.
  void change_input() noexcept { input_.reset(); }

  /// The place of a packet that the relay makes itself, `units` after the previous one; the first packet of a
  /// timeline has its first time stamp. `lost` sequence numbers before it stay free. The next packet of any
  /// input counts as that of another one.
  TimelinePosition generate(std::uint32_t units, bool marker, std::uint16_t lost = 0) {
    if (has_begun_) next_sequence_.value = static_cast<std::uint16_t>(next_sequence_.value + lost);
    const TimelinePosition out{ssrc_, next_sequence_, timestamp_ + (has_begun_ ? units : 0), marker};
    input_.reset();
    commit(out);
    return out;
  }

 private:
  /// Moves the timeline behind a packet.
  void commit(const TimelinePosition& out) {
    next_sequence_ = SeqNo{static_cast<std::uint16_t>(out.sequence.value + 1)};
    timestamp_ = out.timestamp;
    has_begun_ = true;
  }

  Ssrc ssrc_;
  SeqNo next_sequence_;
  /// Time stamp of the last packet; before that, of the first one.
  std::uint32_t timestamp_;
  /// SSRC of the input whose packet was the last one. Nothing if the relay made it, or if there was none.
  std::optional<Ssrc> input_;
  /// Time stamp that the input gave its last packet.
  std::uint32_t last_input_timestamp_ = 0;
  bool has_begun_ = false;
};

}  // namespace ferry
