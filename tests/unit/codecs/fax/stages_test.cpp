// SPDX-License-Identifier: Apache-2.0
// Whole faxes through the stages that parties of a call get, in virtual time, over links with jitter and
// loss.

#include "codecs/fax/stages.hpp"

#include "tests/support/fax.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::stages_test {
namespace {

using namespace std::chrono_literals;

/// Keeps datagrams until they are due.
class Link {
 public:
  Link(unsigned seed, int jitter_ms, double loss) : random_(seed), jitter_ms_(jitter_ms), loss_(seed, loss) {}
  void send(Bytes datagram, int now_ms) {
    const int at = now_ms + std::uniform_int_distribution<int>(0, jitter_ms_)(random_);
    if (loss_.passes()) waiting_.emplace(at, std::vector<std::byte>(datagram.begin(), datagram.end()));
  }
  /// Calls `take` with everything that arrives.
  template <class Take>
  void arrive(int now_ms, const Take& take) {
    while (!waiting_.empty() && waiting_.begin()->first <= now_ms) {
      take(Bytes(waiting_.begin()->second));
      waiting_.erase(waiting_.begin());
    }
  }

 private:
  std::mt19937 random_;
  int jitter_ms_;
  LossyLink loss_;
  std::multimap<int, std::vector<std::byte>> waiting_;
};

/// Takes what a stage makes onto a link.
class Leaving final : public MadePackets {
 public:
  explicit Leaving(Link& link) : link_(link) {}
  void take(const MadePacket& packet) noexcept override {
    timestamp_ += packet.units;
    Packet datagram(kRtpFixedHeaderSize);
    write_rtp_header(datagram, packet.type, packet.marker, SeqNo{sequence_++}, timestamp_, Ssrc{7});
    datagram.insert(datagram.end(), packet.payload.begin(), packet.payload.end());
    link_.send(datagram, now_ms);
    ++packets;
  }
  void take_datagram(Bytes datagram) noexcept override {
    link_.send(datagram, now_ms);
    ++datagrams;
  }
  int now_ms = 0;
  std::size_t packets = 0;
  std::size_t datagrams = 0;

 private:
  Link& link_;
  std::uint16_t sequence_ = 0;
  std::uint32_t timestamp_ = 0;
};

/// A telephone adapter with a fax machine: it sends 20 ms each 20 ms, and plays what it gets from a steady
/// buffer.
class Adapter {
 public:
  Adapter(const FaxJob& job, Law law) : machine(job), law_(law) {}
  void step(Leaving& out) {
    std::array<std::int16_t, 160> samples{};
    buffer_.take(samples);
    machine.hear(samples);
    machine.speak(samples);
    std::array<std::byte, 160> octets{};
    for (std::size_t i = 0; i < samples.size(); ++i)
      octets[i] = std::byte{law_ == Law::kA ? linear_to_alaw(samples[i]) : linear_to_ulaw(samples[i])};
    MadePacket packet;
    packet.type = PayloadType{static_cast<std::uint8_t>(law_ == Law::kA ? 8 : 0)};
    packet.units = 160;
    packet.payload = octets;
    out.take(packet);
  }
  void take(Bytes datagram) { buffer_.put(*parse_rtp(datagram)); }

  SoundMachine machine;

 private:
  Law law_;
  SteadyBuffer buffer_;
};

Instant at(int now_ms) { return Instant{} + std::chrono::hours(1) + std::chrono::milliseconds(now_ms); }

/// Gives a stage what has arrived, and lets it make what is due.
void hear_rtp(OutputStage& stage, Link& in, Leaving& out, int now_ms) {
  in.arrive(now_ms, [&](Bytes datagram) { stage.hear(1, nullptr, *parse_rtp(datagram), at(now_ms), out); });
}
void drive(OutputStage& stage, Leaving& out, int now_ms) {
  out.now_ms = now_ms;
  if (stage.due() && *stage.due() <= at(now_ms)) stage.drive(at(now_ms), out);
}

struct Files {
  FaxFolder folder;
  std::string sent = folder.path + "/sent.tif";
  std::string received = folder.path + "/received.tif";
  std::vector<Page> pages = some_pages(pages_to_send());
  Files() { write_pages(sent, pages); }
  [[nodiscard]] int most_ms() const { return static_cast<int>(60 + 60 * pages.size()) * 1000; }
};

TEST(FaxStages, T38ToSoundWithJitterAndLoss) {
  const Files files;
  T38Machine there({.calls = true, .sends = files.sent}, 0, {});
  Adapter here({.receives = files.received}, Law::kMu);
  const auto gateway = std::make_shared<T38Gateway>(T38Settings{});
  T38Stage to_there(gateway, at(0));
  FaxSoundStage to_here(gateway, {Law::kMu, PayloadType{0}}, at(0));
  Link from_there(1, 40, 0.02), toward_there(2, 40, 0.02), from_here(3, 40, 0), toward_here(4, 40, 0);
  Leaving out_there(toward_there), out_here(toward_here), adapter(from_here);
  for (int now = 0; now < files.most_ms() && !(there.engine.is_done() && here.machine.engine.is_done());
       now += 5) {
    if (now % 20 == 0) {
      there.step();
      for (; !there.sent.empty(); there.sent.pop_front()) from_there.send(there.sent.front(), now);
      adapter.now_ms = now;
      here.step(adapter);
    }
    from_there.arrive(
        now, [&](Bytes datagram) { to_here.hear_datagram(1, nullptr, datagram, at(now), out_here); });
    hear_rtp(to_there, from_here, out_there, now);
    drive(to_here, out_here, now);
    drive(to_there, out_there, now);
    toward_there.arrive(now, [&](Bytes datagram) { there.take(datagram); });
    toward_here.arrive(now, [&](Bytes datagram) { here.take(datagram); });
  }
  EXPECT_EQ(there.engine.result(), T30_ERR_OK);
  EXPECT_EQ(here.machine.engine.result(), T30_ERR_OK);
  EXPECT_EQ(here.machine.engine.stats().bit_rate, 14'400);
  EXPECT_EQ(read_pages(files.received), files.pages);
  EXPECT_EQ(out_here.datagrams, 0u);
  EXPECT_EQ(out_there.packets, 0u);
}

TEST(FaxStages, SoundToSoundWithJitter) {
  const Files files;
  Adapter one({.calls = true, .sends = files.sent}, Law::kMu);
  Adapter other({.receives = files.received}, Law::kA);
  SteadySoundStage to_one({Law::kMu, PayloadType{0}});
  SteadySoundStage to_other({Law::kA, PayloadType{8}});
  Link from_one(1, 40, 0), toward_one(2, 0, 0), from_other(3, 40, 0), toward_other(4, 0, 0);
  Leaving out_one(toward_one), out_other(toward_other), first(from_one), second(from_other);
  const auto is_done = [&] { return one.machine.engine.is_done() && other.machine.engine.is_done(); };
  for (int now = 0; now < files.most_ms() && !is_done(); now += 5) {
    first.now_ms = second.now_ms = now;
    if (now % 20 == 0) one.step(first);
    if (now % 20 == 0) other.step(second);
    hear_rtp(to_other, from_one, out_other, now);
    hear_rtp(to_one, from_other, out_one, now);
    drive(to_other, out_other, now);
    drive(to_one, out_one, now);
    toward_one.arrive(now, [&](Bytes datagram) { one.take(datagram); });
    toward_other.arrive(now, [&](Bytes datagram) { other.take(datagram); });
  }
  EXPECT_EQ(one.machine.engine.result(), T30_ERR_OK);
  EXPECT_EQ(other.machine.engine.result(), T30_ERR_OK);
  EXPECT_EQ(other.machine.engine.stats().bit_rate, 14'400);
  EXPECT_EQ(read_pages(files.received), files.pages);
}

TEST(FaxStages, SoundLeavesAtASteadyPaceWhateverComes) {
  Link nowhere(1, 0, 0);
  Leaving out(nowhere);
  FaxSoundStage stage(std::make_shared<T38Gateway>(T38Settings{}), {}, at(0));
  EXPECT_EQ(stage.due(), at(0));
  stage.drive(at(0), out);
  EXPECT_EQ(out.packets, 1u);
  EXPECT_EQ(stage.due(), at(20));
  stage.drive(at(19), out);
  EXPECT_EQ(out.packets, 1u) << "nothing was due";
  stage.drive(at(65), out);
  EXPECT_EQ(out.packets, 4u) << "what is late is made up for";
  EXPECT_EQ(stage.due(), at(80));
  stage.drive(at(100'000), out);
  EXPECT_EQ(out.packets, 5u) << "a long pause is not";
  EXPECT_EQ(stage.due(), at(100'020));

  SteadySoundStage steady({});
  EXPECT_FALSE(steady.due()) << "nothing before the first packet";
}

}  // namespace
}  // namespace ferry::test::stages_test
