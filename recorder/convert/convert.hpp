// SPDX-License-Identifier: Apache-2.0
// Turns captured calls into audio files: finds the RTP streams, pairs them, decodes and aligns them.
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

/// The payload types that SDP expects at one endpoint.
struct SignalledFormats {
  Endpoint at;
  std::vector<RecordedFormat> formats;
};

/// How to convert. The values here are the defaults.
struct ConvertOptions {
  AudioFileFormat format = AudioFileFormat::kWav;
  /// Stereo or mixed; kSeparate is not supported.
  AudioLayout layout = AudioLayout::kStereo;
  LossPolicy loss = LossPolicy::kSilence;
  EventPolicy events = EventPolicy::kTone;
  /// The meaning of dynamic payload types; if several name a type, the first one counts.
  std::vector<RecordedFormat> formats;
  /// Reads an SDP body out of a SIP message in the capture, and says which formats its sections expect at
  /// which endpoint. Empty: only `formats` and the static types count.
  std::function<std::vector<SignalledFormats>(std::string_view body)> read_sdp;
  /// Senders that are heard on the left. Empty: the one that spoke first.
  std::vector<Endpoint> left;
  /// Called now and then with the share that is done, 0 to 1. May be empty.
  std::function<void(double)> progress;
};

/// One stream of the capture.
struct FoundStream {
  Endpoint from;
  Endpoint to;
  Ssrc ssrc;
  std::uint64_t packets = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  double jitter_ms = 0;
  /// Seconds since the first packet of all streams.
  double begin_s = 0;
  double end_s = 0;
  /// Codecs as text, for people.
  std::string codecs;
  /// 0: left; 1: right; -1: left out, because it is a copy of another stream.
  int channel = 0;
  /// Why nothing is heard of a payload type.
  std::vector<std::string> problems;
};

/// The result of a conversion.
struct Converted {
  std::vector<FoundStream> streams;
  /// Sample rate of the file, Hz, and its length in seconds; 0 if no file was wanted.
  std::uint32_t rate_hz = 0;
  double seconds = 0;
  /// Packets that were no whole UDP datagrams.
  std::uint64_t packets_passed_over = 0;
};

/// Reads captures and writes the audio file `to`, which must not exist. Several captures are parts of one
/// call, such as rtpproxy's two directions. `to` empty: only looks for streams. The error is a sentence.
Result<Converted, std::string> convert(const std::vector<std::string>& from, const std::string& to,
                                       const ConvertOptions& options);

}  // namespace ferry
