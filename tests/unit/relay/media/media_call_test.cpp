// SPDX-License-Identifier: Apache-2.0
// A call whose audio is converted, from end to end: a worker on a network in memory, and a media thread that
// takes its turns when the test lets it.

#include "relay/io/sim/sim_network.hpp"
#include "relay/media/media_threads.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/echo_stage.hpp"
#include "tests/support/packets.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::media_call_test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kALaw = 8;
constexpr std::uint8_t kOpus = 111;

Endpoint host(std::uint32_t slot) {
  return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(10 + slot)}), UdpPort{4000}};
}
Endpoint port(std::uint32_t slot) {
  return {IpAddress::v4({198, 18, 0, 1}), UdpPort{static_cast<std::uint16_t>(30000 + 10 * slot)}};
}

/// Party 0 speaks A-law to party 1, which gets Opus.
class MediaCall : public testing::Test {
 protected:
  MediaCall()
      : threads_(
            1, 1, [this](const StageOwner& owner) { return stages.make(owner); },
            [this] { return network_.now(); }) {
    network_.set_outlet([this](const SimDatagram& d) {
      heard.push_back(d.payload);
      return true;
    });
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}));
    worker_->set_stages(threads_.maker_for(0, [this] { ++wakes; }));
    AudioConversion conversion;
    conversion.inputs = {{PayloadType{kALaw}, AudioInput::Kind::kSpeech, {"PCMA", 8000, 1, ""}}};
    conversion.type = PayloadType{kOpus};
    conversion.format = {"opus", 48000, 2, ""};
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      TransportPlan& plan = plans_[slot];
      plan.rtp_latch.signalled = host(slot);
      SourcePlan source;
      source.media = MediaId{slot + 1};
      source.payloads = {{PayloadType{kALaw}, G711Law::kA, 0xd5, false, 8000}};
      if (slot == 0) {
        source.sinks.resize(1);
        source.sinks[0].via = {1, 0};
        source.sinks[0].to = MediaId{2};
        source.sinks[0].conversion = std::make_shared<const AudioConversion>(conversion);
      }
      plan.sources = {source};
      InstallTransport command;
      command.id = {slot, 0};
      command.plan = std::make_shared<const TransportPlan>(plan);
      command.ports = {*network_.activate(port(slot), 0), PortHandle{}};
      command.activity = std::make_shared<TransportActivity>();
      run(std::move(command));
    }
  }
  ~MediaCall() override { worker_.reset(); }

  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void speak(int packets) {
    for (int n = 0; n < packets; ++n) {
      network_.advance_to(network_.now() + 20ms);
      network_.send_to_relay({host(0), port(0), test::rtp('A', 1, sequence_++, kALaw)});
      worker_->run_until_idle();
    }
  }
  /// The thread takes its turns, and the worker takes what it made.
  void settle() {
    while (threads_.turn() > 0) worker_->run_until_idle();
    worker_->run_until_idle();
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) const {
    return worker_->totals().drops[static_cast<std::size_t>(reason)].load();
  }

  test::EchoStages stages;
  std::vector<test::Packet> heard;
  unsigned wakes = 0;
  SimNetwork network_;
  MediaThreads threads_;
  std::unique_ptr<Worker> worker_;
  std::array<TransportPlan, 2> plans_;
  std::uint16_t sequence_ = 0;
};

TEST_F(MediaCall, SSR2_WhatAThreadMakesLeavesAsOneStream) {
  for (int n = 0; n < 10; ++n) {
    speak(1);
    EXPECT_EQ(heard.size(), static_cast<std::size_t>(n)) << "the worker does not wait for the thread";
    settle();
  }
  ASSERT_EQ(heard.size(), 10u);
  EXPECT_EQ(wakes, 10u);
  for (std::size_t i = 1; i < heard.size(); ++i) {
    EXPECT_EQ(read_u8(heard[i], 1) & 0x7f, kOpus);
    EXPECT_EQ(read_u16(heard[i], 2), read_u16(heard[i - 1], 2) + 1);
    EXPECT_EQ(read_u32(heard[i], 4), read_u32(heard[i - 1], 4) + 160);
  }
  EXPECT_EQ(worker_->totals().converted_in.load(), 10u);
  EXPECT_EQ(worker_->totals().converted_out.load(), 10u);
}

TEST_F(MediaCall, AThreadThatIsLateCostsPacketsOfItsOwnStreamsAlone) {
  int spoken = 0;
  for (; dropped(DropReason::kMediaOverload) == 0; ++spoken) speak(1);
  EXPECT_GT(spoken, 100) << "two seconds and more wait in the lane";
  settle();
  EXPECT_EQ(heard.size() + dropped(DropReason::kMediaOverload), static_cast<std::size_t>(spoken));
  speak(1);
  settle();
  EXPECT_EQ(dropped(DropReason::kMediaOverload) + heard.size(), static_cast<std::size_t>(spoken) + 1);
}

TEST_F(MediaCall, WhatComesBackAfterTheEndOfItsReceiverIsCounted) {
  speak(3);
  threads_.turn();
  run(RemoveTransport{{1, 0}});
  EXPECT_TRUE(heard.empty());
  EXPECT_EQ(dropped(DropReason::kStageGone), 3u);
  threads_.turn();
  EXPECT_EQ(stages.alive, 0u);
}

}  // namespace
}  // namespace ferry::media_call_test
