// What an operator chooses about recordings.
#pragma once

#include "relay/base/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace ferry {

/// Both clocks of what happens to a recording.
struct RecordingTime {
  Instant now;
  WallTime wall;
};

enum class PcapFormat : std::uint8_t { kRaw, kEthernet };
enum class AudioFileFormat : std::uint8_t { kWav, kFlac, kOpus, kMp3 };
enum class AudioLayout : std::uint8_t { kStereo, kMixed, kSeparate };
enum class LossPolicy : std::uint8_t { kSilence, kConceal };
enum class EventPolicy : std::uint8_t { kSilence, kTone };

struct UploadSettings {
  std::string endpoint;  // https://host[:port]; empty = no upload
  std::string bucket;
  std::string region = "us-east-1";
  std::string access_key;
  std::string secret_key;
  std::string prefix;
  /// The files stay after they were stored.
  bool keeps_files = true;
};

struct RecorderSettings {
  /// Where finished recordings are; empty = nothing is recorded.
  std::string directory;
  /// Where they are while they grow; empty = `.spool` in `directory`.
  std::string spool;
  /// Where work after calls outlives a restart; empty = nowhere.
  std::string state_directory;
  bool packets = true;
  bool audio = false;
  bool all_calls = false;
  bool rtcp = true;
  /// One packet file for each party.
  bool packets_by_party = false;
  /// What leaves toward the parties instead of what they send.
  bool egress = false;
  PcapFormat pcap_format = PcapFormat::kRaw;
  AudioFileFormat audio_format = AudioFileFormat::kWav;
  AudioLayout layout = AudioLayout::kStereo;
  LossPolicy loss = LossPolicy::kSilence;
  EventPolicy events = EventPolicy::kTone;
  std::string pattern = "%c-%r";
  mode_t file_mode = 0640;
  mode_t directory_mode = 0750;
  std::optional<uid_t> owner;
  std::optional<gid_t> group;
  /// Bounds of what waits between packets and disk, for all workers.
  std::size_t queue_bytes = 64u << 20;
  unsigned writers = 1;
  std::chrono::seconds retention{0};  // 0 = for ever
  std::uint64_t quota_bytes = 0;      // 0 = none
  /// PEM file of a public RSA key: recordings are encrypted, each under a key of its own.
  std::string encryption_key;
  /// PEM file of a private key that signs manifests.
  std::string signing_key;
  /// Program run with the manifest's path after each recording.
  std::string hook;
  unsigned hook_limit = 4;
  std::chrono::seconds hook_timeout{60};
  /// Told about each recording by an HTTP POST of its manifest.
  std::string notify_url;
  unsigned notify_tries = 12;
  UploadSettings upload;

  /// Whether anything is to be done after a recording.
  [[nodiscard]] bool has_work() const {
    return !directory.empty() && (!hook.empty() || !notify_url.empty() || !upload.endpoint.empty());
  }
};

}  // namespace ferry
