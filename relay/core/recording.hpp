// What control tells a recorder about a call. The recorder implements it; calls know no files.
#pragma once

#include "relay/core/tap.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What a payload type of a recorded stream means: `a=rtpmap` and `a=fmtp`.
struct RecordedFormat {
  PayloadType type;
  std::string encoding;
  std::uint32_t clock_rate_hz = 0;
  unsigned channels = 1;
  std::string parameters;
  bool operator==(const RecordedFormat&) const = default;
};

/// One media as one of our ports receives it.
struct RecordedStream {
  TransportId transport;
  MediaId media;
  unsigned party = 0;  // `RecordedParty::number`
  unsigned index = 0;  // of the m-line, from 1
  std::string type;    // audio, video, …
  Endpoint local;
  std::vector<RecordedFormat> formats;
  bool operator==(const RecordedStream&) const = default;
};

struct RecordedParty {
  unsigned number = 0;  // 1 = the caller
  std::string tag;
  std::string label;
  std::string metadata;
  /// Its media is not recorded.
  bool excluded = false;
  bool operator==(const RecordedParty&) const = default;
};

/// Everything a recorder needs to know about a call at one time.
struct RecordedCall {
  std::vector<RecordedParty> parties;
  std::vector<RecordedStream> streams;
  std::string metadata;
  bool operator==(const RecordedCall&) const = default;
};

/// What a recording is made of.
enum class RecordingForm : std::uint8_t {
  /// The daemon's options decide.
  kCall,
  // Files of the classic rtpproxy protocol: one for RTP and one for RTCP.
  kAdHoc,
  kPcap,
  /// One pcap file for both.
  kPcapSingle,
};

/// What a request asks of one recording beyond the daemon's options. Empty = those.
struct RecordingOrder {
  RecordingForm form = RecordingForm::kCall;
  /// Of the party whose packets are kept, and what tells its files from those of the other. Forms of the
  /// classic protocol only.
  std::string tag;
  std::string suffix;
  std::string call_id;
  /// Whole path of the file; its ending chooses nothing.
  std::string file;
  std::string directory;
  std::string pattern;
  /// Who wants it, for the log (REC-2).
  std::string asked_by;
};

/// One recording of one call. Control thread only but for the tap, which belongs to the worker of the call.
class CallRecording {
 public:
  virtual ~CallRecording() = default;
  /// To be attached to each transport of the call. It may be called until it is detached everywhere.
  virtual PacketTap& tap() = 0;
  /// The call is as `call` says from now on.
  virtual void describe(RecordedCall call) = 0;
  /// A body that party `number` sent; `kind` is offer or answer.
  virtual void note_sdp(unsigned number, std::string_view kind, std::string_view body) = 0;
  /// While it is paused nothing that arrives is kept, events and their tones included (REC-3).
  virtual void pause(bool on, std::string_view asked_by) = 0;
  [[nodiscard]] virtual bool is_paused() const = 0;
  /// What has been recorded is to be thrown away at the end.
  virtual void discard() = 0;
  /// It is over as of now; what arrives until the tap is detached everywhere is not kept.
  virtual void end(std::string_view reason) = 0;
  /// The tap is attached nowhere any more: the files are closed. Called once, last, after `end`.
  virtual void finish() = 0;
  /// Where its packet files will be, as NG replies show them.
  [[nodiscard]] virtual std::vector<std::string> packet_files() const = 0;
  /// Files, state and losses, for `show`: text of a JSON object.
  [[nodiscard]] virtual std::string status() const = 0;
};

class CallRecorder {
 public:
  virtual ~CallRecorder() = default;
  /// Never null, and never late: what goes wrong with the disk shows in `status`, the log and the manifest.
  virtual std::unique_ptr<CallRecording> start(const RecordingOrder& order) = 0;
  /// Every call is recorded from its first message.
  [[nodiscard]] virtual bool records_all() const = 0;
};

}  // namespace ferry
