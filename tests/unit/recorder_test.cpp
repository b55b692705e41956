// SPDX-License-Identifier: Apache-2.0
// Whole recordings in virtual time.

#include "recorder/after/digest.hpp"
#include "recorder/files/output.hpp"
#include "relay/base/random.hpp"
#include "tests/support/recordings.hpp"

#include <functional>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::make_keys;
using test::Sound;
using test::TemporaryFolder;
namespace fs = std::filesystem;

constexpr double kLeftHertz = 400;
constexpr double kRightHertz = 1000;

/// A-law as ITU-T G.711 has it, written for the tests.
std::uint8_t a_law(int sample) {
  const int sign = sample >= 0 ? 0x80 : 0;
  int magnitude = std::min(std::abs(sample) >> 4, 2047);
  int exponent = 0;
  for (int m = magnitude; m >= 32; m >>= 1) ++exponent;
  const int mantissa = exponent == 0 ? magnitude >> 1 : magnitude >> exponent & 0x0f;
  const int segment = magnitude < 32 ? (magnitude >> 4) : exponent + 1;
  const int code = magnitude < 32 ? magnitude >> 1 : segment << 4 | (mantissa & 0x0f);
  return static_cast<std::uint8_t>((sign | code) ^ 0x55);
}

/// One sender in virtual time: a tone in A-law that goes on with the clock.
struct Sender {
  TransportId transport;
  MediaId media;
  Endpoint from;
  double hertz = kLeftHertz;
  std::uint32_t ssrc = 1;
  std::uint16_t sequence = 65000;
  std::uint32_t timestamp = 0xfffff000;
  std::uint8_t payload_type = 8;
  std::size_t samples = 160;
  std::uint64_t phase = 0;

  std::vector<std::byte> packet() {
    std::vector<std::byte> datagram(kRtpFixedHeaderSize + samples);
    write_rtp_header(datagram, PayloadType{payload_type}, false, SeqNo{sequence}, timestamp, Ssrc{ssrc});
    for (std::size_t i = 0; i < samples; ++i)
      datagram[kRtpFixedHeaderSize + i] = static_cast<std::byte>(a_law(static_cast<int>(
          8000 * std::sin(2 * std::numbers::pi * hertz * static_cast<double>(phase + i) / 8000))));
    skip();
    return datagram;
  }
  /// A packet that is not sent, or is lost.
  void skip() {
    ++sequence;
    silence();
  }
  /// Time goes on without a packet (DTX).
  void silence() {
    timestamp += static_cast<std::uint32_t>(samples);
    phase += samples;
  }
};

class RecordingTest : public testing::Test {
 protected:
  RecordingTest() {
    settings_.directory = home_.path("rec");
    settings_.audio = true;
    settings_.queue_bytes = 8u << 20;
  }
  void start() {
    auto made = Recorder::make(
        settings_, 1,
        [this](RecorderLogLevel, const std::string& line) {
          const std::lock_guard guard(lock_);
          log_ += line + "\n";
        },
        time_.clock());
    ASSERT_TRUE(made) << made.error();
    recorder_ = std::move(*made);
  }
  /// Writes a hook that notes its call, hangs for a call "stuck" and fails for a call "bad", and orders it.
  void write_hook() {
    settings_.audio = false;
    settings_.hook = home_.path("hook.sh");
    settings_.owner = getuid();
    settings_.group = getgid();
    std::ofstream(settings_.hook) << "#!/bin/sh\necho \"$1\" >> " << home_.path("called")
                                  << "\ncase \"$1\" in *stuck*) sleep 600;; *bad*) exit 3;; esac\n";
    fs::permissions(settings_.hook, fs::perms(0755));
  }
  void begin(const std::string& call = "call", const RecordingOrder& order = {}) {
    if (!recorder_) start();
    RecordingOrder whole = order;
    whole.call_id = call;
    whole.asked_by = "test";
    recording_ = recorder_->start(whole);
    recording_->describe(described());
    begin_ = time_.now();
  }
  RecordedCall described() const {
    RecordedCall call;
    call.parties = {{1, "A", "", "", false}, {2, "B", "", "", false}};
    const std::vector<RecordedFormat> formats = {{PayloadType{8}, "PCMA", 8000, 1, ""},
                                                 {PayloadType{0}, "PCMU", 8000, 1, ""},
                                                 {PayloadType{101}, "telephone-event", 8000, 1, ""}};
    for (const unsigned n : {1u, 2u})
      call.streams.push_back(
          {TransportId{n, 0},
           MediaId{n},
           n,
           1,
           "audio",
           {*IpAddress::parse("203.0.113.1"), UdpPort{static_cast<std::uint16_t>(30000 + 2 * n)}},
           formats});
    return call;
  }
  static Sender sender(unsigned n) {
    Sender sender;
    sender.transport = TransportId{n, 0};
    sender.media = MediaId{n};
    sender.from = {*IpAddress::parse(n == 1 ? "192.0.2.10" : "198.51.100.20"),
                   UdpPort{static_cast<std::uint16_t>(4000 * n)}};
    sender.hertz = n == 1 ? kLeftHertz : kRightHertz;
    sender.ssrc = n * 1000;
    return sender;
  }
  void arrive(const Sender& from, Bytes datagram, Duration late = 0ms, bool is_rtcp = false) {
    TapPacket packet;
    packet.transport = from.transport;
    packet.media = from.media;
    packet.is_rtcp = is_rtcp;
    packet.from = from.from;
    packet.datagram = datagram;
    packet.size = datagram.size();
    packet.received_at = time_.now() + late;
    recording_->tap().on_packet(packet);
  }
  /// Both speak for `packets` times 20 ms.
  void talk(int packets) {
    for (int i = 0; i < packets; ++i) {
      arrive(a_, a_.packet());
      arrive(b_, b_.packet());
      time_.advance(20ms);
    }
  }
  /// Another process records two seconds, and ends as it is when `seen` of its audio file becomes true. It
  /// looks every `pause`, in which 5 ms pass for the recorder.
  void be_cut_off(Duration pause, const std::function<bool(const fs::path&)>& seen) {
    const pid_t child = fork();
    if (child == 0) {
      begin("cut off");
      for (int i = 0; i < 100; ++i) {
        arrive(a_, a_.packet());
        time_.advance(20ms);
      }
      const auto limit = std::chrono::steady_clock::now() + 10s;
      while (std::chrono::steady_clock::now() < limit) {
        if (pause > 0ms) {
          std::this_thread::sleep_for(pause);
          time_.advance(5ms);
        }
        for (const auto& entry : fs::recursive_directory_iterator(settings_.directory)) {
          if (entry.path().extension() == ".wav" && seen(entry.path())) _exit(0);
        }
      }
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_EQ(WEXITSTATUS(status), 0);
    random_hex(64);  // the child had the same random numbers before it
  }
  json end(std::string_view reason = "test") {
    recording_->end(reason);
    recording_->finish();
    recording_.reset();
    recorder_->settle();
    const auto all = test::manifests(settings_.directory);
    return all.empty() ? json() : all.back();
  }
  Sound sound(const json& manifest, std::size_t n = 0) const {
    for (const json& file : manifest["files"]) {
      if (file["kind"] == "audio" && n-- == 0)
        return test::read_sound(settings_.directory + "/" + file["name"].get<std::string>());
    }
    return {};
  }
  static json stream(const json& manifest, unsigned party) {
    for (const json& each : manifest["streams"]) {
      if (each["party"] == party && each["protocol"] == "RTP") return each;
    }
    return {};
  }

  TemporaryFolder home_;
  test::VirtualTime time_;
  RecorderSettings settings_;
  std::mutex lock_;
  std::string log_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<CallRecording> recording_;
  Instant begin_{};
  Sender a_ = sender(1);
  Sender b_ = sender(2);
};

TEST_F(RecordingTest, CallerLeftCalleeRightAsLongAsTheCall) {
  begin();
  time_.advance(1s);
  talk(100);
  time_.advance(500ms);
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_EQ(heard.channels, 2);
  EXPECT_NEAR(heard.seconds(), 3.5, 0.001);
  EXPECT_NEAR(heard.first_sound(0), 1, 0.001);
  EXPECT_NEAR(heard.first_sound(1), 1, 0.001);
  EXPECT_GT(heard.share(0, kLeftHertz, 1.01, 2.99), 0.99);
  EXPECT_GT(heard.share(1, kRightHertz, 1.01, 2.99), 0.99);
  EXPECT_LT(heard.level(0, 3.01, 3.5), 1);
  EXPECT_EQ(manifest["state"], "complete");
  EXPECT_EQ(manifest["duration_ms"], 3500);
  EXPECT_EQ(stream(manifest, 1)["packets"], 100);
  EXPECT_EQ(stream(manifest, 1)["lost"], 0);
}

TEST_F(RecordingTest, LossIsSilenceAndMarked) {
  begin();
  for (int i = 0; i < 100; ++i) {
    if (i >= 40 && i < 50)
      a_.skip();
    else
      arrive(a_, a_.packet());
    arrive(b_, b_.packet());
    time_.advance(20ms);
  }
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_LT(heard.level(0, 0.81, 0.99), 1);
  EXPECT_GT(heard.share(0, kLeftHertz, 1.01, 1.99), 0.99) << "what follows is in its place";
  EXPECT_GT(heard.share(1, kRightHertz, 0.01, 1.99), 0.99);
  const json gaps = stream(manifest, 1)["gaps"];
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0]["packets"], 10);
  EXPECT_NEAR(gaps[0]["at_ms"].get<double>(), 1000, 1);
  EXPECT_EQ(stream(manifest, 1)["lost"], 10);
}

TEST_F(RecordingTest, LossIsHiddenIfWanted) {
  settings_.loss = LossPolicy::kConceal;
  begin();
  for (int i = 0; i < 100; ++i) {
    if (i == 40)
      a_.skip();
    else
      arrive(a_, a_.packet());
    time_.advance(20ms);
  }
  const Sound heard = sound(end());
  EXPECT_GT(heard.level(0, 0.801, 0.819), 2000);
  EXPECT_GT(heard.share(0, kLeftHertz, 1.01, 1.99), 0.99);
}

TEST_F(RecordingTest, DtxReorderingAndDuplicates) {
  begin();
  std::vector<std::byte> late;
  for (int i = 0; i < 200; ++i) {
    if (i >= 50 && i < 100) {
      a_.silence();  // nothing is sent, nothing is lost
    } else if (i % 10 == 5) {
      late = a_.packet();
    } else {
      arrive(a_, a_.packet());
      if (i % 10 == 7 && !late.empty()) {
        arrive(a_, late);
        arrive(a_, late);
      }
    }
    time_.advance(20ms);
  }
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_GT(heard.share(0, kLeftHertz, 0.01, 0.99), 0.99);
  EXPECT_LT(heard.level(0, 1.01, 1.99), 1);
  EXPECT_GT(heard.share(0, kLeftHertz, 2.01, 3.99), 0.99);
  const json told = stream(manifest, 1);
  EXPECT_EQ(told["lost"], 0);
  EXPECT_EQ(told["duplicates"], 15);
  EXPECT_EQ(told["packets"], 165);
  EXPECT_TRUE(told["gaps"].empty());
}

TEST_F(RecordingTest, HoldSsrcAndPayloadChangesLeaveChannelsInStep) {
  begin();
  talk(50);
  for (int i = 0; i < 250; ++i) {  // on hold: the caller's clock stands still
    arrive(b_, b_.packet());
    time_.advance(20ms);
  }
  talk(50);
  a_.ssrc = 77;
  a_.sequence = 5;
  a_.timestamp = 12345;
  a_.samples = 240;  // 30 ms
  for (int i = 0; i < 300; ++i) {
    if (i % 3 == 0) arrive(a_, a_.packet());
    if (i % 2 == 0) arrive(b_, b_.packet());
    time_.advance(10ms);
  }
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_NEAR(heard.seconds(), 10, 0.001);
  EXPECT_GT(heard.share(1, kRightHertz, 0.01, 9.99), 0.99);
  EXPECT_GT(heard.share(0, kLeftHertz, 0.01, 0.99), 0.99);
  EXPECT_LT(heard.level(0, 1.01, 5.99), 1) << "hold";
  EXPECT_NEAR(heard.first_sound(0, 500, 1.01), 6, 0.001);
  EXPECT_GT(heard.share(0, kLeftHertz, 6.01, 6.99), 0.99);
  EXPECT_GT(heard.share(0, kLeftHertz, 7.01, 9.95), 0.99);
}

TEST_F(RecordingTest, ADriftingClockStaysInStep) {
  settings_.queue_bytes = 64u << 20;
  begin();
  // Ten minutes; the callee's clock is 100 ppm slow: its packets come a little later each time.
  Duration behind{0};
  for (int i = 0; i < 30'000; ++i) {
    arrive(a_, a_.packet());
    arrive(b_, b_.packet(), behind);
    behind += 2us;
    time_.advance(20ms);
  }
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_NEAR(heard.seconds(), 600, 0.02);
  EXPECT_GT(heard.level(1, 599.9, 599.99), 3000) << "the slow one is heard to the end";
  EXPECT_EQ(stream(manifest, 2)["packets"], 30'000);
}

TEST_F(RecordingTest, REC3_APauseRemovesAudioEventsAndPackets) {
  begin();
  talk(50);
  recording_->pause(true, "test");
  Sender key = a_;
  key.payload_type = 101;
  for (int i = 0; i < 50; ++i) {
    arrive(a_, a_.packet());
    std::vector<std::byte> event(kRtpFixedHeaderSize + 4);
    write_rtp_header(event, PayloadType{101}, false, SeqNo{key.sequence++}, key.timestamp, Ssrc{a_.ssrc});
    event[kRtpFixedHeaderSize] = std::byte{5};
    write_u16(event, kRtpFixedHeaderSize + 2, static_cast<std::uint16_t>(160 * i));
    arrive(a_, event);
    time_.advance(20ms);
  }
  recording_->pause(false, "test");
  talk(50);
  const json manifest = end();
  const Sound heard = sound(manifest);
  EXPECT_NEAR(heard.seconds(), 3, 0.001);
  EXPECT_LT(heard.level(0, 1.001, 1.999), 1);
  EXPECT_GT(heard.share(0, kLeftHertz, 2.01, 2.99), 0.99);
  ASSERT_EQ(manifest["pauses"].size(), 1u);
  EXPECT_EQ(manifest["pauses"][0], (json{{"from_ms", 1000}, {"to_ms", 2000}}));
  EXPECT_EQ(stream(manifest, 1)["packets"], 100) << "nothing of the pause was counted either";
  EXPECT_EQ(stream(manifest, 1)["lost"], 0) << "and nothing of it was lost";
  EXPECT_TRUE(stream(manifest, 1)["gaps"].empty());
}

TEST_F(RecordingTest, REC3_AKeyThatIsHeldOverAPauseIsNotHeardInIt) {
  settings_.loss = LossPolicy::kConceal;
  begin();
  talk(50);
  const std::uint32_t timestamp = a_.timestamp;
  for (int i = 1; i <= 30; ++i) {
    if (i == 6) recording_->pause(true, "test");
    if (i == 26) recording_->pause(false, "test");
    std::vector<std::byte> event(kRtpFixedHeaderSize + 4);
    write_rtp_header(event, PayloadType{101}, i == 1, SeqNo{a_.sequence++}, timestamp, Ssrc{a_.ssrc});
    event[kRtpFixedHeaderSize] = std::byte{5};
    event[kRtpFixedHeaderSize + 1] = std::byte{10};
    write_u16(event, kRtpFixedHeaderSize + 2, static_cast<std::uint16_t>(160 * i));
    arrive(a_, event);
    arrive(b_, b_.packet());
    a_.silence();
    time_.advance(20ms);
  }
  talk(50);
  const Sound heard = sound(end());
  EXPECT_GT(heard.level(0, 1.01, 1.09), 1000);
  EXPECT_LT(heard.level(0, 1.101, 1.499), 1) << "the pause";
  EXPECT_LT(heard.level(1, 1.101, 1.499), 1) << "nothing stands for what was not wanted";
  EXPECT_GT(heard.level(0, 1.51, 1.59), 1000);
  EXPECT_GT(heard.share(1, kRightHertz, 1.51, 2.5), 0.99);
}

TEST_F(RecordingTest, EventsAreTonesAtTheirPlace) {
  begin();
  talk(50);
  const std::uint32_t timestamp = a_.timestamp;
  for (int i = 1; i <= 10; ++i) {
    std::vector<std::byte> event(kRtpFixedHeaderSize + 4);
    write_rtp_header(event, PayloadType{101}, i == 1, SeqNo{a_.sequence++}, timestamp, Ssrc{a_.ssrc});
    event[kRtpFixedHeaderSize] = std::byte{5};
    event[kRtpFixedHeaderSize + 1] = std::byte{10};
    write_u16(event, kRtpFixedHeaderSize + 2, static_cast<std::uint16_t>(160 * i));
    arrive(a_, event);
    a_.silence();
    arrive(b_, b_.packet());
    time_.advance(20ms);
  }
  talk(50);
  const Sound heard = sound(end());
  EXPECT_GT(heard.share(0, 770, 1.01, 1.19) + heard.share(0, 1336, 1.01, 1.19), 0.9) << "a five";
  EXPECT_GT(heard.share(0, kLeftHertz, 1.21, 2.19), 0.99);
}

TEST_F(RecordingTest, LayoutsAndPacketFilesByParty) {
  settings_.layout = AudioLayout::kSeparate;
  settings_.packets_by_party = true;
  begin();
  talk(50);
  const json manifest = end();
  const Sound one = sound(manifest, 0);
  const Sound two = sound(manifest, 1);
  EXPECT_EQ(one.channels, 1);
  EXPECT_GT(std::max(one.share(0, kLeftHertz, 0.01, 0.99), two.share(0, kLeftHertz, 0.01, 0.99)), 0.99);
  EXPECT_GT(std::max(one.share(0, kRightHertz, 0.01, 0.99), two.share(0, kRightHertz, 0.01, 0.99)), 0.99);
  EXPECT_EQ(manifest["files"].size(), 4u);
}

TEST_F(RecordingTest, ASilentPartyHasASilentFileOfItsOwn) {
  settings_.layout = AudioLayout::kSeparate;
  settings_.packets = false;
  begin();
  for (int i = 0; i < 50; ++i) {
    arrive(a_, a_.packet());
    b_.silence();
    time_.advance(20ms);
  }
  const json manifest = end();
  ASSERT_EQ(manifest["files"].size(), 2u);
  const Sound one = sound(manifest, 0);
  const Sound two = sound(manifest, 1);
  const double share = one.share(0, kLeftHertz, 0.01, 0.99) + two.share(0, kLeftHertz, 0.01, 0.99);
  EXPECT_GT(share, 0.99) << "the caller is heard in one of them";
  EXPECT_LT(share, 1.01) << "and nobody in the other";
}

TEST_F(RecordingTest, TheManifestNamesThePortThatRtcpCameTo) {
  begin();
  talk(5);
  const std::array<std::byte, 8> report = {std::byte{0x80}, std::byte{201}, std::byte{0}, std::byte{1}};
  TapPacket packet;
  packet.transport = a_.transport;
  packet.media = a_.media;
  packet.is_rtcp = true;
  packet.port = Component::kRtcp;
  packet.from = a_.from;
  packet.datagram = report;
  packet.size = report.size();
  packet.received_at = time_.now();
  recording_->tap().on_packet(packet);
  const json manifest = end();
  std::string rtp;
  std::string rtcp;
  for (const json& stream : manifest["streams"]) {
    if (stream["party"] != 1) continue;
    (stream.value("protocol", "") == "RTCP" ? rtcp : rtp) = stream["local"].get<std::string>();
  }
  const auto rtp_at = Endpoint::parse(rtp);
  const auto rtcp_at = Endpoint::parse(rtcp);
  ASSERT_TRUE(rtp_at && rtcp_at) << rtp << " " << rtcp;
  EXPECT_EQ(rtcp_at->port.value, rtp_at->port.value + 1);
}

TEST_F(RecordingTest, AMixHasBothInOneChannel) {
  settings_.layout = AudioLayout::kMixed;
  begin();
  talk(50);
  const Sound heard = sound(end());
  EXPECT_EQ(heard.channels, 1);
  EXPECT_GT(heard.share(0, kLeftHertz, 0.01, 0.99), 0.4);
  EXPECT_GT(heard.share(0, kRightHertz, 0.01, 0.99), 0.4);
}

TEST_F(RecordingTest, WithoutAPacketThereIsAManifestAndSilence) {
  begin("nobody spoke");
  time_.advance(2s);
  const json manifest = end("timeout");
  EXPECT_EQ(manifest["call_id"], "nobody spoke");
  EXPECT_EQ(manifest["reason"], "timeout");
  EXPECT_NEAR(sound(manifest).seconds(), 2, 0.001);
  EXPECT_EQ(manifest["files"].size(), 2u);
}

TEST_F(RecordingTest, ExcludedAndDiscarded) {
  begin();
  talk(10);
  recording_->discard();
  EXPECT_TRUE(end().is_null());
  EXPECT_TRUE(fs::is_empty(settings_.directory) ||
              fs::directory_iterator(settings_.directory)->path().filename() == ".spool");
}

TEST_F(RecordingTest, CTL10_NamesStayBelowAndNothingIsOverwritten) {
  start();
  for (const auto& [file, directory] : {std::pair{"/etc/passwd", ""}, std::pair{"../../x.wav", ""},
                                        std::pair{"", "/etc"}, std::pair{"", "../.."}, std::pair{"", ""}}) {
    RecordingOrder order;
    order.file = file;
    order.directory = directory;
    begin("../../evil", order);
    EXPECT_THAT(recording_->packet_files().front(),
                testing::StartsWith(settings_.directory + "/%2E.%2F..%2Fevil-"))
        << file << directory;
    end();
  }
  RecordingOrder order;
  order.file = settings_.directory + "/2026/case 7.pcap";
  for (int i = 0; i < 3; ++i) {
    begin("again", order);
    talk(i + 1);
    end();
  }
  std::vector<std::uint64_t> packets;
  for (const char* name : {"case 7", "case 7-2", "case 7-3"}) {
    const json manifest = test::read_json(settings_.directory + "/2026/" + name + ".json");
    packets.push_back(stream(manifest, 1)["packets"]);
    EXPECT_TRUE(fs::exists(settings_.directory + "/2026/" + name + ".pcap"));
  }
  EXPECT_EQ(packets, (std::vector<std::uint64_t>{1, 2, 3}));
}

// What a request asks for and no file can be: the usual name is used, told once, and nothing stays in the
// spool.
TEST_F(RecordingTest, CTL10_NamesThatCannotBeBecomeTheUsualOne) {
  start();
  fs::create_directories(home_.path("elsewhere"));
  fs::create_directory_symlink(home_.path("elsewhere"), settings_.directory + "/link");
  fs::create_directory_symlink(home_.path("gone"), settings_.directory + "/dangling");
  std::ofstream(settings_.directory + "/plain") << "a file";
  const std::string long_part(201, 'x');
  const std::pair<std::string, std::string> rows[] = {
      {"link/a", ""},         {"dangling/a", ""},
      {"2026/../link/a", ""}, {"plain/a", ""},
      {long_part, ""},        {"a/" + long_part, ""},
      {long_part + "/a", ""}, {std::string(300, 'y'), ""},
      {".spool/a", ""},       {".hidden/a.pcap", ""},
      {"a/.b", ""},           {"", "link"},
      {"", "dangling/sub"},   {"", "plain"},
      {"", ".spool"},         {"", long_part},
      {"", "link/a/b"},       {"", std::string(4096, '/')},
  };
  for (const auto& [file, directory] : rows) {
    RecordingOrder order;
    order.file = file;
    order.directory = directory;
    begin("odd", order);
    talk(1);
    const json manifest = end();
    ASSERT_FALSE(manifest.is_null()) << file << directory;
    const auto name = manifest["files"][0]["name"].get<std::string>();
    EXPECT_THAT(name, testing::StartsWith("odd-")) << file << directory;
    EXPECT_TRUE(fs::exists(settings_.directory + "/" + name)) << file << directory;
  }
  EXPECT_TRUE(fs::is_empty(home_.path("elsewhere")));
  for (const auto& each : fs::recursive_directory_iterator(settings_.directory + "/.spool"))
    EXPECT_TRUE(each.is_directory() || each.path().filename() == "lock") << each.path();
}

TEST_F(RecordingTest, AFullQueueCostsRecordingOnlyAndIsTold) {
  settings_.queue_bytes = 1;  // the least there is
  begin();
  std::uint64_t sent = 0;
  for (; sent < 3000; ++sent) arrive(a_, a_.packet());  // faster than any thread takes them
  const json manifest = end();
  const std::uint64_t lost = manifest["losses"]["queue_packets"];
  EXPECT_EQ(stream(manifest, 1)["packets"].get<std::uint64_t>() + lost, sent);
  EXPECT_EQ(recorder_->totals().packets_lost, lost);
}

TEST_F(RecordingTest, C08_ADiskThatIsGoneCostsRecordingOnly) {
  begin();
  recorder_->settle();
  // Nothing can be made in the spool any more.
  std::error_code busy;
  while (fs::exists(settings_.directory + "/.spool")) fs::remove_all(settings_.directory + "/.spool", busy);
  RecordingOrder order;
  order.call_id = "unlucky";
  auto unlucky = recorder_->start(order);
  unlucky->describe(described());
  std::swap(recording_, unlucky);
  talk(50);
  std::swap(recording_, unlucky);
  unlucky->end("test");
  unlucky->finish();
  end();
  const RecorderTotals totals = recorder_->totals();
  EXPECT_EQ(totals.failed, 2u);
  EXPECT_THAT(totals.trouble, testing::HasSubstr("No such file or directory"));
  for (const json& manifest : test::manifests(settings_.directory))
    EXPECT_TRUE(manifest["losses"].contains("first_error")) << manifest.dump();
}

TEST_F(RecordingTest, AnInterruptedRecordingIsFinishedByTheNextProcess) {
  // Everything up to a second ago is on the disk once the writer has looked at the clock again.
  be_cut_off(10ms, [](const fs::path& audio) { return test::read_sound(audio).seconds() > 1.2; });
  EXPECT_TRUE(test::manifests(settings_.directory).empty());
  start();
  recorder_->settle();
  const auto all = test::manifests(settings_.directory);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0]["state"], "interrupted");
  EXPECT_EQ(all[0]["call_id"], "cut off");
  const Sound heard = sound(all[0]);
  EXPECT_GT(heard.seconds(), 1.2);
  EXPECT_GT(heard.share(0, kLeftHertz, 0.1, 1.1), 0.99);
}

TEST_F(RecordingTest, WhatIsOnTheDiskIsFoundHoweverSoonTheProcessEnds) {
  for (int round = 0; round < 20; ++round) {
    settings_.directory = home_.path(fmt::format("rec-{}", round));
    be_cut_off(0ms, [](const fs::path& audio) { return fs::file_size(audio) > 1000; });
    start();
    recorder_->settle();
    const auto all = test::manifests(settings_.directory);
    ASSERT_EQ(all.size(), 1u) << round;
    EXPECT_GT(sound(all[0]).seconds(), 0) << round << all[0].dump();
    recorder_.reset();
  }
}

TEST_F(RecordingTest, JsonOfOthersStopsNothing) {
  settings_.quota_bytes = 1 << 30;
  fs::create_directories(settings_.directory + "/.spool/run-00000000");
  std::ofstream(settings_.directory + "/.spool/run-00000000/lock");
  for (const char* name : {"/a.json", "/.spool/run-00000000/a.json"})
    std::ofstream(settings_.directory + name)
        << R"({"state":"recording","id":7,"base":[],"call_id":1,"files":[{"name":3,"size":"x"}],"end":2})";
  fs::create_directories(settings_.directory + "/.spool/run-11111111");
  std::ofstream(settings_.directory + "/.spool/run-11111111/lock");
  begin();
  talk(10);
  recording_->end("test");
  recording_->finish();
  recording_.reset();
  recorder_->settle();
  EXPECT_EQ(test::manifests(settings_.directory).size(), 2u) << "the foreign one is left alone";
  EXPECT_FALSE(fs::exists(settings_.directory + "/.spool/run-11111111")) << "nothing was left in it";
  EXPECT_TRUE(fs::exists(settings_.directory + "/.spool/run-00000000/a.json"));
}

TEST_F(RecordingTest, RetentionAndQuotaRemoveTheOldestAndSaySo) {
  settings_.audio = false;
  begin("first");
  talk(100);
  end();
  begin("second");
  talk(100);
  end();
  recorder_.reset();
  settings_.quota_bytes = 60'000;  // room for one
  begin("third");
  talk(100);
  end();
  const auto left = test::manifests(settings_.directory);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0]["call_id"], "third");
  const std::lock_guard guard(lock_);
  EXPECT_THAT(log_, testing::HasSubstr("removed recording first-"));
}

TEST_F(RecordingTest, RetentionRemovesWhatIsTooOld) {
  settings_.retention = std::chrono::hours(24);  // the virtual time of these recordings is years ago
  begin();
  talk(10);
  recording_->end("test");
  recording_->finish();
  recording_.reset();
  recorder_->settle();
  recorder_.reset();
  EXPECT_TRUE(test::manifests(settings_.directory).empty());
  const std::lock_guard guard(lock_);
  EXPECT_THAT(log_, testing::HasSubstr("older than recording-retention"));
}

TEST_F(RecordingTest, REC4_EncryptedFilesHashChainAndSignature) {
  if (!make_keys(home_.path())) GTEST_SKIP() << "openssl is not there";
  settings_.encryption_key = home_.path("pub.pem");
  settings_.signing_key = home_.path("sign.pem");
  begin();
  talk(100);
  const json manifest = end();
  for (const json& file : manifest["files"]) {
    EXPECT_TRUE(file["encrypted"]);
    const std::string path = settings_.directory + "/" + file["name"].get<std::string>();
    const std::string plain = home_.path(file["name"].get<std::string>());
    const auto done = unseal(path, plain, home_.path("key.pem"));
    ASSERT_TRUE(done) << done.error();
    if (file["kind"] == "audio") {
      EXPECT_GT(test::read_sound(plain).share(0, kLeftHertz, 0.01, 1.9), 0.99);
    }
    const FileDescriptor opened(open(path.c_str(), O_RDONLY));
    const auto digest = digest_file(opened.get(), manifest["id"]);
    ASSERT_TRUE(digest);
    EXPECT_EQ(file["chain"]["sha256"], json(digest->chain));
    EXPECT_EQ(file["sha256"], digest->sha256);
  }
  std::string name;
  for (const auto& entry : fs::directory_iterator(settings_.directory)) {
    if (entry.path().extension() == ".json") name = entry.path();
  }
  const auto verify = [&] {
    return std::system(
        fmt::format(
            "openssl pkeyutl -verify -pubin -inkey {} -rawin -in '{}' -sigfile '{}.sig' >/dev/null 2>&1",
            home_.path("verify.pem"), name, name)
            .c_str());
  };
  EXPECT_EQ(verify(), 0);
  std::fstream file(name, std::ios::in | std::ios::out);
  file.seekp(20);
  file.put('X');
  file.close();
  EXPECT_NE(verify(), 0) << "a changed manifest";
}

TEST_F(RecordingTest, HooksRunBoundedInNumber) {
  write_hook();
  settings_.hook_limit = 2;
  for (const char* name : {"good", "bad", "good2", "bad2", "good3"}) {
    begin(name);
    end();
  }
  recorder_->settle();
  const RecorderTotals totals = recorder_->totals();
  EXPECT_EQ(totals.hooks_run, 5u);
  EXPECT_EQ(totals.hooks_failed, 2u);
  std::ifstream called(home_.path("called"));
  const std::string text((std::istreambuf_iterator<char>(called)), {});
  EXPECT_EQ(std::ranges::count(text, '\n'), 5);
  EXPECT_THAT(text, testing::HasSubstr(settings_.directory + "/good-"));
}

// No other hook runs here: on a busy host any of them may need longer than the short time limit.
TEST_F(RecordingTest, AHookThatDoesNotEndIsEnded) {
  write_hook();
  settings_.hook_timeout = 1s;
  begin("stuck");
  end();
  recorder_->settle();
  const RecorderTotals totals = recorder_->totals();
  EXPECT_EQ(totals.hooks_run, 1u);
  EXPECT_EQ(totals.hooks_failed, 1u);
}

}  // namespace
}  // namespace ferry
