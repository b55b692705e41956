// Captured calls as audio files: finds the RTP streams, pairs them, decodes and aligns them.
#pragma once

#include "recorder/settings.hpp"
#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/core/recording.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// What SDP says of the payload types that arrive at one address.
struct SignalledFormats {
  Endpoint at;
  std::vector<RecordedFormat> formats;
};

struct ConvertOptions {
  AudioFileFormat format = AudioFileFormat::kWav;
  /// Stereo or mixed.
  AudioLayout layout = AudioLayout::kStereo;
  LossPolicy loss = LossPolicy::kSilence;
  EventPolicy events = EventPolicy::kTone;
  /// What dynamic payload types mean; the first that names a type counts.
  std::vector<RecordedFormat> formats;
  /// Takes an SDP body that a SIP message in the capture has, and says which formats its sections expect at
  /// which address. May be empty: then only `formats` and the static types count.
  std::function<std::vector<SignalledFormats>(std::string_view body)> read_sdp;
  /// Who is left, if it is known; else who spoke first.
  std::vector<Endpoint> left;
  /// Told the share that is done, 0 to 1, now and then. May be empty.
  std::function<void(double)> progress;
};

struct FoundStream {
  Endpoint from;
  Endpoint to;
  Ssrc ssrc;
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  double jitter_ms = 0;
  double begin_s = 0;  // since the first packet of all
  double end_s = 0;
  std::string codecs;
  /// 0 = left, 1 = right; -1: left out, a copy of another stream.
  int channel = 0;
  std::vector<std::string> problems;
};

struct Converted {
  std::vector<FoundStream> streams;
  std::uint32_t rate_hz = 0;
  double seconds = 0;
  std::uint64_t packets_passed_over = 0;
};

/// Reads captures (several are parts of one call, as rtpproxy's two directions) and writes `to`, which must
/// not exist; with `to` empty only the streams are found. The error is a sentence.
Result<Converted, std::string> convert(const std::vector<std::string>& from, const std::string& to,
                                       const ConvertOptions& options);

}  // namespace ferry
