// SPDX-License-Identifier: Apache-2.0
// Options of recordings.

#include "control/config/config.hpp"
#include "control/config/option_row.hpp"
#include "control/config/readers.hpp"

#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

namespace ferry {

namespace {

using std::string;
using std::string_view;

/// Reads a number of octets; K, M, G or T may follow.
string read_size(string_view text, std::uint64_t& target) {
  static constexpr string_view kUnits = "KMGT";
  string_view digits = text;
  unsigned shift = 0;
  if (!text.empty()) {
    const auto unit = kUnits.find(text.back() >= 'a' ? static_cast<char>(text.back() - 32) : text.back());
    if (unit != string_view::npos) {
      shift = 10 * (static_cast<unsigned>(unit) + 1);
      digits.remove_suffix(1);
    }
  }
  std::uint64_t number = 0;
  if (!read_number<std::uint64_t>(digits, number, 0, (UINT64_MAX >> 1) >> shift).empty())
    return fmt::format("'{}' is no number of octets (K, M, G, T may follow)", text);
  target = number << shift;
  return {};
}

/// Reads a time: seconds, or a number with s, m, h or d behind it.
string read_span(string_view text, std::chrono::seconds& target) {
  std::int64_t unit = 1;
  string_view digits = text;
  if (!text.empty() && (text.back() < '0' || text.back() > '9')) {
    const char letter = text.back();
    unit = letter == 's' ? 1 : letter == 'm' ? 60 : letter == 'h' ? 3600 : letter == 'd' ? 86400 : 0;
    digits.remove_suffix(1);
  }
  std::int64_t number = 0;
  if (unit == 0 || !read_number<std::int64_t>(digits, number, 0, INT64_C(4'000'000'000) / unit).empty())
    return fmt::format("'{}' is no time (seconds, or a number with s, m, h or d)", text);
  target = std::chrono::seconds(number * unit);
  return {};
}

string read_owner(string_view text, std::optional<uid_t>& target) {
  const passwd* entry = getpwnam(string(text).c_str());
  uid_t number = 0;
  if (entry == nullptr && !read_number<uid_t>(text, number, 0, 0xfffffffe).empty())
    return fmt::format("there is no user '{}'", text);
  target = entry != nullptr ? entry->pw_uid : number;
  return {};
}

string read_group(string_view text, std::optional<gid_t>& target) {
  const group* entry = getgrnam(string(text).c_str());
  gid_t number = 0;
  if (entry == nullptr && !read_number<gid_t>(text, number, 0, 0xfffffffe).empty())
    return fmt::format("there is no group '{}'", text);
  target = entry != nullptr ? entry->gr_gid : number;
  return {};
}

string read_path(string_view text, string& target) {
  if (!text.starts_with('/')) return fmt::format("'{}' is no absolute path", text);
  target = text;
  return {};
}

string read_url(string_view text, string& target) {
  if (!text.starts_with("http://") && !text.starts_with("https://"))
    return fmt::format("'{}' is no http:// or https:// URL", text);
  target = text;
  while (target.ends_with('/')) target.pop_back();
  return {};
}

/// Adds a recording method. The first one that is named replaces the default.
string add_method(Config& c, string_view text) {
  if (!c.recording_methods_named) c.recorder.packets = c.recorder.audio = false;
  c.recording_methods_named = true;
  if (text == "proc") {
    c.notices.emplace_back(
        "recording-method=proc means audio here: the relay writes the files itself, without a kernel module "
        "and "
        "a recording daemon");
    text = "audio";
  }
  if (text != "pcap" && text != "audio" && text != "all")
    return fmt::format("'{}' is none of pcap, audio, all", text);
  c.recorder.packets = c.recorder.packets || text != "audio";
  c.recorder.audio = c.recorder.audio || text != "pcap";
  return {};
}

void clear_methods(Config& c) {
  c.recording_methods_named = false;
  c.recorder.packets = RecorderSettings().packets;
  c.recorder.audio = RecorderSettings().audio;
}

string read_layout(Config& c, string_view text) {
  return read_word(text, c.recorder.layout,
                   std::array{std::pair{string_view("stereo"), AudioLayout::kStereo},
                              std::pair{string_view("mixed"), AudioLayout::kMixed},
                              std::pair{string_view("separate"), AudioLayout::kSeparate}});
}

string read_audio_format(Config& c, string_view text) {
  return read_word(text, c.recorder.audio_format,
                   std::array{std::pair{string_view("wav"), AudioFileFormat::kWav},
                              std::pair{string_view("flac"), AudioFileFormat::kFlac},
                              std::pair{string_view("opus"), AudioFileFormat::kOpus},
                              std::pair{string_view("mp3"), AudioFileFormat::kMp3}});
}

template <RecordingAction kAction>
string read_digits(Config& c, string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789*#ABCD") != string_view::npos)
    return fmt::format("'{}' are no digits (0-9, *, #, A-D)", text);
  c.session.recording_codes[static_cast<std::size_t>(kAction)] = text;
  return {};
}

// clang-format off
constexpr OptionRow kRecordingRows[] = {
  {"recording-dir", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.directory); }, "DIR", "finished recordings; without it nothing is recorded"},
  {"recording-spool", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.spool); }, "DIR", "recordings that grow (default .spool in recording-dir)"},
  {"recording-method", 0, OptionKind::kList, add_method, "pcap|audio|all", "what is recorded (default pcap)", clear_methods},
  {"recording-format", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_word(v, c.recorder.pcap_format, std::array{std::pair{string_view("raw"), PcapFormat::kRaw}, std::pair{string_view("eth"), PcapFormat::kEthernet}}); }, "raw|eth", "link type of packet files: IP (default) or Ethernet"},
  {"recording-audio-format", 0, OptionKind::kValue, read_audio_format, "FORMAT", "wav (default), flac, opus, mp3"},
  {"recording-audio-layout", 0, OptionKind::kValue, read_layout, "LAYOUT", "stereo (default: caller left, others right), mixed, separate"},
  {"recording-packet-files", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_word(v, c.recorder.packets_by_party, std::array{std::pair{string_view("call"), false}, std::pair{string_view("leg"), true}}); }, "call|leg", "one packet file for the call (default) or for each party"},
  {"recording-loss", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_word(v, c.recorder.loss, std::array{std::pair{string_view("silence"), LossPolicy::kSilence}, std::pair{string_view("conceal"), LossPolicy::kConceal}}); }, "silence|conceal", "what stands for lost audio (default silence)"},
  {"recording-dtmf", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_word(v, c.recorder.events, std::array{std::pair{string_view("tone"), EventPolicy::kTone}, std::pair{string_view("silence"), EventPolicy::kSilence}}); }, "tone|silence", "how telephone-events sound in audio files (default tone)"},
  {"record-all", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.recorder.all_calls, v); }, "", "record every call from its first message"},
  {"record-egress", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.recorder.egress, v); }, "", "record what is sent to the parties instead of what they send"},
  {"recording-rtcp", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.recorder.rtcp, v); }, "", "RTCP in packet files (default yes)"},
  {"recording-pattern", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.pattern = v; return string(v.empty() ? "is empty" : ""); }, "PATTERN", "names of files: %c call-id, %r random, %Y %m %d %H %M %S start in UTC, / folders (default %c-%r)"},
  {"recording-owner", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_owner(v, c.recorder.owner); }, "USER", "owner of recordings (needs the right to give files away)"},
  {"recording-group", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_group(v, c.recorder.group); }, "GROUP", "their group"},
  {"recording-mode", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_mode(v, c.recorder.file_mode); }, "MODE", "their mode (default 0640)"},
  {"recording-dir-mode", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_mode(v, c.recorder.directory_mode); }, "MODE", "mode of folders that are made (default 0750)"},
  {"recording-retention", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_span(v, c.recorder.retention); }, "TIME", "remove recordings older than this, as 90d (default 0 = never)"},
  {"recording-quota", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_size(v, c.recorder.quota_bytes); }, "SIZE", "remove the oldest recordings above this, as 500G (default 0 = never)"},
  {"recording-queue", 0, OptionKind::kValue, [](Config& c, string_view v) { std::uint64_t size = 0; auto wrong = read_size(v, size); if (wrong.empty() && (size < (1u << 20) || size > (std::uint64_t{1} << 36))) wrong = "is not between 1M and 64G"; c.recorder.queue_bytes = size; return wrong; }, "SIZE", "packets that may wait for the disk (default 64M)"},
  {"recording-writers", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.recorder.writers, 1u, 64u); }, "N", "writer threads (default 1)"},
  {"recording-encryption-key", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.encryption_key); }, "FILE", "public RSA key (PEM): files are encrypted, only its private key reads them"},
  {"recording-signing-key", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.signing_key); }, "FILE", "private key (PEM) that signs manifests, which then hold hash chains"},
  {"recording-hook", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.hook); }, "PROGRAM", "run after each recording with its manifest's path"},
  {"state-dir", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.recorder.state_directory); }, "DIR", "hooks, notifications, uploads and events for event-webhook wait here over a restart (default $STATE_DIRECTORY or /var/lib/rtpferry)"},
  {"recording-hook-limit", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.recorder.hook_limit, 1u, 256u); }, "N", "hooks that run at a time (default 4)"},
  {"recording-hook-timeout", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_span(v, c.recorder.hook_timeout); }, "TIME", "a hook is ended after (default 60)"},
  {"recording-notify-url", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_url(v, c.recorder.notify_url); }, "URL", "receives each manifest by POST"},
  {"recording-notify-tries", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_number(v, c.recorder.notify_tries, 1u, 100u); }, "N", "tries of a notification or upload, with growing pauses up to 256 s (default 12)"},
  {"recording-upload-url", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_url(v, c.recorder.upload.endpoint); }, "URL", "S3-compatible server that stores recordings"},
  {"recording-upload-bucket", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.upload.bucket = v; return string(); }, "NAME", "its bucket"},
  {"recording-upload-region", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.upload.region = v; return string(); }, "NAME", "its region (default us-east-1)"},
  {"recording-upload-access-key", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.upload.access_key = v; return string(); }, "TEXT", "access key; better in the file than on the command line"},
  {"recording-upload-secret-key", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.upload.secret_key = v; return string(); }, "TEXT", "secret key; better in the file than on the command line"},
  {"recording-upload-prefix", 0, OptionKind::kValue, [](Config& c, string_view v) { c.recorder.upload.prefix = v; return string(); }, "TEXT", "stands before each name there"},
  {"recording-upload-keep", 0, OptionKind::kSwitch, [](Config& c, string_view v) { return set_switch(c.recorder.upload.keeps_files, v); }, "", "files stay here when they are stored there (default yes)"},
  {"vsc-start-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kStart>, "DIGITS", "start recording, pressed by a party with flag recording-vsc"},
  {"vsc-stop-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kStop>, "DIGITS", "stop recording"},
  {"vsc-pause-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kPause>, "DIGITS", "pause recording"},
  {"vsc-start-stop-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kStartStop>, "DIGITS", "start or stop recording"},
  {"vsc-pause-resume-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kPauseResume>, "DIGITS", "pause recording or go on"},
  {"vsc-start-pause-resume-rec", 0, OptionKind::kValue, read_digits<RecordingAction::kStartPauseResume>, "DIGITS", "start, pause, go on"},
  {"codec-plugins", 0, OptionKind::kValue, [](Config& c, string_view v) { return read_path(v, c.codec_plugins); }, "DIR", "where codecs in packages of their own are (default: the installed place)"},
};
// clang-format on

}  // namespace

std::span<const OptionRow> recording_option_rows() { return kRecordingRows; }

std::string default_state_directory() {
  // systemd.exec(5): the paths are absolute, with colons between them if a unit has several.
  const char* given = std::getenv("STATE_DIRECTORY");
  const string first = given == nullptr ? string() : string(given).substr(0, string_view(given).find(':'));
  return first.starts_with('/') ? first : "/var/lib/rtpferry";
}

}  // namespace ferry
