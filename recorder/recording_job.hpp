// SPDX-License-Identifier: Apache-2.0
// One recording as its writer thread sees it: packets come in, files and a manifest go out.
#pragma once

#include "codecs/audio/sample_timeline.hpp"
#include "recorder/audio/audio_file.hpp"
#include "recorder/audio/audio_stream.hpp"
#include "recorder/finished.hpp"
#include "recorder/packet_queue.hpp"
#include "recorder/pcap_file.hpp"
#include "recorder/settings.hpp"
#include "relay/core/recording.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

/// The facts that are fixed when a recording starts. Control fills them in.
struct RecordingPlan {
  RecordingForm form = RecordingForm::kCall;
  /// 16 hexadecimal digits, unique.
  std::string id;
  std::string call_id;
  /// Path of its files below the recording directory, without endings.
  std::string base;
  /// Ending of the file of kPcapSingle.
  std::string ending = ".pcap";
  /// When it was asked for; all times of the recording count from there.
  RecordingTime start;
};

/// Packets that were lost before they came to the writer: in the queue, and as copies of the kernel.
struct RecordingLosses {
  std::uint64_t queue = 0;
  std::uint64_t kernel_copies = 0;
};

/// One recording. Belongs to one writer thread. Throws if memory runs out; trouble with the disk is noted,
/// and the recording goes on.
class RecordingJob {
 public:
  /// `settings` outlives it. Files grow in `spool`. Writes the first manifest.
  RecordingJob(RecordingPlan plan, const RecorderSettings& settings, std::shared_ptr<const Folder> spool);

  /// The call is as `call` says from now on.
  void describe(RecordedCall call, Instant at);
  /// Keeps an SDP body for the manifest; `kind` is offer or answer.
  void note_sdp(unsigned party, std::string kind, std::string body, Instant at);
  /// Begins or ends a pause, in which nothing sounds (REC-3).
  void pause(bool on, Instant at);
  /// Takes a packet. `datagram` is borrowed, and may be only the start of the datagram.
  void on_packet(const QueuedPacket& packet, Bytes datagram);
  /// Writes what is old enough. Every packet that came before `now` must have been handed over.
  void tick(Instant now);
  /// Closes the files and returns what is needed to put them in their place. `losses`: as the tap counted
  /// them. `discard`: the files are to be deleted. Nothing may be called afterwards.
  [[nodiscard]] FinishedRecording finish(std::string_view reason, const RecordingTime& at,
                                         const RecordingLosses& losses, bool discard);
  [[nodiscard]] const std::string& id() const { return plan_.id; }
  /// The first thing that went wrong, mostly with the disk; empty: nothing.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  /// Frames younger than this may still change.
  static constexpr Duration kMargin = AudioStream::kHold + std::chrono::milliseconds(200);

  /// One stream, as the manifest describes it: an SSRC of a media, or all RTCP of a media.
  struct Stream {
    /// Number of the party that it belongs to, and of its m-line, from 1; audio, video …
    unsigned party = 0;
    unsigned media = 0;
    std::string type;
    /// The relay's port, and the far end of the last packet.
    Endpoint local;
    Endpoint remote;
    /// 0 for RTCP, and for the streams beyond the limit, which are counted together.
    Ssrc ssrc;
    /// All RTCP of a media together.
    bool is_rtcp = false;
    StreamStats stats;
    /// Packets of pauses, which were not recorded. Their numbers look like losses.
    std::uint64_t unwanted = 0;
    /// A pause has begun since the last packet, so the gap before the next one is no loss.
    bool was_paused = false;
    /// RTCP is only counted.
    std::uint64_t rtcp_packets = 0;
    std::uint64_t rtcp_bytes = 0;
    /// When its first and its last packet came.
    Instant first{};
    Instant last{};
    /// Null if no audio file is wanted of it.
    std::unique_ptr<AudioStream> audio;
  };
  /// Tells streams apart. `ssrc` is 0 for RTCP, and for streams beyond the limit.
  struct StreamKey {
    MediaId media;
    std::uint32_t ssrc = 0;
    bool is_rtcp = false;
    auto operator<=>(const StreamKey&) const = default;
  };
  /// A file of packets.
  struct Packets {
    /// 0: of all parties.
    unsigned party = 0;
    /// It is the RTCP file, in forms that have one.
    bool is_rtcp = false;
    std::string spool_name;
    std::string ending;
    /// Null: it could not be made; its packets are counted as lost.
    std::unique_ptr<PacketFile> file;
  };
  /// A file of audio.
  struct Audio {
    /// 0: of all parties.
    unsigned party = 0;
    std::string spool_name;
    std::string ending;
    /// Null: it could not be made.
    std::unique_ptr<AudioFile> file;
    SampleTimeline timeline;
    std::uint32_t rate_hz = 0;
  };

  /// The file for packets of a party, made if there was none. Null: such packets are not written.
  Packets* packets_for(unsigned party, bool is_rtcp);
  /// Makes a packet file; without a file if that fails.
  void add_packets(unsigned party, bool is_rtcp, const std::string& suffix, std::string ending);
  /// The audio file of a party, made if there was none.
  Audio* audio_for(unsigned party);
  /// The channel that a party is heard on, from 0.
  [[nodiscard]] unsigned channel_of(unsigned party) const;
  /// The sample rate of all audio files, Hz.
  [[nodiscard]] std::uint32_t choose_rate() const;
  /// The description of the packet's media; null if the call has no such media.
  [[nodiscard]] const RecordedStream* description_of(const QueuedPacket& packet) const;
  /// The stream of a packet, made if there was none.
  Stream& stream_of(const RecordedStream& about, const QueuedPacket& packet, Ssrc ssrc,
                    const Endpoint& remote);
  /// An output in the spool, encrypted if that is asked for. Null if it cannot be made: noted as trouble.
  std::unique_ptr<OutputFile> make_output(const std::string& spool_name);
  /// Puts samples of a party's streams onto the timeline of its file.
  [[nodiscard]] PlaceSamples placer(unsigned party);
  /// The frame with silence where it lies in a pause. Borrowed until the next call.
  [[nodiscard]] AudioFrame masked(const AudioFrame& frame);
  /// Number of the sample at a time, counted from the start of the recording.
  [[nodiscard]] std::int64_t frame_at(Instant time, std::uint32_t rate_hz) const;
  /// Writes the samples up to `until`.
  void write_audio(Audio& audio, Instant until);
  /// Writes the packets that wait in memory.
  void flush(Packets& packets);
  [[nodiscard]] bool has_audio() const { return settings_.audio && plan_.form == RecordingForm::kCall; }
  void write_manifest();
  /// Names all files in the manifest. Call it before the first octet of content is written: if the process
  /// dies, only the manifest tells of the files it leaves behind.
  void name_files();
  void note_trouble(std::string what);
  [[nodiscard]] WallTime wall(Instant at) const { return plan_.start.wall + (at - plan_.start.now); }
  [[nodiscard]] std::int64_t since_start_ms(Instant at) const;
  [[nodiscard]] nlohmann::json parties() const;
  [[nodiscard]] nlohmann::json streams() const;

  RecordingPlan plan_;
  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> spool_;
  std::string metadata_;
  /// Parties that are gone stay in the manifest.
  std::map<unsigned, RecordedParty> parties_;
  /// The medias as the call has described them. Medias that are gone stay, because packets of them may be on
  /// their way.
  std::map<MediaId, std::vector<RecordedStream>> described_;
  std::map<StreamKey, std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Packets>> packet_files_;
  std::vector<std::unique_ptr<Audio>> audio_files_;
  /// Sample rate of the recording; 0: not chosen yet.
  std::uint32_t rate_hz_ = 0;
  /// Memory for `masked`.
  std::vector<std::int16_t> masked_;
  nlohmann::json manifest_;
  nlohmann::json pauses_ = nlohmann::json::array();
  nlohmann::json bodies_ = nlohmann::json::array();
  /// A pause is in force now.
  bool is_paused_ = false;
  /// From when to when nothing sounds, whatever a packet before or behind says (REC-3). The last one may be
  /// without an end.
  std::vector<std::pair<Instant, Instant>> silences_;
  /// Packets of medias that the call does not have; that are no RTP; that had no file.
  std::uint64_t undescribed_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t packets_unwritten_ = 0;
  bool must_write_manifest_ = false;
  bool has_unnamed_files_ = false;
  std::string trouble_;
};

/// The time in UTC with microseconds, as RFC 3339 writes it.
[[nodiscard]] std::string rfc3339(WallTime time);

}  // namespace ferry
