// SPDX-License-Identifier: Apache-2.0
// One recording, from its first packet to its closed files. Everything here runs on one writer thread.
//
// The way of a packet: `on_packet` finds its media (`description_of`), appends it to a packet file, counts it
// as RTP in `Stream`, and gives audio to the stream's `AudioStream`. That one orders, decodes and places the
// samples on the time of the recording; `placer` brings them to the `SampleTimeline` of an audio file.
//
// The way of time: `tick` comes four times a second. It lets audio streams release what is old enough, writes
// packets, and writes audio up to `kMargin` ago. Samples younger than that may still change, because late
// packets and concealment come into it.
//
// The manifest says what there is, from the beginning on. A file is named in it before the first octet of
// content is written (`name_files`), because a process that dies leaves only the manifest to those who clean
// up. It is also written again whenever it changed.
//
// Files are never written in clear if encryption was asked for: if the key fails, there is no file, and the
// manifest says how much was lost. Trouble with the disk never stops a recording; the first one is kept for
// the log and the manifest.
#include "recorder/recording_job.hpp"

#include "codecs/audio/audio_format.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry {

using nlohmann::json;

namespace {

// Streams of one recording: a flood of SSRCs must make no flood of state.
constexpr std::size_t kMaxStreams = 256;
// SDP bodies kept in the manifest.
constexpr std::size_t kMaxBodies = 200;
// Packets are written to disk at the latest when so many octets wait.
constexpr std::size_t kFlushBytes = 1 << 18;
// Rate of a recording in which nothing is known of any codec.
constexpr std::uint32_t kDefaultRate = 8000;

}  // namespace

std::string rfc3339(WallTime time) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
  const std::int64_t seconds = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(seconds)),
                     micros - seconds * 1'000'000);
}

RecordingJob::RecordingJob(RecordingPlan plan, const RecorderSettings& settings,
                           std::shared_ptr<const Folder> spool)
    : plan_(std::move(plan)), settings_(settings), spool_(std::move(spool)) {
  // Files that are known from the start are made now. Files of single parties come with their first packet.
  switch (plan_.form) {
    case RecordingForm::kCall:
      if (settings_.packets && !settings_.packets_by_party) add_packets(0, false, "", ".pcap");
      break;
    case RecordingForm::kPcapSingle:
      add_packets(0, false, "", plan_.ending);
      break;
    case RecordingForm::kAdHoc:
    case RecordingForm::kPcap:
      add_packets(0, false, "-rtp", ".rtp");
      if (settings_.rtcp) add_packets(0, true, "-rtcp", ".rtcp");
      break;
  }
  manifest_ = {{"version", 1},
               {"id", plan_.id},
               {"software", "rtpferry " FERRY_VERSION},
               {"call_id", plan_.call_id},
               {"state", "recording"},
               {"base", plan_.base},
               {"start", rfc3339(plan_.start.wall)}};
  write_manifest();
}

std::int64_t RecordingJob::since_start_ms(Instant at) const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at - plan_.start.now).count();
}

void RecordingJob::note_trouble(std::string what) {
  if (trouble_.empty()) trouble_ = std::move(what);
}

std::unique_ptr<OutputFile> RecordingJob::make_output(const std::string& spool_name) {
  auto file = spool_->create(spool_name);
  if (!file) {
    note_trouble(fmt::format("cannot make {}: {}", spool_->path_of(spool_name), strerror(file.error())));
    return nullptr;
  }
  if (settings_.encryption_key.empty()) return make_plain_output(std::move(*file));
  auto sealed = make_sealed_output(std::move(*file), settings_.encryption_key);
  if (sealed) return std::move(*sealed);
  // Nothing is written then: never in clear by accident.
  note_trouble(sealed.error());
  spool_->remove(spool_name);
  return nullptr;
}

void RecordingJob::write_manifest() {
  json now = manifest_;
  now["metadata"] = metadata_;
  now["parties"] = parties();
  now["sdp"] = bodies_;
  now["pauses"] = pauses_;
  json files = json::array();
  for (const auto& each : packet_files_)
    files.push_back(
        {{"kind", "packets"}, {"spool", each->spool_name}, {"ending", each->ending}, {"party", each->party}});
  for (const auto& each : audio_files_)
    files.push_back(
        {{"kind", "audio"}, {"spool", each->spool_name}, {"ending", each->ending}, {"party", each->party}});
  now["files"] = std::move(files);
  // Replaced as a whole, so that a reader sees the old one or the new one.
  if (const int wrong =
          spool_->replace(plan_.id + ".json", now.dump(1, ' ', false, json::error_handler_t::replace)))
    note_trouble(fmt::format("cannot write {}: {}", spool_->path_of(plan_.id + ".json"), strerror(wrong)));
  must_write_manifest_ = false;
  has_unnamed_files_ = false;
}

void RecordingJob::name_files() {
  if (has_unnamed_files_) write_manifest();
}

void RecordingJob::flush(Packets& packets) {
  if (!packets.file) return;
  if (const int wrong = packets.file->flush())
    note_trouble(fmt::format("cannot write packets: {}", strerror(wrong)));
}

void RecordingJob::describe(RecordedCall call, Instant) {
  metadata_ = std::move(call.metadata);
  // Parties and medias that are gone stay: packets of them may be on their way.
  for (const RecordedParty& party : call.parties) parties_[party.number] = party;
  for (const RecordedStream& stream : call.streams) described_[stream.media].clear();
  for (RecordedStream& stream : call.streams) described_[stream.media].push_back(std::move(stream));
  must_write_manifest_ = true;
}

void RecordingJob::note_sdp(unsigned party, std::string kind, std::string body, Instant at) {
  // A call of many re-INVITEs must not fill memory.
  if (bodies_.size() >= kMaxBodies) return;
  bodies_.push_back({{"at_ms", since_start_ms(at)},
                     {"party", party},
                     {"kind", std::move(kind)},
                     {"body", std::move(body)}});
  must_write_manifest_ = true;
}

void RecordingJob::pause(bool on, Instant at) {
  if (on == is_paused_) return;
  is_paused_ = on;
  must_write_manifest_ = true;
  if (on) {
    pauses_.push_back({{"from_ms", since_start_ms(at)}});
    silences_.emplace_back(at, Instant::max());
    // The numbers that are missing after the pause are no loss.
    for (const auto& [key, stream] : streams_) {
      stream->was_paused = true;
      if (stream->audio) stream->audio->excuse_gap();
    }
    return;
  }
  pauses_.back()["to_ms"] = since_start_ms(at);
  silences_.back().second = at;
}

std::int64_t RecordingJob::frame_at(Instant time, std::uint32_t rate_hz) const {
  return static_cast<std::int64_t>(std::chrono::duration<double>(time - plan_.start.now).count() * rate_hz);
}

// A packet that began before a pause may reach into it, and concealment too: so pauses are cut out of the
// samples, not only out of the packets (REC-3).
AudioFrame RecordingJob::masked(const AudioFrame& frame) {
  AudioFrame out = frame;
  // Samples are copied only if some of them lie in a pause.
  bool is_copied = false;
  for (const auto& [from, to] : silences_) {
    const std::int64_t first = std::max(frame.position, frame_at(from, rate_hz_));
    const std::int64_t last =
        to == Instant::max() ? frame.end() : std::min(frame.end(), frame_at(to, rate_hz_));
    if (first >= last) continue;
    if (!std::exchange(is_copied, true)) masked_.assign(frame.samples.begin(), frame.samples.end());
    std::fill(masked_.begin() + (first - frame.position), masked_.begin() + (last - frame.position),
              std::int16_t{0});
    out.samples = masked_;
  }
  return out;
}

const RecordedStream* RecordingJob::description_of(const QueuedPacket& packet) const {
  const auto known = described_.find(packet.media);
  if (known == described_.end()) return nullptr;
  // A call that has moved to another worker has other transports there; the last description fits then.
  const auto same = std::ranges::find(known->second, packet.transport, &RecordedStream::transport);
  return same == known->second.end() ? &known->second.back() : &*same;
}

RecordingJob::Stream& RecordingJob::stream_of(const RecordedStream& about, const QueuedPacket& packet,
                                              Ssrc ssrc, const Endpoint& remote) {
  StreamKey key{packet.media, ssrc.value, packet.is_rtcp};
  auto known = streams_.find(key);
  if (known == streams_.end() && streams_.size() >= kMaxStreams) {
    // Streams beyond the limit are counted together.
    key.ssrc = 0;
    known = streams_.find(key);
  }
  if (known == streams_.end()) {
    auto made = std::make_unique<Stream>();
    made->party = about.party;
    made->media = about.index;
    made->type = about.type;
    made->local = about.local;
    // Ports come in pairs: RTCP is one above.
    if (packet.port == Component::kRtcp)
      made->local.port.value = static_cast<std::uint16_t>(made->local.port.value + 1);
    made->ssrc = ssrc;
    made->is_rtcp = packet.is_rtcp;
    made->first = packet.at;
    known = streams_.emplace(key, std::move(made)).first;
  }
  Stream& stream = *known->second;
  stream.remote = remote;
  stream.last = packet.at;
  return stream;
}

void RecordingJob::on_packet(const QueuedPacket& packet, Bytes datagram) {
  // A packet of a media that control has not described can be neither named nor decoded.
  const RecordedStream* about = description_of(packet);
  if (about == nullptr) {
    ++undescribed_;
    return;
  }
  // A recording of what leaves has the relay's port as the source.
  const bool leaves = packet.to.is_set();
  Endpoint local = about->local;
  if (packet.port == Component::kRtcp) local.port.value = static_cast<std::uint16_t>(local.port.value + 1);
  // Packets are written as they came, RTP or not; what is inside only matters below.
  if (Packets* packets = packets_for(about->party, packet.is_rtcp); packets != nullptr) {
    if (packets->file) {
      packets->file->write(
          {leaves ? local : packet.from, leaves ? packet.to : local, wall(packet.at), datagram, packet.size});
      if (packets->file->waiting_bytes() > kFlushBytes) {
        name_files();
        flush(*packets);
      }
    } else {
      ++packets_unwritten_;
    }
  }
  const Endpoint& remote = leaves ? packet.to : packet.from;
  if (packet.is_rtcp) {
    Stream& stream = stream_of(*about, packet, Ssrc{}, remote);
    ++stream.rtcp_packets;
    stream.rtcp_bytes += packet.size;
    return;
  }
  const auto rtp = parse_rtp(datagram);
  if (!rtp) {
    // T.38, or only the start of a packet.
    ++malformed_;
    return;
  }
  Stream& stream = stream_of(*about, packet, rtp->ssrc, remote);
  // The description says what the payload type means; static types mean the same without it (RFC 3551).
  const auto format = std::ranges::find(about->formats, rtp->payload_type, &RecordedFormat::type);
  std::uint32_t clock_rate = format == about->formats.end() ? 0 : format->clock_rate_hz;
  if (clock_rate == 0) {
    if (const auto fixed = static_audio_format(rtp->payload_type)) clock_rate = fixed->clock_rate_hz;
  }
  const bool is_first_again = std::exchange(stream.was_paused, is_paused_);
  const SeqNo newest{static_cast<std::uint16_t>(stream.stats.counters().highest_extended)};
  if (stream.stats.check(rtp->sequence) == StreamStats::Check::kJump) {
    // The relay lets a jump pass only once it is confirmed (SSR-4), so the packet before this one was the
    // first of the new run. It is made up here, and the statistics agree with the relay's.
    static_cast<void>(stream.stats.check(SeqNo{static_cast<std::uint16_t>(rtp->sequence.value - 1)}));
    static_cast<void>(stream.stats.check(rtp->sequence));
  } else if (is_first_again && stream.stats.counters().packets != 0 && is_newer(rtp->sequence, newest)) {
    // Packets of a pause were not recorded; the sequence numbers count them as lost.
    stream.unwanted += static_cast<std::uint64_t>(distance(rtp->sequence, newest) - 1);
  }
  stream.stats.count(*rtp, packet.size, clock_rate, packet.at);
  if (!has_audio() || about->type != "audio") return;
  if (!stream.audio) {
    // The rate of the whole recording is chosen with the first audio packet and stays.
    if (rate_hz_ == 0) rate_hz_ = choose_rate();
    stream.audio = std::make_unique<AudioStream>(plan_.start.now, rate_hz_, settings_.loss, settings_.events);
  }
  stream.audio->on_packet(*rtp, packet.at, about->formats);
}

RecordingJob::Packets* RecordingJob::packets_for(unsigned party, bool is_rtcp) {
  const bool has_pair = plan_.form == RecordingForm::kAdHoc || plan_.form == RecordingForm::kPcap;
  if (plan_.form == RecordingForm::kCall && !settings_.packets) return nullptr;
  // All parties share one file, unless one for each was asked for.
  if (plan_.form != RecordingForm::kCall || !settings_.packets_by_party) party = 0;
  is_rtcp = is_rtcp && has_pair;
  const auto found = std::ranges::find_if(
      packet_files_, [&](const auto& each) { return each->party == party && each->is_rtcp == is_rtcp; });
  if (found != packet_files_.end()) return found->get();
  if (has_pair) return nullptr;  // RTCP that is not wanted
  const std::string suffix = fmt::format("-{}", party);
  add_packets(party, false, suffix, suffix + ".pcap");
  return packet_files_.back().get();
}

void RecordingJob::add_packets(unsigned party, bool is_rtcp, const std::string& suffix, std::string ending) {
  auto made = std::make_unique<Packets>();
  made->party = party;
  made->is_rtcp = is_rtcp;
  made->spool_name = plan_.id + suffix + ".packets";
  made->ending = std::move(ending);
  if (auto output = make_output(made->spool_name)) {
    if (plan_.form == RecordingForm::kAdHoc)
      made->file = std::make_unique<AdHocFile>(std::move(output));
    else
      made->file = std::make_unique<PcapFile>(std::move(output), plan_.form == RecordingForm::kCall
                                                                     ? settings_.pcap_format
                                                                     : PcapFormat::kEthernet);
  }
  packet_files_.push_back(std::move(made));
  has_unnamed_files_ = true;
}

std::uint32_t RecordingJob::choose_rate() const {
  // The best rate that a party prefers. What is better later is brought down to it.
  std::uint32_t rate = 0;
  for (const auto& [media, streams] : described_) {
    if (streams.front().type != "audio") continue;
    for (const RecordedFormat& format : streams.front().formats) {
      const std::uint32_t samples = AudioStream::sample_rate_of(format);
      if (samples == 0) continue;
      rate = std::max(rate, samples);
      break;
    }
  }
  return fitting_rate(settings_.audio_format, rate == 0 ? kDefaultRate : rate);
}

unsigned RecordingJob::channel_of(unsigned party) const {
  if (settings_.layout != AudioLayout::kStereo) return 0;
  // The caller is left, everybody else right. If what leaves is recorded, it is the other way round: what is
  // sent to the caller is the others' voice.
  return (party == 1) != settings_.egress ? 0 : 1;
}

RecordingJob::Audio* RecordingJob::audio_for(unsigned party) {
  if (settings_.layout != AudioLayout::kSeparate) party = 0;
  for (const auto& each : audio_files_) {
    if (each->party == party) return each.get();
  }
  const std::string suffix = party == 0 ? std::string() : fmt::format("-{}", party);
  const unsigned channels = settings_.layout == AudioLayout::kStereo ? 2 : 1;
  const std::string ending = suffix + std::string(file_ending(settings_.audio_format));
  if (rate_hz_ == 0) rate_hz_ = choose_rate();
  auto made = std::unique_ptr<Audio>(
      new Audio{party, plan_.id + ending, ending, nullptr, SampleTimeline(channels), rate_hz_});
  if (auto output = make_output(made->spool_name)) {
    auto file = AudioFile::open(std::move(output), settings_.audio_format, rate_hz_, channels);
    if (file)
      made->file = std::move(*file);
    else
      note_trouble(fmt::format("cannot make {}: {}", spool_->path_of(made->spool_name), file.error()));
  }
  audio_files_.push_back(std::move(made));
  has_unnamed_files_ = true;
  return audio_files_.back().get();
}

PlaceSamples RecordingJob::placer(unsigned party) {
  return [this, party](const AudioFrame& frame) {
    Audio* audio = audio_for(party);
    return audio->timeline.add(channel_of(party), masked(frame));
  };
}

void RecordingJob::write_audio(Audio& audio, Instant until) {
  const std::int64_t frames = frame_at(until, audio.rate_hz);
  // Nothing new is old enough.
  if (frames <= audio.timeline.taken()) return;
  std::vector<std::int16_t> samples;
  audio.timeline.take(frames, samples);
  if (!audio.file) return;
  if (!audio.file->write(samples))
    note_trouble(fmt::format("cannot write audio: {}", strerror(audio.file->error())));
  audio.file->flush();
}

void RecordingJob::tick(Instant now) {
  // Streams first: they bring the samples that are written below.
  for (const auto& [key, stream] : streams_) {
    if (stream->audio) stream->audio->release(now, placer(stream->party));
  }
  // The manifest before the content.
  if (must_write_manifest_ || has_unnamed_files_) write_manifest();
  for (const auto& each : packet_files_) flush(*each);
  for (const auto& each : audio_files_) write_audio(*each, now - kMargin);
}

json RecordingJob::parties() const {
  json list = json::array();
  for (const auto& [number, party] : parties_) {
    json one = {{"number", number}, {"tag", party.tag}};
    if (!party.label.empty()) one["label"] = party.label;
    if (!party.metadata.empty()) one["metadata"] = party.metadata;
    if (party.excluded) one["excluded"] = true;
    list.push_back(std::move(one));
  }
  return list;
}

// The part of the manifest that tells how well each stream arrived. Times are milliseconds since the start.
json RecordingJob::streams() const {
  json list = json::array();
  for (const auto& [key, stream] : streams_) {
    json one = {{"party", stream->party},
                {"media", stream->media},
                {"type", stream->type},
                {"local", stream->local.to_string()},
                {"remote", stream->remote.to_string()},
                {"first_ms", since_start_ms(stream->first)},
                {"last_ms", since_start_ms(stream->last)}};
    if (stream->is_rtcp) {
      one["protocol"] = "RTCP";
      one["packets"] = stream->rtcp_packets;
      one["bytes"] = stream->rtcp_bytes;
      list.push_back(std::move(one));
      continue;
    }
    const SsrcCounters& counters = stream->stats.counters();
    one["protocol"] = "RTP";
    one["ssrc"] = counters.ssrc.value;
    one["packets"] = counters.packets;
    one["bytes"] = counters.bytes;
    // Packets of pauses are missing in the sequence, but were not lost.
    one["lost"] = counters.lost() - std::min(counters.lost(), stream->unwanted);
    one["duplicates"] = counters.duplicates;
    one["reordered"] = counters.reordered;
    one["restarts"] = counters.resets;
    one["jitter_ms"] = std::chrono::duration<double, std::milli>(counters.jitter()).count();
    if (stream->audio) {
      const AudioStreamReport& report = stream->audio->report();
      json gaps = json::array();
      for (const AudioGap& gap : report.gaps)
        gaps.push_back({{"at_ms", gap.at.count()}, {"packets", gap.packets}});
      json codecs = json::array();
      for (const CodecChange& codec : report.codecs)
        codecs.push_back(
            {{"at_ms", codec.at.count()}, {"payload_type", codec.payload_type}, {"codec", codec.name}});
      one["gaps"] = std::move(gaps);
      if (report.gaps_left_out != 0) one["gaps_left_out"] = report.gaps_left_out;
      one["codecs"] = std::move(codecs);
      one["late_packets"] = report.late_packets;
      if (report.late_samples != 0) one["late_samples"] = report.late_samples;
      one["damaged_packets"] = report.damaged_packets;
      if (report.anchors > 1) one["clock_jumps"] = report.anchors - 1;
      if (!report.problems.empty()) one["problems"] = report.problems;
    }
    list.push_back(std::move(one));
  }
  return list;
}

FinishedRecording RecordingJob::finish(std::string_view reason, const RecordingTime& at,
                                       const RecordingLosses& losses, bool discard) {
  // The streams still hold samples back, which come out now.
  for (const auto& [key, stream] : streams_) {
    if (stream->audio) stream->audio->finish(placer(stream->party));
  }
  // A recording without a packet is as long as the call, and silent. If each party has a file of its own, a
  // silent party has a silent file.
  if (has_audio() && settings_.layout == AudioLayout::kSeparate) {
    for (const auto& [number, party] : parties_) {
      if (!party.excluded) audio_for(number);
    }
  }
  if (has_audio() && audio_files_.empty()) audio_for(1);
  name_files();
  FinishedRecording finished;
  // Everything that is not in the files is said in the manifest, by where it was lost.
  std::uint64_t packets_lost = packets_unwritten_;
  std::uint64_t frames_lost = 0;
  for (const auto& each : packet_files_) {
    if (!each->file) continue;
    flush(*each);
    packets_lost += each->file->lost();
    json about = {{"kind", "packets"}, {"packets", each->file->packets()}};
    if (each->party != 0) about["party"] = each->party;
    // Closed here: the finisher reads it on another thread.
    each->file.reset();
    finished.files.push_back({each->spool_name, each->ending, std::move(about)});
  }
  for (const auto& each : audio_files_) {
    write_audio(*each, at.now);
    if (!each->file) continue;
    if (!each->file->close())
      note_trouble(fmt::format("cannot write audio: {}", strerror(each->file->error())));
    frames_lost += each->file->frames_lost();
    json about = {{"kind", "audio"},
                  {"rate_hz", each->rate_hz},
                  {"channels", each->timeline.channels()},
                  {"frames", each->file->frames()}};
    if (each->party != 0) about["party"] = each->party;
    if (settings_.layout == AudioLayout::kStereo) about["layout"] = "caller left, others right";
    each->file.reset();
    finished.files.push_back({each->spool_name, each->ending, std::move(about)});
  }
  // A pause that nobody has ended ends with the recording.
  if (is_paused_) pauses_.back()["to_ms"] = since_start_ms(at.now);
  json lost = {{"queue_packets", losses.queue},
               {"kernel_copies", losses.kernel_copies},
               {"disk_packets", packets_lost},
               {"disk_frames", frames_lost}};
  if (!trouble_.empty()) lost["first_error"] = trouble_;
  manifest_["state"] = "complete";
  manifest_["reason"] = reason;
  manifest_["end"] = rfc3339(at.wall);
  manifest_["duration_ms"] = since_start_ms(at.now);
  manifest_["metadata"] = metadata_;
  manifest_["parties"] = parties();
  manifest_["streams"] = streams();
  manifest_["pauses"] = pauses_;
  manifest_["sdp"] = bodies_;
  manifest_["losses"] = std::move(lost);
  if (undescribed_ != 0) manifest_["packets_of_no_media"] = undescribed_;
  if (malformed_ != 0) manifest_["packets_not_rtp"] = malformed_;
  finished.id = plan_.id;
  finished.spool = spool_;
  finished.manifest_spool_name = plan_.id + ".json";
  finished.base = plan_.base;
  finished.manifest = std::move(manifest_);
  finished.discard = discard;
  return finished;
}

}  // namespace ferry
