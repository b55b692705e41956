// SPDX-License-Identifier: Apache-2.0
// Measures what it costs to convert audio: CPU time for one frame of 20 ms, from a packet that arrives to the
// packet that leaves, by a worker with its stages in itself and by a worker with a media thread, beside the
// bare codec library and a packet that only passes. The network is in memory, so that no system call but that
// of waking a thread is in the figures. Rounds are interleaved; medians are printed.
//
// transcode_cost [CALLS [ROUNDS]]   a table
// transcode_cost json CALLS ROUNDS  for bench/transcode_rate.py: payloads of each codec, and the cost of the
// bare
//                                   libraries in both directions, as one line of JSON

#include "codecs/audio/codec_table.hpp"
#include "codecs/audio/resampler.hpp"
#include "codecs/transcode/mixing_stage.hpp"
#include "relay/io/sim/sim_network.hpp"
#include "relay/media/media_threads.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/speech.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace {

using namespace ferry;
using namespace std::chrono_literals;

constexpr std::size_t kFrames = 100;

struct Codec {
  const char* name;
  std::uint8_t type;
  AudioFormat format;
  /// Time stamp units of 20 ms.
  std::uint32_t units;
};
const std::vector<Codec> kCodecs = {{"PCMU", 0, {"PCMU", 8000, 1, ""}, 160},
                                    {"PCMA", 8, {"PCMA", 8000, 1, ""}, 160},
                                    {"G722", 9, {"G722", 8000, 1, ""}, 160},
                                    {"opus", 111, {"opus", 48000, 2, "useinbandfec=1"}, 960},
                                    {"AMR-WB", 104, {"AMR-WB", 16000, 1, "octet-align=1"}, 320}};
/// Opus toward a narrow party runs at 8 kHz, as control asks for.
CodecSettings settings_of(const Codec& codec, const Codec& other) {
  CodecSettings settings;
  const bool is_narrow = other.format.encoding == "PCMU" || other.format.encoding == "PCMA";
  if (codec.format.encoding == "opus") settings.sample_rate_hz = is_narrow ? 8000 : 16000;
  return settings;
}

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
double process_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Two seconds of a voice in a codec, a payload for each 20 ms.
std::vector<std::vector<std::byte>> payloads_of(const Codec& codec, const Codec& other) {
  auto encoder = make_audio_encoder(codec.format, settings_of(codec, other));
  if (!encoder) std::exit((std::fprintf(stderr, "%s cannot be encoded here\n", codec.name), 1));
  const std::uint32_t rate = (*encoder)->sample_rate_hz();
  const auto voice = test::speech(rate, 0.02 * kFrames);
  std::vector<std::vector<std::byte>> payloads;
  const std::size_t frame = rate / 50;
  for (std::size_t n = 0; n < kFrames; ++n) {
    const std::span<const std::int16_t> samples(voice.data() + n * frame, frame);
    std::vector<std::byte> payload((*encoder)->octets_for(frame));
    payload.resize((*encoder)->encode(samples, payload).octets);
    payloads.push_back(std::move(payload));
  }
  return payloads;
}

/// The codec libraries alone, as their interface gives them: nanoseconds for a frame.
double bare(const Codec& from, const Codec& to, const std::vector<std::vector<std::byte>>& payloads,
            std::size_t calls) {
  double spent = 0;
  for (std::size_t call = 0; call < calls; ++call) {
    auto decoder = std::move(*make_audio_decoder(from.format, settings_of(from, to)));
    auto encoder = std::move(*make_audio_encoder(to.format, settings_of(to, from)));
    const bool resamples = decoder->sample_rate_hz() != encoder->sample_rate_hz();
    std::unique_ptr<AudioResampler> resampler;
    if (resamples)
      resampler = std::make_unique<Resampler>(decoder->sample_rate_hz(), encoder->sample_rate_hz(),
                                              Resampler::Filter::kPrompt);
    std::vector<std::int16_t> heard(decoder->max_samples());
    std::vector<std::int16_t> changed(resamples ? resampler->room_for(heard.size()) : 0);
    std::vector<std::byte> made(2000);
    const std::size_t frame = encoder->sample_rate_hz() / 50;
    std::vector<std::int16_t> waiting;
    waiting.reserve(4 * frame + changed.size());
    const double start = thread_seconds();
    for (const auto& payload : payloads) {
      const std::size_t count = decoder->decode(payload, heard).value_or(0) / decoder->channels();
      std::span<const std::int16_t> samples(heard.data(), count);
      if (resamples) samples = {changed.data(), resampler->run(samples, changed)};
      waiting.insert(waiting.end(), samples.begin(), samples.end());
      for (; waiting.size() >= frame;
           waiting.erase(waiting.begin(), waiting.begin() + static_cast<long>(frame)))
        encoder->encode({waiting.data(), frame}, made);
    }
    spent += thread_seconds() - start;
  }
  return spent * 1e9 / static_cast<double>(calls * payloads.size());
}

enum class Way { kPass, kInWorker, kOnThread };

/// A worker with `calls` streams: nanoseconds for a packet.
double relayed(Way way, const Codec& from, const Codec& to,
               const std::vector<std::vector<std::byte>>& payloads, std::uint32_t calls) {
  SimNetwork network;
  std::size_t left = 0;
  network.set_outlet([&](const SimDatagram&) {
    ++left;
    return true;
  });
  // The thread lives in the time of the network.
  std::atomic<std::int64_t> time{network.now().time_since_epoch().count()};
  MediaThreads threads(
      way == Way::kOnThread ? 1 : 0, 1, [](const StageOwner&) { return make_stage(); },
      [&] { return Instant{Duration{time.load()}}; });
  Worker worker(std::make_unique<SimIo>(network),
                std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}));
  worker.set_stages(threads.maker_for(0, [] {}));
  const auto endpoint = [](std::uint8_t net, std::uint32_t n) {
    return Endpoint{IpAddress::v4({10, net, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}),
                    UdpPort{30000}};
  };
  auto conversion = std::make_shared<AudioConversion>();
  conversion->inputs = {{PayloadType{from.type}, AudioInput::Kind::kSpeech, from.format}};
  conversion->type = PayloadType{to.type};
  conversion->format = to.format;
  conversion->settings = settings_of(to, from);
  for (std::uint32_t n = 0; n < 2 * calls; ++n) {
    const bool is_source = n % 2 == 1;
    TransportPlan plan;
    plan.rtp_latch.signalled = endpoint(2, n);
    SourcePlan source;
    source.media = MediaId{n + 1};
    source.payloads = {{PayloadType{from.type}, G711Law::kNone, 0, false, from.format.clock_rate_hz}};
    if (is_source) {
      source.sinks.resize(1);
      source.sinks[0].via = {n - 1, 0};
      source.sinks[0].to = MediaId{n};
      if (way != Way::kPass) source.sinks[0].conversion = conversion;
    }
    plan.sources = {source};
    InstallTransport command;
    command.id = {n, 0};
    command.plan = std::make_shared<const TransportPlan>(std::move(plan));
    command.ports = {*network.activate(endpoint(1, n), 0), PortHandle{}};
    command.activity = std::make_shared<TransportActivity>();
    worker.post(std::move(command));
    worker.run_once();
  }
  double spent = 0;
  std::vector<std::byte> packet;
  for (std::size_t frame = 0; frame < payloads.size(); ++frame) {
    network.advance_to(network.now() + 20ms);
    time.store(network.now().time_since_epoch().count());
    for (std::uint32_t n = 1; n < 2 * calls; n += 2) {
      packet.resize(kRtpFixedHeaderSize);
      write_rtp_header(packet, PayloadType{from.type}, false, SeqNo{static_cast<std::uint16_t>(frame)},
                       static_cast<std::uint32_t>(frame) * from.units, Ssrc{n});
      packet.insert(packet.end(), payloads[frame].begin(), payloads[frame].end());
      network.send_to_relay({endpoint(2, n), endpoint(1, n), packet});
    }
    const double start = process_seconds();
    worker.run_until_idle();
    // The thread takes its turns here: its CPU time counts in full, and nobody waits for a scheduler.
    while (threads.turn() > 0) worker.run_until_idle();
    worker.run_until_idle();
    // The first frames make the codecs.
    if (frame >= payloads.size() / 10) spent += process_seconds() - start;
  }
  const std::size_t counted = payloads.size() - payloads.size() / 10;
  if (left < counted * calls) std::fprintf(stderr, "only %zu packets left\n", left);
  return spent * 1e9 / static_cast<double>(counted * calls);
}

/// Writes what bench/transcode_rate.py needs.
void write_json(std::size_t calls, int rounds) {
  const Codec& pcmu = kCodecs[0];
  nlohmann::json all = nlohmann::json::object();
  for (const Codec& codec : kCodecs) {
    std::vector<std::string> payloads;
    for (const auto& payload : payloads_of(codec, pcmu)) {
      std::string hex;
      for (const std::byte octet : payload) hex += fmt::format("{:02x}", static_cast<unsigned>(octet));
      payloads.push_back(std::move(hex));
    }
    std::vector<double> there;
    std::vector<double> back;
    for (int round = 0; round < rounds; ++round) {
      there.push_back(bare(pcmu, codec, payloads_of(pcmu, codec), calls));
      back.push_back(bare(codec, pcmu, payloads_of(codec, pcmu), calls));
    }
    all[codec.name] = {{"type", codec.type},
                       {"units", codec.units},
                       {"payloads", payloads},
                       {"bare_us", (median(there) + median(back)) / 1000}};
  }
  std::printf("%s\n", all.dump().c_str());
}

}  // namespace

int main(int count, char** words) {
  if (count == 4 && std::string(words[1]) == "json") {
    write_json(static_cast<std::size_t>(std::atoi(words[2])), std::atoi(words[3]));
    return 0;
  }
  const auto calls = static_cast<std::uint32_t>(count > 1 ? std::atoi(words[1]) : 50);
  const int rounds = count > 2 ? std::atoi(words[2]) : 7;
  const Codec& pcmu = kCodecs[0];
  std::printf("%-18s %9s %9s %9s %9s %6s %6s\n", "us a frame", "bare", "passed", "worker", "thread", "ratio",
              "ratio");
  for (std::size_t i = 1; i < kCodecs.size(); ++i) {
    for (const bool is_back : {false, true}) {
      const Codec& from = is_back ? kCodecs[i] : pcmu;
      const Codec& to = is_back ? pcmu : kCodecs[i];
      const auto payloads = payloads_of(from, to);
      std::map<std::string, std::vector<double>> seen;
      for (int round = 0; round < rounds; ++round) {
        seen["bare"].push_back(bare(from, to, payloads, calls));
        seen["passed"].push_back(relayed(Way::kPass, from, to, payloads, calls));
        seen["worker"].push_back(relayed(Way::kInWorker, from, to, payloads, calls));
        seen["thread"].push_back(relayed(Way::kOnThread, from, to, payloads, calls));
      }
      const double least = median(seen["bare"]) + median(seen["passed"]);
      std::printf("%-18s %9.2f %9.2f %9.2f %9.2f %6.2f %6.2f\n",
                  (std::string(from.name) + " to " + to.name).c_str(), median(seen["bare"]) / 1000,
                  median(seen["passed"]) / 1000, median(seen["worker"]) / 1000, median(seen["thread"]) / 1000,
                  median(seen["worker"]) / least, median(seen["thread"]) / least);
    }
  }
  return 0;
}
