// SPDX-License-Identifier: Apache-2.0
// Sources whose speech is listened to for digits: the packets pass, and digits are told once.

#include "relay/core/audio/found_digit.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/echo_stage.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/packets.hpp"

#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::tone_listeners_test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kALaw = 8;
constexpr std::uint8_t kEvent = 101;

Endpoint host(std::uint8_t n) { return {IpAddress::v4({192, 0, 2, n}), UdpPort{4000}}; }
Endpoint port(std::uint16_t n) { return {IpAddress::v4({198, 18, 0, 1}), UdpPort{n}}; }

/// Stages that say on another thread what they hear: it comes with `collect`.
class FarEchoes final : public test::EchoStages {
 public:
  [[nodiscard]] bool has_made() const noexcept override { return !made.empty(); }
  std::size_t collect(MadeElsewhere& out) noexcept override {
    for (const auto& [owner, payload] : made) out.take(owner, {PayloadType{0}, false, 0, payload, 8000});
    return std::exchange(made, {}).size();
  }
  std::vector<std::pair<StageOwner, std::vector<std::byte>>> made;
};

/// Party 0 speaks to party 1. A stage that echoes stands for the detector: what it hears it has found.
class ToneListenersTest : public ::testing::Test {
 protected:
  ToneListenersTest() {
    network_.set_outlet([this](const SimDatagram& d) {
      if (d.to == host(11)) heard_.push_back(d.payload);
      return true;
    });
    auto kernel = std::make_unique<test::KernelModel>(network_);
    kernel_ = kernel.get();
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(kernel));
    auto stages = std::make_unique<FarEchoes>();
    stages_ = stages.get();
    worker_->set_stages(std::move(stages));
    plan_.rtp_latch.signalled = host(10);
    SourcePlan source;
    source.media = MediaId{1};
    source.payloads = {{PayloadType{kALaw}, G711Law::kA, 0xd5, false, 8000},
                       {PayloadType{kEvent}, G711Law::kNone, 0, true, 8000}};
    source.has_events = true;
    source.listening = std::make_shared<const ToneListening>();
    source.sinks.resize(1);
    source.sinks[0].via = {1, 0};
    source.sinks[0].to = MediaId{2};
    plan_.sources = {source};
    install(0, 30000, plan_);
    TransportPlan other;
    other.rtp_latch.signalled = host(11);
    other.sources.resize(1);
    other.sources[0].media = MediaId{2};
    install(1, 30010, other);
  }
  ~ToneListenersTest() override { worker_.reset(); }
  void install(std::uint32_t slot, std::uint16_t at, const TransportPlan& plan) {
    InstallTransport command;
    command.id = {slot, 0};
    command.plan = std::make_shared<const TransportPlan>(plan);
    command.ports = {*network_.activate(port(at), 0),
                     *network_.activate(port(static_cast<std::uint16_t>(at + 1)), 0)};
    command.activity = std::make_shared<TransportActivity>();
    run(std::move(command));
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void pass(Duration time) {
    network_.advance_to(network_.now() + time);
    worker_->run_until_idle();
  }
  void send(Bytes payload, std::uint8_t type = kALaw) {
    test::Packet packet(kRtpFixedHeaderSize + payload.size());
    write_rtp_header(packet, PayloadType{type}, false, SeqNo{sequence_},
                     press_ != 0 ? press_ : sequence_ * 160u, Ssrc{1});
    ++sequence_;
    std::ranges::copy(payload, packet.begin() + kRtpFixedHeaderSize);
    network_.send_to_relay({host(10), port(30000), std::move(packet)});
    worker_->run_until_idle();
  }
  /// The detector finds a digit of 100 ms.
  void find(std::uint8_t event) {
    const FoundDigit digit{event, 8, 100};
    send(digit.payload());
  }
  std::vector<DtmfEvent> told() {
    std::vector<DtmfEvent> all;
    WorkerEvent event;
    while (worker_->next_event(event)) {
      if (event.event == TransportEvent::kDtmf) all.push_back(event.dtmf);
    }
    return all;
  }

  SimNetwork network_;
  TransportPlan plan_;
  std::vector<test::Packet> heard_;
  test::KernelModel* kernel_ = nullptr;
  FarEchoes* stages_ = nullptr;
  std::unique_ptr<Worker> worker_;
  std::uint16_t sequence_ = 100;
  /// Timestamp of a press, which all of its packets have; 0: the packets are of speech.
  std::uint32_t press_ = 0;
};

TEST_F(ToneListenersTest, DigitsAreToldAndPacketsPassAsTheyCame) {
  find(5);
  const auto all = told();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].event, 5);
  EXPECT_EQ(all[0].duration_ms, 100u);
  EXPECT_EQ(all[0].duration, 800);
  EXPECT_EQ(all[0].volume, 8);
  EXPECT_EQ(all[0].source, host(10).address);
  EXPECT_NE(all[0].told_at, Instant{});
  ASSERT_EQ(heard_.size(), 1u);
  EXPECT_EQ(read_u16(heard_[0], 2), 100);
  EXPECT_EQ(read_u32(heard_[0], 8), 1u);
}

TEST_F(ToneListenersTest, WhatWasFoundElsewhereIsToldToo) {
  find(5);
  ASSERT_EQ(told().size(), 1u);
  const auto payload = FoundDigit{9, 8, 60}.payload();
  stages_->made.push_back({stages_->owners.at(0), {payload.begin(), payload.end()}});
  worker_->run_until_idle();
  const auto all = told();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].event, 9);
  EXPECT_EQ(heard_.size(), 1u) << "it never leaves";
}

TEST_F(ToneListenersTest, APartyThatSendsEventsIsToldOnceForEachPress) {
  // The packets of the event, and the tone in the speech beside it.
  const std::vector<std::byte> press = {std::byte{5}, std::byte{0x8a}, std::byte{3}, std::byte{0x20}};
  press_ = 16'000;
  for (int copy = 0; copy < 3; ++copy) send(press, kEvent);
  press_ = 0;
  find(5);
  EXPECT_EQ(told().size(), 1u);
  pass(2s);
  find(6);
  EXPECT_EQ(told().size(), 1u) << "a press of its own";
}

TEST_F(ToneListenersTest, TheSourceStaysInUserSpaceWhileItIsListenedTo) {
  for (int n = 0; n < 20; ++n) {
    pass(20ms);
    find(1);
  }
  EXPECT_FALSE(kernel_->flows().contains(port(30000)));
  EXPECT_EQ(stages_->alive, 1u);
  plan_.sources[0].listening = nullptr;
  run(UpdatePlan{{0, 0}, std::make_shared<const TransportPlan>(plan_)});
  EXPECT_EQ(stages_->alive, 0u);
  pass(100ms);
  find(1);
  EXPECT_TRUE(kernel_->flows().contains(port(30000)));
}

TEST_F(ToneListenersTest, WithoutAStagePacketsPassAllTheSame) {
  stages_->is_full = true;
  find(5);
  EXPECT_TRUE(told().empty());
  EXPECT_EQ(heard_.size(), 1u);
  stages_->is_full = false;
  find(5);
  EXPECT_EQ(told().size(), 1u) << "asked again";
}

TEST_F(ToneListenersTest, WhatIsDueAtAListenerIsDriven) {
  stages_->delay = 50ms;
  find(4);
  EXPECT_TRUE(told().empty());
  pass(60ms);
  EXPECT_EQ(told().size(), 1u);
}

}  // namespace
}  // namespace ferry::tone_listeners_test
