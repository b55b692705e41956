// SPDX-License-Identifier: Apache-2.0
// Audio that a worker converts: how a stage begins over a stream that passed, what it hears, how it ends.

#include "relay/worker/worker.hpp"
#include "tests/support/echo_stage.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::stage_test {
namespace {

using namespace std::chrono_literals;
using test::rtp;

constexpr std::uint8_t kALaw = 8;
constexpr std::uint8_t kEvent = 101;
constexpr std::uint8_t kOpus = 111;

Endpoint host(std::uint32_t slot) {
  return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(10 + slot)}), UdpPort{4000}};
}
Endpoint port(std::uint32_t slot) {
  return {IpAddress::v4({198, 18, 0, 1}), UdpPort{static_cast<std::uint16_t>(30000 + 10 * slot)}};
}
std::shared_ptr<const AudioConversion> to_opus() {
  AudioConversion made;
  made.type = PayloadType{kOpus};
  return std::make_shared<const AudioConversion>(made);
}

/// Stages that run elsewhere: what they make comes with `collect`.
class FarStages final : public test::EchoStages {
 public:
  [[nodiscard]] bool has_made() const noexcept override { return !made.empty() || !datagrams.empty(); }
  std::size_t collect(MadeElsewhere& out) noexcept override {
    for (const auto& [owner, payload] : made)
      out.take(owner, {PayloadType{kOpus}, false, 160, payload, 8000});
    for (const auto& [owner, datagram] : datagrams) out.take_datagram(owner, datagram);
    return std::exchange(made, {}).size() + std::exchange(datagrams, {}).size();
  }
  std::vector<std::pair<StageOwner, std::vector<std::byte>>> made;
  std::vector<std::pair<StageOwner, std::vector<std::byte>>> datagrams;
};

/// Parties 0 and 2 speak to party 1. Slot n has the media n + 1.
class StageTest : public testing::Test {
 protected:
  StageTest() {
    network_.set_outlet([this](const SimDatagram& d) {
      if (d.to == host(1)) heard_.push_back(d.payload);
      return true;
    });
    worker_ = make_worker();
    for (std::uint32_t slot = 0; slot < 3; ++slot) plans_[slot] = plan_of(slot);
  }
  ~StageTest() override { worker_.reset(); }

  std::unique_ptr<Worker> make_worker(bool has_stages = true) {
    auto kernel = std::make_unique<test::KernelModel>(network_);
    auto worker = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                           std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                           std::move(kernel));
    if (has_stages) {
      auto stages = std::make_unique<FarStages>();
      stages_ = stages.get();
      worker->set_stages(std::move(stages));
    }
    return worker;
  }
  static TransportPlan plan_of(std::uint32_t slot) {
    TransportPlan plan;
    plan.rtp_latch.signalled = host(slot);
    plan.rtcp_latch.signalled = {host(slot).address, UdpPort{4001}};
    SourcePlan source;
    source.media = MediaId{slot + 1};
    source.payloads = {{PayloadType{kALaw}, G711Law::kA, 0xd5, false, 8000},
                       {PayloadType{kEvent}, G711Law::kNone, 0, true, 8000}};
    source.has_events = source.inspects_payload = true;
    source.sinks.resize(1);
    source.sinks[0].via = {slot == 1 ? 0u : 1u, 0};
    source.sinks[0].to = MediaId{slot == 1 ? 1u : 2u};
    plan.sources = {source};
    return plan;
  }
  void begin() {
    for (std::uint32_t slot = 0; slot < 3; ++slot) {
      InstallTransport command;
      command.id = {slot, 0};
      command.plan = std::make_shared<const TransportPlan>(plans_[slot]);
      command.ports = {
          *network_.activate(port(slot), 0),
          *network_.activate(
              {port(slot).address, UdpPort{static_cast<std::uint16_t>(port(slot).port.value + 1)}}, 0)};
      command.activity = std::make_shared<TransportActivity>();
      run(std::move(command));
    }
  }
  [[nodiscard]] Sink& sink(std::uint32_t slot = 0) { return plans_[slot].sources[0].sinks[0]; }
  void update(std::uint32_t slot = 0) {
    run(UpdatePlan{{slot, 0}, std::make_shared<const TransportPlan>(plans_[slot])});
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void pass(Duration time) {
    network_.advance_to(network_.now() + time);
    worker_->run_until_idle();
  }
  /// The party of `slot` says `packets` packets, 20 ms apart.
  void speak(std::uint32_t slot, int packets, std::uint8_t type = kALaw) {
    for (int n = 0; n < packets; ++n) {
      pass(20ms);
      network_.send_to_relay({host(slot), port(slot), rtp('A', 1 + slot, sequence_[slot]++, type)});
      worker_->run_until_idle();
    }
  }
  TransportSnapshot read(std::uint32_t slot) {
    TransportSnapshot snapshot;
    run(ReadTransport{{slot, 0}, &snapshot});
    return snapshot;
  }
  [[nodiscard]] static std::uint8_t type_of(const test::Packet& packet) { return read_u8(packet, 1) & 0x7f; }
  [[nodiscard]] std::size_t heard_of(std::uint8_t type) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(heard_, [&](const test::Packet& each) { return type_of(each) == type; }));
  }
  /// What the listener got is one stream: no number is left out, and time stamps follow the clock. One unit
  /// of a millisecond may be off where a maker takes over.
  void expect_one_stream() const {
    for (std::size_t i = 1; i < heard_.size(); ++i) {
      EXPECT_EQ(read_u32(heard_[i], 8), read_u32(heard_[0], 8)) << "SSRC of packet " << i;
      EXPECT_EQ(static_cast<std::uint16_t>(read_u16(heard_[i], 2) - read_u16(heard_[i - 1], 2)), 1)
          << "number of packet " << i;
      const std::uint32_t units = read_u32(heard_[i], 4) - read_u32(heard_[i - 1], 4);
      EXPECT_TRUE(units >= 152 && units % 8 == 0 && units < 8000)
          << "packet " << i << " is later by " << units;
    }
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) const {
    return worker_->totals().drops[static_cast<std::size_t>(reason)].load();
  }

  SimNetwork network_;
  std::array<TransportPlan, 3> plans_;
  std::array<std::uint16_t, 3> sequence_{};
  std::vector<test::Packet> heard_;
  FarStages* stages_ = nullptr;
  std::unique_ptr<Worker> worker_;
};

TEST_F(StageTest, AStageEndsWithItsConversionThoughItsSourceIsSilent) {
  sink(0).conversion = to_opus();
  begin();
  speak(0, 5);
  ASSERT_EQ(worker_->totals().stages.load(), 1u);
  sink(0).conversion = nullptr;
  update(0);
  EXPECT_EQ(worker_->totals().stages.load(), 0u);
}

TEST_F(StageTest, SSR2_AConversionBeginsOverAStreamOfTheKernelAndEndsWithoutAJump) {
  begin();
  speak(1, 5);
  speak(0, 10);
  EXPECT_GT(worker_->offloaded_flows(), 0u);
  EXPECT_EQ(heard_of(kALaw), 10u);
  sink().conversion = to_opus();
  update();
  EXPECT_EQ(worker_->totals().stages.load(), 0u) << "a stage is made when there is something to hear";
  speak(0, 10);
  EXPECT_EQ(heard_of(kOpus), 10u);
  EXPECT_EQ(worker_->totals().stages.load(), 1u);
  EXPECT_EQ(stages_->alive, 1u);
  ASSERT_EQ(stages_->owners.size(), 1u);
  EXPECT_EQ(stages_->owners[0].via, (TransportId{1, 0}));
  EXPECT_EQ(stages_->owners[0].to, MediaId{2});
  EXPECT_EQ(stages_->owners[0].from, (TransportId{0, 0}));
  sink().conversion = nullptr;
  update();
  speak(0, 10);
  EXPECT_EQ(heard_of(kALaw), 20u) << "renumbered from now on";
  EXPECT_EQ(stages_->alive, 0u);
  EXPECT_EQ(worker_->totals().stages.load(), 0u);
  EXPECT_EQ(worker_->totals().converted_in.load(), 10u);
  EXPECT_EQ(worker_->totals().converted_out.load(), 10u);
  ASSERT_EQ(heard_.size(), 30u);
  expect_one_stream();
}

TEST_F(StageTest, WithoutAMakerConversionIsRefusedByName) {
  worker_ = make_worker(false);
  sink().conversion = to_opus();
  begin();
  speak(0, 5);
  EXPECT_TRUE(heard_.empty());
  EXPECT_EQ(dropped(DropReason::kNotConverted), 5u);
  EXPECT_EQ(read(1).drops[DropReason::kNotConverted], 5u);
}

TEST_F(StageTest, AMakerThatHasNoRoomIsAskedAgain) {
  sink().conversion = to_opus();
  begin();
  stages_->is_full = true;
  speak(0, 3);
  EXPECT_EQ(dropped(DropReason::kMediaOverload), 3u);
  stages_->is_full = false;
  speak(0, 3);
  EXPECT_EQ(heard_of(kOpus), 3u);
}

TEST_F(StageTest, WhatAStageHoldsIsSentWhenItIsDue) {
  sink().conversion = to_opus();
  stages_->delay = 30ms;
  begin();
  speak(0, 2);
  EXPECT_EQ(heard_.size(), 0u);
  pass(10ms);
  EXPECT_EQ(heard_.size(), 1u);
  pass(20ms);
  EXPECT_EQ(heard_.size(), 2u);
  expect_one_stream();
}

TEST_F(StageTest, BlocksHoldForAStageAsForOthers) {
  const struct {
    std::string what;
    std::function<void(Sink&)> change;
    std::uint8_t type;
    DropReason reason;
  } rows[] = {
      {"blocked media", [](Sink& s) { s.blocked = true; }, kALaw, DropReason::kBlocked},
      {"blocked events", [](Sink& s) { s.events_blocked = true; }, kEvent, DropReason::kEventBlocked},
      {"hold", [](Sink& s) { s.media_allowed = false; }, kALaw, DropReason::kDirection},
  };
  sink().conversion = to_opus();
  begin();
  speak(0, 2);
  std::uint64_t heard = heard_.size();
  for (const auto& row : rows) {
    const Sink before = sink();
    row.change(sink());
    update();
    speak(0, 3, row.type);
    EXPECT_EQ(heard_.size(), heard) << row.what;
    EXPECT_EQ(dropped(row.reason), 3u) << row.what;
    sink() = before;
    update();
    speak(0, 1, row.type);
    EXPECT_EQ(heard_.size(), ++heard) << row.what << " no longer";
  }
}

TEST_F(StageTest, ASilencedSourceIsSilenceForTheStage) {
  sink().conversion = to_opus();
  sink().silenced = true;
  begin();
  speak(0, 2);
  ASSERT_EQ(heard_.size(), 2u);
  for (const test::Packet& each : heard_) {
    ASSERT_EQ(each.size(), kRtpFixedHeaderSize + 160);
    EXPECT_TRUE(std::ranges::all_of(Bytes(each).subspan(kRtpFixedHeaderSize),
                                    [](std::byte octet) { return octet == std::byte{0xd5}; }));
  }
  speak(0, 1, kEvent);
  EXPECT_EQ(test::sender_of(heard_.back()), 'A') << "an event is no sound";
}

TEST_F(StageTest, DMX4_APayloadOfUnknownKindReachesNoStage) {
  plans_[0].sources[0].passes_other_types = true;
  sink().conversion = to_opus();
  begin();
  speak(0, 3);
  const std::size_t heard = heard_.size();
  speak(0, 3, 77);
  EXPECT_EQ(heard_.size(), heard);
  EXPECT_EQ(dropped(DropReason::kUnknownPayloadType), 3u);
}

TEST_F(StageTest, SSR2_ASourceThatTheReceiverUnderstandsTakesTurnsWithOneOfTheStage) {
  sink(0).conversion = to_opus();
  begin();
  speak(0, 5);
  speak(2, 1);
  pass(300ms);
  speak(2, 5);
  EXPECT_EQ(heard_of(kALaw), 5u);
  EXPECT_EQ(stages_->alive, 1u) << "the other source may go on";
  pass(300ms);
  speak(0, 5);
  EXPECT_EQ(heard_of(kOpus), 10u);
  EXPECT_EQ(stages_->owners.size(), 1u);
  expect_one_stream();
}

TEST_F(StageTest, WhatWasMadeElsewhereFindsItsReceiver) {
  sink().conversion = to_opus();
  stages_->delay = 1h;
  begin();
  speak(0, 2);
  ASSERT_EQ(stages_->owners.size(), 1u);
  const StageOwner owner = stages_->owners[0];
  const std::vector<std::byte> payload(33);
  stages_->made.push_back({owner, payload});
  worker_->run_until_idle();
  ASSERT_EQ(heard_.size(), 1u);
  EXPECT_EQ(heard_[0].size(), kRtpFixedHeaderSize + 33);
  StageOwner another = owner;
  ++another.serial;
  StageOwner other_media = owner;
  other_media.to = MediaId{77};
  StageOwner other_transport = owner;
  other_transport.via = {1, 9};
  for (const StageOwner& gone : {another, other_media, other_transport})
    stages_->made.push_back({gone, payload});
  worker_->run_until_idle();
  EXPECT_EQ(heard_.size(), 1u);
  EXPECT_EQ(dropped(DropReason::kStageGone), 3u);
}

/// One side of a fax between a party of T.38 and one with sound.
std::shared_ptr<const AudioConversion> fax_to(FaxSide::Role role) {
  AudioConversion made;
  made.type = PayloadType{kALaw};
  FaxSide side;
  side.role = role;
  side.gateway = 1;
  made.fax = std::make_shared<const FaxSide>(side);
  return std::make_shared<const AudioConversion>(made);
}

TEST_F(StageTest, DatagramsOfAFaxGoThroughTheStage) {
  plans_[0].kind = TransportKind::kUdptl;
  sink(0).conversion = fax_to(FaxSide::Role::kToSound);
  begin();
  for (const std::uint8_t number : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{0x80}}) {
    // A sequence number, an IFP packet of one octet, no earlier ones. The last number looks like RTP.
    const test::Packet udptl = {std::byte{number}, std::byte{1},   std::byte{1},
                                std::byte{6},      std::byte{0x0}, std::byte{0}};
    network_.send_to_relay({host(0), port(0), udptl});
    worker_->run_until_idle();
  }
  ASSERT_GE(heard_.size(), 2u);
  EXPECT_EQ(heard_[0].size(), 6u) << "as the stage has made it";
  EXPECT_EQ(stages_->owners.size(), 1u);
  const StageOwner owner = stages_->owners[0];
  const std::size_t before = heard_.size();
  StageOwner gone = owner;
  ++gone.serial;
  stages_->datagrams = {{owner, std::vector<std::byte>(9)}, {gone, std::vector<std::byte>(9)}};
  worker_->run_until_idle();
  ASSERT_EQ(heard_.size(), before + 1) << "made elsewhere";
  EXPECT_EQ(heard_.back().size(), 9u);
  EXPECT_EQ(dropped(DropReason::kStageGone), 1u);
}

TEST_F(StageTest, AFaxGatewayTakesG711AndKeepsTheRest) {
  sink(0).conversion = fax_to(FaxSide::Role::kToDatagrams);
  begin();
  speak(0, 3);
  EXPECT_EQ(heard_.size(), 3u) << "the stage says what it hears";
  speak(0, 2, kEvent);
  EXPECT_EQ(heard_.size(), 3u);
  EXPECT_EQ(dropped(DropReason::kNotConverted), 2u);
  // A receiver report without blocks.
  test::Packet report(8);
  write_u32(report, 0, 0x80c90001);
  network_.send_to_relay({{host(0).address, UdpPort{4001}},
                          {port(0).address, UdpPort{static_cast<std::uint16_t>(port(0).port.value + 1)}},
                          report});
  worker_->run_until_idle();
  EXPECT_EQ(heard_.size(), 3u);
  EXPECT_EQ(dropped(DropReason::kNoSink), 1u);
}

TEST_F(StageTest, StagesEndWithTheirReceiver) {
  sink().conversion = to_opus();
  begin();
  speak(0, 2);
  EXPECT_EQ(stages_->alive, 1u);
  run(RemoveTransport{{1, 0}});
  EXPECT_EQ(stages_->alive, 0u);
  EXPECT_EQ(worker_->totals().stages.load(), 0u);
}

TEST_F(StageTest, AMediaThatThePlanNoLongerHasTakesItsStageAlong) {
  sink().conversion = to_opus();
  begin();
  speak(0, 2);
  plans_[1].sources.push_back(plans_[1].sources[0]);
  plans_[1].sources[1].media = MediaId{50};
  update(1);
  plans_[1].sources.erase(plans_[1].sources.begin());
  update(1);
  EXPECT_EQ(stages_->alive, 0u);
  EXPECT_EQ(worker_->totals().stages.load(), 0u);
}

TEST_F(StageTest, Seam7_ATransportThatMovesGetsAnotherStageAndKeepsItsStream) {
  sink().conversion = to_opus();
  begin();
  speak(0, 5);
  FarStages* const first_stages = stages_;
  std::unique_ptr<Worker> second = make_worker();
  second->set_number(1);
  std::array<std::unique_ptr<TransportEntry>, 3> moving;
  for (std::uint32_t i = 0; i < 3; ++i) run(ExtractTransport{{i, 0}, &moving[i]});
  EXPECT_EQ(first_stages->alive, 0u);
  std::swap(worker_, second);
  for (std::uint32_t i = 0; i < 3; ++i) run(AdoptTransport{{i, 0}, std::move(moving[i])});
  speak(0, 5);
  EXPECT_EQ(heard_of(kOpus), 10u);
  EXPECT_EQ(stages_->alive, 1u);
  expect_one_stream();
}

TEST_F(StageTest, APacketWithAnotherNumberOfItsTypePassesAndStaysOutOfTheKernel) {
  auto numbers = std::make_shared<TypeRenumbering>();
  numbers->to[kALaw] = 118;
  sink().renumbering = numbers;
  begin();
  speak(0, 5);
  EXPECT_EQ(heard_of(118), 5u);
  EXPECT_EQ(test::sender_of(heard_.back()), 'A');
  EXPECT_EQ(worker_->offloaded_flows(), 0u);
  EXPECT_EQ(read(0).sources[0].ingress[0].last_payload_type, kALaw);
  sink().ptime_ms = 40;
  update();
  speak(0, 4);
  EXPECT_EQ(heard_of(118), 7u) << "joined, and renumbered";
  expect_one_stream();
}

}  // namespace
}  // namespace ferry::stage_test
