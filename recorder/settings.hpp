// SPDX-License-Identifier: Apache-2.0
// Settings of recordings. The configuration fills it in; the values here are the defaults.
#pragma once

#include "relay/base/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// A moment by both clocks: `now` for distances, `wall` for people.
struct RecordingTime {
  Instant now;
  WallTime wall;
};

/// Link type of pcap files: raw IP or Ethernet.
enum class PcapFormat : std::uint8_t { kRaw, kEthernet };
/// Format of audio files.
enum class AudioFileFormat : std::uint8_t { kWav, kFlac, kOpus, kMp3 };
/// The parties in an audio file: caller left and others right; everybody mixed; each party in a file of its
/// own.
enum class AudioLayout : std::uint8_t { kStereo, kMixed, kSeparate };
/// The sound of lost packets: silence, or what the codec makes up.
enum class LossPolicy : std::uint8_t { kSilence, kConceal };
/// The sound of DTMF events (RFC 4733): silence or their tones.
enum class EventPolicy : std::uint8_t { kSilence, kTone };

/// A store for finished files, besides the directory (S3).
struct UploadSettings {
  /// https://host[:port]; empty: no upload.
  std::string endpoint;
  std::string bucket;
  std::string region = "us-east-1";
  std::string access_key;
  std::string secret_key;
  /// Put before each name in the bucket.
  std::string prefix;
  /// True: the files stay here after they were stored there.
  bool keeps_files = true;
};

/// All settings of the recorder.
struct RecorderSettings {
  /// The folder of finished recordings; empty: nothing is recorded.
  std::string directory;
  /// The folder of files that still grow; empty: `.spool` in `directory`.
  std::string spool;
  /// The folder in which work after calls survives a restart; empty: it does not.
  std::string state_directory;
  /// Record packets; record audio; record every call, not only those that a request names; record RTCP too.
  bool packets = true;
  bool audio = false;
  bool all_calls = false;
  bool rtcp = true;
  /// One packet file for each party instead of one for all.
  bool packets_by_party = false;
  /// Records what leaves toward the parties instead of what they send.
  bool egress = false;
  PcapFormat pcap_format = PcapFormat::kRaw;
  AudioFileFormat audio_format = AudioFileFormat::kWav;
  AudioLayout layout = AudioLayout::kStereo;
  LossPolicy loss = LossPolicy::kSilence;
  EventPolicy events = EventPolicy::kTone;
  /// How the files of a call are named (`fill_pattern`).
  std::string pattern = "%c-%r";
  /// Rights and owner of files and folders. Owner and group unset: the daemon's.
  mode_t file_mode = 0640;
  mode_t directory_mode = 0750;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
  /// Room for what waits between packets and disk, in octets, all queues together.
  std::size_t queue_bytes = 64u << 20;
  /// Writer threads.
  unsigned writers = 1;
  /// How long finished recordings are kept; 0: for ever.
  std::chrono::seconds retention{0};
  /// How many octets all of them may take; 0: no limit.
  std::uint64_t quota_bytes = 0;
  /// PEM file of a public RSA key. Recordings are encrypted, each one under a key of its own. Empty: they are
  /// not.
  std::string encryption_key;
  /// PEM file of a private key that signs manifests. Empty: they are not signed.
  std::string signing_key;
  /// Program that is run with the manifest's path after each recording. Empty: none.
  std::string hook;
  /// How many hooks run at a time, and how long one may run.
  unsigned hook_limit = 4;
  std::chrono::seconds hook_timeout{60};
  /// URL that gets an HTTP POST of each manifest, and how often that is tried. Empty: none.
  std::string notify_url;
  unsigned notify_tries = 12;
  UploadSettings upload;

  /// Whether anything is to be done after a recording.
  [[nodiscard]] bool has_work() const {
    return !directory.empty() && (!hook.empty() || !notify_url.empty() || !upload.endpoint.empty());
  }
};

}  // namespace ferry
