// SPDX-License-Identifier: Apache-2.0
// The interface through which control tells a recorder about calls. The recorder implements it, so that the
// code of calls knows nothing of files.
#pragma once

#include "relay/core/tap.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Meaning of one payload type of a recorded stream, from `a=rtpmap` and `a=fmtp`.
struct RecordedFormat {
  PayloadType type;
  /// Encoding name of `a=rtpmap`.
  std::string encoding;
  std::uint32_t clock_rate_hz = 0;
  unsigned channels = 1;
  /// Format parameters of `a=fmtp`; empty if there are none.
  std::string parameters;
  bool operator==(const RecordedFormat&) const = default;
};

/// One media as one of our transports receives it.
struct RecordedStream {
  /// The transport that receives it, and thus the one that the tap sees.
  TransportId transport;
  MediaId media;
  /// `RecordedParty::number` of the sender.
  unsigned party = 0;
  /// Position of the m-line in the SDP, from 1.
  unsigned index = 0;
  /// Media type of the m-line: audio, video, …
  std::string type;
  /// Our address and port for it.
  Endpoint local;
  /// The payload types that the party may send.
  std::vector<RecordedFormat> formats;
  bool operator==(const RecordedStream&) const = default;
};

/// One party of a recorded call.
struct RecordedParty {
  /// 1 is the caller.
  unsigned number = 0;
  /// SIP tag of the party.
  std::string tag;
  /// Name that control gave it; empty if none.
  std::string label;
  /// Text that control attached to it; empty if none.
  std::string metadata;
  /// Its media is not recorded.
  bool excluded = false;
  bool operator==(const RecordedParty&) const = default;
};

/// All that a recorder needs to know about a call at one moment.
struct RecordedCall {
  std::vector<RecordedParty> parties;
  std::vector<RecordedStream> streams;
  /// Text that control attached to the call; empty if none.
  std::string metadata;
  bool operator==(const RecordedCall&) const = default;
};

/// Which files a recording consists of.
enum class RecordingForm : std::uint8_t {
  /// The form that the daemon's recording options ask for.
  kCall,
  /// Files of the rtpproxy protocol in its own ad-hoc format: one for RTP and one for RTCP.
  kAdHoc,
  /// Files of the rtpproxy protocol in pcap format: one for RTP and one for RTCP.
  kPcap,
  /// One pcap file of the rtpproxy protocol for RTP and RTCP together.
  kPcapSingle,
};

/// Wishes of a request for one recording, beyond the daemon's options. An empty member leaves its matter to
/// those options.
struct RecordingOrder {
  RecordingForm form = RecordingForm::kCall;
  /// Tag of the party whose packets are recorded. rtpproxy forms only.
  std::string tag;
  /// Distinguishes the files of this party from those of the other one. rtpproxy forms only.
  std::string suffix;
  /// The call's identifier, for file names and the log.
  std::string call_id;
  /// Whole path of the file. Its ending does not choose the format.
  std::string file;
  /// Folder for the files.
  std::string directory;
  /// Pattern of the file names, as in the option `recording-pattern`.
  std::string pattern;
  /// Person or program that asked for the recording, for the log (REC-2).
  std::string asked_by;
};

/// One recording of one call. Only the control thread calls it, except for the tap, which runs on the worker
/// of the call. Owned by control.
class CallRecording {
 public:
  virtual ~CallRecording() = default;
  /// The tap to attach to each transport of the call. It stays valid until `finish`, and packets may arrive
  /// until it is detached everywhere.
  virtual PacketTap& tap() = 0;
  /// Tells the recorder that `call` describes the call from now on.
  virtual void describe(RecordedCall call) = 0;
  /// Keeps an SDP body that party `number` sent. `kind` is "offer" or "answer".
  virtual void note_sdp(unsigned number, std::string_view kind, std::string_view body) = 0;
  /// Pauses or resumes. While paused nothing that arrives is kept, DTMF events and tones included (REC-3).
  virtual void pause(bool on, std::string_view asked_by) = 0;
  /// True while it is paused.
  [[nodiscard]] virtual bool is_paused() const = 0;
  /// Marks the recording to be thrown away at its end.
  virtual void discard() = 0;
  /// Ends the recording now. Packets that still arrive at the tap are not kept.
  virtual void end(std::string_view reason) = 0;
  /// Closes the files. Called once, after `end` and after the tap was detached everywhere; it is the last
  /// call.
  virtual void finish() = 0;
  /// Paths of its packet files, as NG replies show them.
  [[nodiscard]] virtual std::vector<std::string> packet_files() const = 0;
  /// Files, state and losses as the text of a JSON object, for `show`.
  [[nodiscard]] virtual std::string status() const = 0;
};

/// Starts recordings. One for the process, on the control thread.
class CallRecorder {
 public:
  virtual ~CallRecorder() = default;
  /// Starts a recording; never null, and never blocks. Trouble with the disk shows in `status`, in the log
  /// and in the manifest.
  virtual std::unique_ptr<CallRecording> start(const RecordingOrder& order) = 0;
  /// True if every call is to be recorded from its first message on.
  [[nodiscard]] virtual bool records_all() const = 0;
};

}  // namespace ferry
