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

/// Maps packets of changing inputs (another SSRC, a prompt, silence) to one SSRC, whose sequence numbers rise
/// by one a packet and whose time stamps never go back. The start values come from outside; if the relay
/// originates the stream, they are random (SSR-5). Pure; owned by a worker.
class OutputTimeline {
 public:
  OutputTimeline(Ssrc ssrc, SeqNo first_sequence, std::uint32_t first_timestamp)
      : ssrc_(ssrc), next_sequence_(first_sequence), timestamp_(first_timestamp) {}

  /// Maps one packet of an input stream. Gaps in the input stay gaps in number and time. If `input_ssrc`
  /// differs from that of the packet before, the timeline continues `elapsed_units` later (clock units since
  /// the previous packet left) with the marker set. Nothing for a packet older than the input's last one,
  /// because the order on a timeline is final.
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

  /// The position of a packet that the relay makes itself, `units` after the previous one.
  TimelinePosition generate(std::uint32_t units, bool marker) {
    TimelinePosition out{ssrc_, next_sequence_, timestamp_ + (input_ || generated_ ? units : 0), marker};
    input_.reset();
    generated_ = true;
    commit(out);
    return out;
  }

 private:
  /// Moves the timeline behind a packet.
  void commit(const TimelinePosition& out) {
    next_sequence_ = SeqNo{static_cast<std::uint16_t>(out.sequence.value + 1)};
    timestamp_ = out.timestamp;
  }

  Ssrc ssrc_;
  SeqNo next_sequence_;
  /// Time stamp of the last packet sent; before that, of the first one.
  std::uint32_t timestamp_;
  /// Present input; nothing after a packet of our own.
  std::optional<Ssrc> input_;
  SeqNo last_input_sequence_;
  std::uint32_t last_input_timestamp_ = 0;
  /// The relay has made a packet of its own.
  bool generated_ = false;
};

}  // namespace ferry
