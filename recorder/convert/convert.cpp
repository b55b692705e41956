// SPDX-License-Identifier: Apache-2.0
// Captures as audio, in two passes over the files.
//
// The first pass (`find_streams`) collects every stream of RTP: who sent it where, which payload types it
// used, what was lost. SDP bodies in SIP messages that pass by tell what dynamic types mean. What only looks
// like RTP has no order in its sequence numbers and is dropped. Then `choose_channels` decides who is heard
// where, and which streams are copies.
//
// The second pass (`write`) does what a recording does: each stream has an `AudioStream`, all of them share a
// `SampleTimeline`, and samples that are old enough are written.
//
// Two passes, because the rate of the file and the channels must be known before the first sample is written,
// and the SDP may come late in the capture.
#include "recorder/convert/convert.hpp"

#include "codecs/audio/audio_format.hpp"
#include "codecs/audio/sample_timeline.hpp"
#include "recorder/audio/audio_file.hpp"
#include "recorder/audio/audio_stream.hpp"
#include "recorder/convert/capture.hpp"
#include "relay/core/classify.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLeastPackets = 4;  // fewer packets make no stream
// How much time of the capture passes between two writes, and how old samples are when they are written.
constexpr Duration kFlush = 1s;
constexpr Duration kMargin = AudioStream::kHold + 2s;

// Streams are told apart by file too: the two directions of rtpproxy are two files.
struct StreamKey {
  std::size_t file = 0;
  Endpoint from;
  Endpoint to;
  std::uint32_t ssrc = 0;
  auto operator<=>(const StreamKey&) const = default;
};

/// One stream, as the first pass finds it.
struct Sketch {
  StreamStats stats;
  std::uint64_t jumps = 0;
  Instant first{};
  Instant last{};
  std::uint16_t first_sequence = 0;
  std::set<std::uint8_t> types;
  FoundStream found;
};

/// All captures as one, in order of time.
class Merged {
 public:
  static Result<Merged, std::string> open(const std::vector<std::string>& paths) {
    Merged merged;
    for (const std::string& path : paths) {
      auto reader = CaptureReader::open(path);
      if (!reader) return fail(reader.error());
      std::error_code ignored;
      merged.total_ += std::filesystem::file_size(path, ignored);
      merged.sources_.push_back({std::move(*reader), {}, false});
    }
    for (Source& source : merged.sources_) source.has = source.reader->next(source.next);
    return merged;
  }
  /// The next datagram of all, and the number of its file. The payload is borrowed until the next call.
  bool next(std::size_t& file, CapturedDatagram& datagram) {
    if (taken_ != nullptr) taken_->has = taken_->reader->next(taken_->next);
    taken_ = nullptr;
    for (Source& source : sources_) {
      if (source.has && (taken_ == nullptr || source.next.at < taken_->next.at)) taken_ = &source;
    }
    if (taken_ == nullptr) return false;
    file = static_cast<std::size_t>(taken_ - sources_.data());
    datagram = taken_->next;
    return true;
  }
  [[nodiscard]] double share() const {
    std::uint64_t done = 0;
    for (const Source& source : sources_) done += source.reader->position();
    return total_ == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total_);
  }
  [[nodiscard]] std::uint64_t passed_over() const {
    std::uint64_t sum = 0;
    for (const Source& source : sources_) sum += source.reader->passed_over();
    return sum;
  }

 private:
  struct Source {
    std::unique_ptr<CaptureReader> reader;
    CapturedDatagram next;
    bool has = false;
  };
  std::vector<Source> sources_;
  Source* taken_ = nullptr;
  std::uint64_t total_ = 0;
};

/// A time of the capture, as the recorder's clocks count.
Instant instant(WallTime time) { return Instant{time.time_since_epoch()}; }

/// The SDP body of a SIP message; empty if it is no SIP message or has none.
std::string_view sdp_of_sip(Bytes payload) {
  const std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
  const auto line = text.substr(0, text.find("\r\n"));
  if (!line.starts_with("SIP/2.0 ") && !line.ends_with(" SIP/2.0")) return {};
  const auto blank = text.find("\r\n\r\n");
  if (blank == std::string_view::npos) return {};
  // There may be several parts.
  const auto body = text.find("v=0", blank);
  return body == std::string_view::npos ? std::string_view() : text.substr(body);
}

/// The meaning of payload types. The operator's word or the manifest's counts first, then the SDP of the
/// receiver, then any SDP.
class FormatBook {
 public:
  explicit FormatBook(const ConvertOptions& options) : options_(options) {}

  void read(Bytes payload) {
    if (!options_.read_sdp) return;
    const std::string_view body = sdp_of_sip(payload);
    if (body.empty()) return;
    for (SignalledFormats& each : options_.read_sdp(body)) signalled_[each.at] = std::move(each.formats);
  }
  [[nodiscard]] const RecordedFormat* find(PayloadType type, const Endpoint& to) const {
    const auto in = [type](const std::vector<RecordedFormat>& formats) -> const RecordedFormat* {
      const auto found = std::ranges::find(formats, type, &RecordedFormat::type);
      return found == formats.end() ? nullptr : &*found;
    };
    if (const auto* named = in(options_.formats)) return named;
    if (const auto here = signalled_.find(to); here != signalled_.end()) {
      if (const auto* said = in(here->second)) return said;
    }
    for (const auto& [at, formats] : signalled_) {
      if (const auto* said = in(formats)) return said;
    }
    return nullptr;
  }

 private:
  const ConvertOptions& options_;
  std::map<Endpoint, std::vector<RecordedFormat>> signalled_;
};

// The formats of the payload types that a stream has used, as far as they are known.
std::vector<RecordedFormat> formats_in_use(const FormatBook& book, const Endpoint& to,
                                           const std::set<std::uint8_t>& types) {
  std::vector<RecordedFormat> formats;
  for (const std::uint8_t type : types) {
    if (const RecordedFormat* named = book.find(PayloadType{type}, to)) {
      formats.push_back(*named);
    } else if (const auto fixed = static_audio_format(PayloadType{type})) {
      formats.push_back({PayloadType{type}, fixed->encoding, fixed->clock_rate_hz, fixed->channels, {}});
    } else if (type == 101) {
      // By convention, where no SDP says what it is.
      formats.push_back({PayloadType{type}, "telephone-event", 8000, 1, {}});
    }
  }
  return formats;
}

class Conversion {
 public:
  Conversion(const std::vector<std::string>& from, const ConvertOptions& options)
      : from_(from), options_(options), book_(options) {}

  Result<Converted, std::string> run(const std::string& to) {
    if (auto found = find_streams(); !found) return fail(found.error());
    choose_channels();
    if (!to.empty()) {
      if (auto written = write(to); !written) return fail(written.error());
    }
    for (auto& [key, sketch] : sketches_) result_.streams.push_back(sketch.found);
    std::ranges::sort(result_.streams, {}, &FoundStream::begin_s);
    return std::move(result_);
  }

 private:
  Result<void, std::string> find_streams() {
    auto captures = Merged::open(from_);
    if (!captures) return fail(captures.error());
    CapturedDatagram datagram;
    for (std::size_t file = 0; captures->next(file, datagram);) {
      report(captures->share() / 2);
      book_.read(datagram.payload);
      if (classify(datagram.payload) != DatagramClass::kRtp) continue;
      const auto rtp = parse_rtp(datagram.payload);
      if (!rtp) continue;
      Sketch& sketch = sketches_[{file, datagram.from, datagram.to, rtp->ssrc.value}];
      const Instant at = instant(datagram.at);
      if (sketch.types.empty()) {
        sketch.first = at;
        // The first packet of it.
        sketch.first_sequence = rtp->sequence.value;
        sketch.found.from = datagram.from;
        sketch.found.to = datagram.to;
        sketch.found.ssrc = rtp->ssrc;
      }
      sketch.last = std::max(sketch.last, at);
      sketch.types.insert(rtp->payload_type.value);
      const auto formats = formats_in_use(book_, datagram.to, {rtp->payload_type.value});
      const std::uint32_t clock = formats.empty() ? 8000 : formats.front().clock_rate_hz;
      // Jumps are counted: a stream that mostly jumps is no RTP.
      if (sketch.stats.check(rtp->sequence) == StreamStats::Check::kJump) {
        ++sketch.jumps;
        continue;
      }
      sketch.stats.count(*rtp, datagram.size, clock, at);
    }
    result_.packets_passed_over = captures->passed_over();
    // Packets that merely look like RTP have no order in their numbers.
    std::erase_if(sketches_, [](const auto& each) {
      const Sketch& sketch = each.second;
      return sketch.stats.counters().packets < kLeastPackets ||
             sketch.jumps * 4 > sketch.stats.counters().packets;
    });
    if (sketches_.empty()) return fail(std::string("there is no RTP stream in it"));
    begin_ = Instant::max();
    for (const auto& [key, sketch] : sketches_) {
      begin_ = std::min(begin_, sketch.first);
      end_ = std::max(end_, sketch.last);
    }
    const auto seconds = [this](Instant at) { return std::chrono::duration<double>(at - begin_).count(); };
    for (auto& [key, sketch] : sketches_) {
      const SsrcCounters& counters = sketch.stats.counters();
      sketch.found.packets = counters.packets;
      sketch.found.lost = counters.lost();
      sketch.found.duplicates = counters.duplicates;
      sketch.found.jitter_ms = std::chrono::duration<double, std::milli>(counters.jitter()).count();
      sketch.found.begin_s = seconds(sketch.first);
      sketch.found.end_s = seconds(sketch.last);
      sketch.found.codecs = describe(sketch);
    }
    return {};
  }

  [[nodiscard]] std::string describe(const Sketch& sketch) const {
    std::string text;
    for (const std::uint8_t type : sketch.types) {
      const auto formats = formats_in_use(book_, sketch.found.to, {type});
      text += fmt::format(
          "{}{}", text.empty() ? "" : ", ",
          formats.empty() ? fmt::format("type {}", type)
                          : fmt::format("{}/{}", formats.front().encoding, formats.front().clock_rate_hz));
    }
    return text;
  }

  /// The first sender is left, everybody else right. A capture beside a relay has each stream twice; the
  /// later one of the same SSRC and similar numbers is the copy and is left out.
  void choose_channels() {
    std::vector<std::map<StreamKey, Sketch>::value_type*> order;
    for (auto& each : sketches_) order.push_back(&each);
    std::ranges::stable_sort(order, {}, [](const auto* each) { return each->second.first; });
    std::vector<const Sketch*> chosen;
    std::optional<std::pair<std::size_t, Endpoint>> left;
    for (auto* each : order) {
      Sketch& sketch = each->second;
      // The same SSRC from another address, at the same time, with similar numbers.
      const bool is_copy = std::ranges::any_of(chosen, [&](const Sketch* other) {
        const int apart = distance(SeqNo{sketch.first_sequence}, SeqNo{other->first_sequence});
        return other->found.ssrc == sketch.found.ssrc && other->found.from != sketch.found.from &&
               std::abs(apart) < 3000 && sketch.first <= other->last;
      });
      if (is_copy) {
        sketch.found.channel = -1;
        continue;
      }
      // Without names of the operator, who spoke first is left.
      if (!left) left = {each->first.file, sketch.found.from};
      const bool is_first = left->first == each->first.file && left->second == sketch.found.from;
      const bool is_named = std::ranges::find(options_.left, sketch.found.from) != options_.left.end();
      sketch.found.channel = (options_.left.empty() ? is_first : is_named) ? 0 : 1;
      chosen.push_back(&sketch);
    }
  }

  Result<void, std::string> write(const std::string& to) {
    auto captures = Merged::open(from_);
    if (!captures) return fail(captures.error());
    // The best rate of all; what is worse is brought up to it.
    std::uint32_t rate = 0;
    for (const auto& [key, sketch] : sketches_) {
      for (const RecordedFormat& format : formats_in_use(book_, sketch.found.to, sketch.types))
        rate = std::max(rate, AudioStream::sample_rate_of(format));
    }
    if (rate == 0)
      return fail(std::string("none of its streams can be decoded: ") +
                  sketches_.begin()->second.found.codecs);
    rate = fitting_rate(options_.format, rate);
    const unsigned channels = options_.layout == AudioLayout::kStereo ? 2 : 1;
    // Never over a file that is there.
    FileDescriptor made(open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!made) return fail(fmt::format("cannot make '{}': {}", to, strerror(errno)));
    auto file = AudioFile::open(make_plain_output(std::move(made)), options_.format, rate, channels);
    if (!file) return fail(file.error());
    SampleTimeline timeline(channels);
    std::map<StreamKey, std::pair<AudioStream, std::vector<RecordedFormat>>> streams;
    for (const auto& [key, sketch] : sketches_) {
      if (sketch.found.channel < 0) continue;
      streams.try_emplace(key, AudioStream(begin_, rate, options_.loss, options_.events),
                          formats_in_use(book_, sketch.found.to, sketch.types));
    }
    const auto placer = [&](const StreamKey& key) {
      const auto channel = channels == 1 ? 0u : static_cast<unsigned>(sketches_.at(key).found.channel);
      return [&timeline, channel](const AudioFrame& frame) { return timeline.add(channel, frame); };
    };
    std::vector<std::int16_t> samples;
    bool good = true;
    const auto write_until = [&](Instant until) {
      samples.clear();
      timeline.take(
          static_cast<std::int64_t>(std::chrono::duration<double>(until - begin_).count() * rate + 0.5),
          samples);
      good = (*file)->write(samples) && good;
    };
    CapturedDatagram datagram;
    Instant flushed = begin_;
    for (std::size_t number = 0; captures->next(number, datagram);) {
      report(0.5 + captures->share() / 2);
      const auto rtp = parse_rtp(datagram.payload);
      const Instant at = instant(datagram.at);
      // Only streams of the first pass that are no copies.
      if (rtp) {
        const auto known = streams.find({number, datagram.from, datagram.to, rtp->ssrc.value});
        if (known != streams.end()) known->second.first.on_packet(*rtp, at, known->second.second);
      }
      if (at - flushed < kFlush) continue;
      flushed = at;
      for (auto& [key, stream] : streams) stream.first.release(at, placer(key));
      if (at - begin_ > kMargin) write_until(at - kMargin);
    }
    for (auto& [key, stream] : streams) {
      stream.first.finish(placer(key));
      sketches_.at(key).found.problems = stream.first.report().problems;
    }
    // The file ends with the last packet, or with the last sound if that is later.
    write_until(std::max(end_ + 20ms, begin_ + Duration(static_cast<std::int64_t>(
                                                   static_cast<double>(timeline.filled()) / rate * 1e9))));
    result_.rate_hz = rate;
    result_.seconds = static_cast<double>((*file)->frames()) / rate;
    good = (*file)->close() && good;
    if (!good) return fail(fmt::format("cannot write '{}': {}", to, strerror((*file)->error())));
    return {};
  }

  void report(double share) {
    // Not for every packet.
    if (!options_.progress || ++reports_ % 4096 != 0) return;
    options_.progress(share);
  }

  const std::vector<std::string>& from_;
  const ConvertOptions& options_;
  FormatBook book_;
  std::map<StreamKey, Sketch> sketches_;
  Instant begin_{};
  Instant end_{};
  std::uint64_t reports_ = 0;
  Converted result_;
};

}  // namespace

Result<Converted, std::string> convert(const std::vector<std::string>& from, const std::string& to,
                                       const ConvertOptions& options) {
  return Conversion(from, options).run(to);
}

}  // namespace ferry
