// One recording as its writer thread sees it: packets in, files and a manifest out.
#pragma once

#include "recorder/audio/audio_file.hpp"
#include "recorder/audio/audio_stream.hpp"
#include "recorder/audio/sample_timeline.hpp"
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

/// What is fixed when a recording starts.
struct RecordingPlan {
  RecordingForm form = RecordingForm::kCall;
  std::string id;  // 16 hexadecimal digits
  std::string call_id;
  std::string base;  // path of its files in the recording directory, without endings
  /// kPcapSingle: of its file.
  std::string ending = ".pcap";
  RecordingTime start;
};

/// What was lost before it came to the writer.
struct RecordingLosses {
  std::uint64_t queue = 0;
  std::uint64_t kernel_copies = 0;
};

/// Owned by one writer thread.
class RecordingJob {
 public:
  RecordingJob(RecordingPlan plan, const RecorderSettings& settings, std::shared_ptr<const Folder> spool);

  void describe(RecordedCall call, Instant at);
  void note_sdp(unsigned party, std::string kind, std::string body, Instant at);
  void pause(bool on, Instant at);
  void on_packet(const QueuedPacket& packet, Bytes datagram);
  /// Writes what is old enough. Everything that came before `now` was handed over.
  void tick(Instant now);
  /// Ends the files. `losses` as the tap counted them.
  [[nodiscard]] FinishedRecording finish(std::string_view reason, const RecordingTime& at,
                                         const RecordingLosses& losses, bool discard);
  [[nodiscard]] const std::string& id() const { return plan_.id; }
  /// The first thing that went wrong with the disk; empty = nothing.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  /// Frames younger than this may still change.
  static constexpr Duration kMargin = AudioStream::kHold + std::chrono::milliseconds(200);

  struct Stream {
    unsigned party = 0;
    unsigned media = 0;
    std::string type;
    Endpoint local;
    Endpoint remote;
    Ssrc ssrc;
    bool is_rtcp = false;  // all RTCP of a media together
    StreamStats stats;
    /// Not recorded in pauses; the sequence numbers count them as lost.
    std::uint64_t unwanted = 0;
    bool was_paused = false;
    std::uint64_t rtcp_packets = 0;
    std::uint64_t rtcp_bytes = 0;
    Instant first{};
    Instant last{};
    std::unique_ptr<AudioStream> audio;
  };
  struct StreamKey {
    MediaId media;
    std::uint32_t ssrc = 0;
    bool is_rtcp = false;
    auto operator<=>(const StreamKey&) const = default;
  };
  struct Packets {
    unsigned party = 0;    // 0 = everybody
    bool is_rtcp = false;  // of forms that have a file for it
    std::string spool_name;
    std::string ending;
    std::unique_ptr<PacketFile> file;
  };
  struct Audio {
    unsigned party = 0;  // 0 = everybody
    std::string spool_name;
    std::string ending;
    std::unique_ptr<AudioFile> file;
    SampleTimeline timeline;
    std::uint32_t rate_hz = 0;
  };

  /// Null if such packets are not written.
  Packets* packets_for(unsigned party, bool is_rtcp);
  void add_packets(unsigned party, bool is_rtcp, const std::string& suffix, std::string ending);
  Audio* audio_for(unsigned party);
  [[nodiscard]] unsigned channel_of(unsigned party) const;
  [[nodiscard]] std::uint32_t choose_rate() const;
  [[nodiscard]] const RecordedStream* description_of(const QueuedPacket& packet) const;
  Stream& stream_of(const RecordedStream& about, const QueuedPacket& packet, Ssrc ssrc,
                    const Endpoint& remote);
  std::unique_ptr<Output> make_output(const std::string& spool_name);
  [[nodiscard]] PlaceSamples placer(unsigned party);
  /// Samples without those that lie in a pause.
  [[nodiscard]] std::span<const std::int16_t> masked(std::int64_t position,
                                                     std::span<const std::int16_t> samples);
  [[nodiscard]] std::int64_t frame_at(Instant time, std::uint32_t rate_hz) const;
  void write_audio(Audio& audio, Instant until);
  void flush(Packets& packets);
  [[nodiscard]] bool has_audio() const { return settings_.audio && plan_.form == RecordingForm::kCall; }
  void write_manifest();
  /// Comes before the first octet of content: what a process leaves behind that ends in between is found by
  /// the manifest alone.
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
  /// As the call says now; medias that are gone stay, packets of them may be on their way.
  std::map<MediaId, std::vector<RecordedStream>> described_;
  std::map<StreamKey, std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Packets>> packet_files_;
  std::vector<std::unique_ptr<Audio>> audio_files_;
  std::uint32_t rate_hz_ = 0;
  std::vector<std::int16_t> masked_;
  nlohmann::json manifest_;
  nlohmann::json pauses_ = nlohmann::json::array();
  nlohmann::json bodies_ = nlohmann::json::array();
  bool is_paused_ = false;
  /// Nothing sounds there, whatever a packet before or behind it says (REC-3). The last may be without an
  /// end.
  std::vector<std::pair<Instant, Instant>> silences_;
  std::uint64_t undescribed_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t packets_unwritten_ = 0;
  bool must_write_manifest_ = false;
  bool has_unnamed_files_ = false;
  std::string trouble_;
};

/// UTC with microseconds, RFC 3339.
[[nodiscard]] std::string rfc3339(WallTime time);

}  // namespace ferry
