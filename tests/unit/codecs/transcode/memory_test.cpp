// SPDX-License-Identifier: Apache-2.0
// Memory runs out at every allocation of a stage in turn; then there is memory again.
#include "codecs/transcode/mixing_stage.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/transcode.hpp"

namespace ferry::transcode_memory_test {
namespace {

using std::chrono::milliseconds;
using test::FailingMemory;

const AudioFormat kPcmu{"PCMU", 8000, 1, ""};
const AudioFormat kPcma{"PCMA", 8000, 1, ""};
const AudioFormat kG722{"G722", 8000, 1, ""};
const AudioFormat kL16{"L16", 16'000, 2, ""};

/// Counts packets of the receiver's codec, without memory.
class Count final : public MadePackets {
 public:
  void take(const MadePacket& packet) noexcept override {
    if (packet.type == PayloadType{97}) ++packets;
    octets = packet.payload.size();
  }
  unsigned packets = 0;
  std::size_t octets = 0;
};

/// A stage, and a source that speaks to it.
struct Call {
  /// `sources`: so many speak at a time.
  void speak(unsigned count, unsigned sources = 1) {
    for (; count > 0; --count) {
      rtp.sequence = SeqNo{++sequence};
      rtp.timestamp += 160;
      for (unsigned from = 1; from <= sources; ++from) {
        rtp.ssrc = Ssrc{from};
        stage->hear(from, terms, rtp, now, out);
      }
      now += milliseconds(20);
      // What is due moves on, with or without memory.
      for (unsigned turns = 0; stage->due() && *stage->due() < now; ++turns) {
        stage->drive(*stage->due(), out);
        if (turns < 100) continue;
        ADD_FAILURE() << "due again at once";
        return;
      }
    }
  }
  explicit Call(const AudioConversion& made) : terms(std::make_shared<const AudioConversion>(made)) {
    rtp.ssrc = Ssrc{1};
    rtp.payload_type = PayloadType{96};
    rtp.payload = payload;
  }
  std::shared_ptr<const AudioConversion> terms;
  std::unique_ptr<MixingStage> stage = std::make_unique<MixingStage>();
  Count out;
  std::vector<std::byte> payload = std::vector<std::byte>(160, std::byte{0x55});
  RtpView rtp;
  std::uint16_t sequence = 0;
  Instant now{std::chrono::hours(1)};
};

TEST(TranscodeMemory, AStageIsWholeAgainWhenThereIsMemory) {
  for (const AudioFormat& format : {kPcma, kG722, kL16}) {
    SCOPED_TRACE(format.encoding);
    AudioConversion terms = test::conversion(kPcmu, format);
    terms.comfort_noise = OtherType{PayloadType{13}, format.clock_rate_hz};
    long failed_of = 0;
    for (long n = 0; n < 400; ++n) {
      Call call(terms);
      FailingMemory::failed = 0;
      FailingMemory::failures = 1;
      FailingMemory::left = n;
      call.speak(5);
      FailingMemory::left = -1;
      if (FailingMemory::failed == 0) break;
      ++failed_of;
      call.speak(10);
      const unsigned before = call.out.packets;
      call.speak(20);
      EXPECT_GE(call.out.packets, before + 19) << "allocation " << n;
      EXPECT_GE(call.out.octets, 160u) << "allocation " << n;
    }
    EXPECT_GT(failed_of, 2);
    EXPECT_LT(failed_of, 400);
  }
}

TEST(TranscodeMemory, AMixIsWholeAgainWhenThereIsMemory) {
  AudioConversion terms = test::conversion(kPcmu, kG722);
  terms.mixes = true;
  long failed_of = 0;
  for (long n = 0; n < 600; ++n) {
    Call call(terms);
    FailingMemory::failed = 0;
    FailingMemory::failures = 1;
    FailingMemory::left = n;
    call.speak(5, 3);
    FailingMemory::left = -1;
    if (FailingMemory::failed == 0) break;
    ++failed_of;
    call.speak(15, 3);
    const unsigned before = call.out.packets;
    call.speak(20, 3);
    EXPECT_GE(call.out.packets, before + 19) << "allocation " << n;
    EXPECT_EQ(call.stage->sources(), 3u) << "allocation " << n;
  }
  EXPECT_GT(failed_of, 20);
  EXPECT_LT(failed_of, 600);
}

}  // namespace
}  // namespace ferry::transcode_memory_test
