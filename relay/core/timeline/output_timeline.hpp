// One continuous RTP timeline for a receiver, whatever sources feed it (design seam 8; media-security SSR-2,
// SSR-5).
#pragma once

#include "relay/base/types.hpp"

#include <optional>

namespace ferry {

/// Header fields of one packet of a timeline.
struct TimelinePosition {
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
  bool marker = false;
};

/// Maps packets of changing inputs (another SSRC, a prompt, silence) to one SSRC whose sequence rises by one
/// per packet and whose timestamp never goes back. Start values come from outside and are random (SSR-5).
class OutputTimeline {
 public:
  OutputTimeline(Ssrc ssrc, SeqNo first_sequence, std::uint32_t first_timestamp)
      : ssrc_(ssrc), next_sequence_(first_sequence), timestamp_(first_timestamp) {}

  /// One packet of an input stream. Gaps of the input stay gaps in sequence and time; a change of
  /// `input_ssrc` continues after `elapsed_units` (clock units since the previous packet left) with the
  /// marker set. Packets older than the input's last one give nothing: the order on a timeline is final.
  std::optional<TimelinePosition> map(Ssrc input_ssrc, SeqNo input_sequence, std::uint32_t input_timestamp,
                                      bool input_marker, std::uint32_t elapsed_units) {
    TimelinePosition out{ssrc_, next_sequence_, timestamp_, input_marker};
    if (!input_ || *input_ != input_ssrc) {
      if (input_ || generated_) {
        out.timestamp = timestamp_ + elapsed_units;
        out.marker = true;
      }
      input_ = input_ssrc;
    } else {
      const int ahead = distance(input_sequence, last_input_sequence_);
      if (ahead <= 0) return std::nullopt;
      out.sequence = SeqNo{static_cast<std::uint16_t>(next_sequence_.value + ahead - 1)};
      out.timestamp = timestamp_ + (input_timestamp - last_input_timestamp_);
    }
    last_input_sequence_ = input_sequence;
    last_input_timestamp_ = input_timestamp;
    commit(out);
    return out;
  }

  /// One packet made by the relay itself, `units` after the previous one.
  TimelinePosition generate(std::uint32_t units, bool marker) {
    TimelinePosition out{ssrc_, next_sequence_, timestamp_ + (input_ || generated_ ? units : 0), marker};
    input_.reset();
    generated_ = true;
    commit(out);
    return out;
  }

 private:
  void commit(const TimelinePosition& out) {
    next_sequence_ = SeqNo{static_cast<std::uint16_t>(out.sequence.value + 1)};
    timestamp_ = out.timestamp;
  }

  Ssrc ssrc_;
  SeqNo next_sequence_;
  std::uint32_t timestamp_;  // of the last packet sent; of the first one before that
  std::optional<Ssrc> input_;
  SeqNo last_input_sequence_;
  std::uint32_t last_input_timestamp_ = 0;
  bool generated_ = false;
};

}  // namespace ferry
