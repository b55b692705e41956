// SPDX-License-Identifier: Apache-2.0
// The attack table of docs/rules.md on encrypted calls: rows S-01 to S-12, every call recorded.

#include "tests/support/recordings.hpp"
#include "tests/support/secure_call.hpp"

#include <set>

namespace ferry::test::srtp_table_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

class AttackTable : public Backends {};
INSTANTIATE_TEST_SUITE_P(All, AttackTable,
                         ::testing::ValuesIn(srtp_backend_names().begin(), srtp_backend_names().end()),
                         backend_name);

struct Row {
  std::string id;
  std::string what;
  std::size_t through = 0;  // forged, repeated or plain packets that were delivered
  std::size_t lost = 0;     // valid ones that were not
  std::string note{};
};

/// Sends `count` packets of A and counts what B misses.
std::size_t lost_of(SecureCall& call, std::size_t count) {
  call.heard(call.b());
  for (std::size_t n = 0; n < count; ++n) {
    call.deliver(call.a(), call.next(call.a()));
    if (n % 10 == 0)
      call.deliver(call.b(), call.next(call.b()));  // LAT-12: a peer that never speaks is left alone
    call.pass(20ms);
  }
  return count - std::min(count, call.heard(call.b()).size());
}

/// Delivers what must not pass and counts what of it did.
std::size_t through_of(SecureCall& call, const std::vector<Packet>& packets, const Endpoint& from) {
  call.heard(call.b());
  for (const Packet& packet : packets) call.deliver_from(from, call.a(), packet);
  return call.heard(call.b()).size();
}

class Tap final : public PacketTap {
 public:
  void on_packet(const TapPacket& packet) noexcept override { plain_ += packet.datagram.size() == 172; }
  std::size_t plain_ = 0;
};

Row s01(World& world) {
  SecureCall call(world, 1, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-01", "50 valid, 20 of them again, one of them 20 times"};
  std::vector<Packet> wire;
  for (int n = 0; n < 50; ++n) {
    wire.push_back(call.next(call.a()));
    call.deliver(call.a(), wire.back());
    call.pass();
  }
  row.lost = 50 - call.heard(call.b()).size();
  std::vector<Packet> again(wire.end() - 20, wire.end());
  again.insert(again.end(), 20, wire[30]);
  row.through = through_of(call, again, call.a().rtp);
  row.note = fmt::format("{} counted as replayed", call.drops(call.a(), "replayed"));
  return row;
}

Row s02(World& world) {
  SecureCall call(world, 2, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-02", "the same after re-offers with the same key, recording and listener on and off"};
  std::vector<Packet> wire;
  for (int n = 0; n < 50; ++n) {
    wire.push_back(call.next(call.a()));
    call.deliver(call.a(), wire.back());
    call.pass();
    if (n % 10 == 5) call.set_up();
    world.ng({{"command", n % 2 == 0 ? "start recording" : "stop recording"}, {"call-id", call.id()}});
    if (n % 10 == 7)
      world.ng({{"command", "subscribe request"},
                {"call-id", call.id()},
                {"from-tag", "A"},
                {"to-tag", "S"},
                {"transport-protocol", "RTP/AVP"}});
    if (n % 10 == 9) world.ng({{"command", "unsubscribe"}, {"call-id", call.id()}, {"to-tag", "S"}});
  }
  row.lost = 50 - call.heard(call.b()).size();
  call.set_up();
  row.through = through_of(call, wire, call.a().rtp);
  return row;
}

Row s03(World& world) {
  SecureCall call(world, 3, kCm80, std::nullopt);
  call.set_up();
  Row row{"S-03", "one bit flipped in header, payload, tag, from A's address"};
  row.lost = lost_of(call, 5);
  const Packet good = call.next(call.a());
  std::vector<Packet> forged;
  const std::size_t end = good.size() * 8;
  for (const std::size_t bit : {std::size_t{8}, std::size_t{20}, std::size_t{40}, std::size_t{90},
                                std::size_t{96}, std::size_t{800}, std::size_t{1368}, end - 70, end - 1}) {
    forged.push_back(good);
    forged.back()[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  }
  const json before = world.ng({{"command", "query"}, {"call-id", call.id()}})["SSRC"];
  row.through = through_of(call, forged, call.a().rtp);
  const json after = world.ng({{"command", "query"}, {"call-id", call.id()}})["SSRC"];
  call.deliver(call.a(), good);
  row.lost += 1 - call.heard(call.b()).size();
  row.note = before == after ? "no state changed" : "STATE CHANGED";
  return row;
}

Row s04(World& world) {
  SecureCall call(world, 4, kCm80, std::nullopt);
  call.a().sequence = 65'480;
  call.set_up();
  Row row{"S-04", "past a wrap, forged headers over the whole sequence space, then 100 valid"};
  row.lost = lost_of(call, 100);
  const Endpoint x{world.peer_address(4, 'X'), UdpPort{4000}};
  for (const Endpoint& from : {call.a().rtp, x}) {
    std::vector<Packet> forged;
    for (unsigned sequence = 0; sequence < 65536; sequence += 13) {
      forged.push_back(rtp('X', call.a().ssrc, static_cast<std::uint16_t>(sequence)));
      forged.back().resize(182, std::byte{7});
    }
    row.through += through_of(call, forged, from);
  }
  row.lost += lost_of(call, 100);
  row.note = fmt::format("{} and {} refused", call.drops(call.a(), "not-authentic"),
                         call.drops(call.a(), "foreign-source"));
  return row;
}

Row s05(World& world) {
  Row row{"S-05", "start at 0, 1, 65500, 65535; loss around the wrap; reordering across it"};
  unsigned seed = 0;
  for (const unsigned start : {0u, 1u, 65'500u, 65'535u}) {
    for (const unsigned loss : {0u, 1u, 30u, 1000u, 32'000u}) {
      SecureCall call(world, 50 + ++seed, kGcm, std::nullopt);
      call.a().sequence = static_cast<std::uint16_t>(start);
      call.set_up();
      row.lost += lost_of(call, 20);
      for (unsigned n = 0; n < loss; ++n) call.next(call.a());  // encrypted, and lost on the way
      row.lost += lost_of(call, 20);
      // Pairs out of order, across the wrap in half of the runs.
      for (int n = 0; n < 30; ++n) {
        const Packet first = call.next(call.a());
        call.deliver(call.a(), call.next(call.a()));
        call.deliver(call.a(), first);
        call.pass(40ms);
      }
      row.lost += 60 - std::min<std::size_t>(60, call.heard(call.b()).size());
      row.through += call.bad;
      world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
    }
  }
  return row;
}

Row s06(World& world) {
  Row row{"S-06", "key changes, the same key again, hold over a wrap: an independent receiver fails at none"};
  for (const Suite b : {Suite(kCm80), Suite(kGcm)}) {  // keys go through, and keys of our own
    SecureCall call(world, b == kCm80 ? 6 : 106, kCm80, b);
    call.a().sequence = 65'300;
    call.set_up();
    for (int round = 0; round < 4; ++round) {
      row.lost += lost_of(call, 30);
      call.set_up();
      row.lost += lost_of(call, 30);
      call.a().own = call.fresh_line(kCm80);  // a new key of A
      call.set_up();
      row.lost += lost_of(call, 30);
      if (round != 1) continue;
      call.direction = "inactive";
      call.set_up();
      for (int n = 0; n < 100; ++n) {  // over the wrap
        call.deliver(call.a(), call.next(call.a()));
        call.pass();
      }
      row.through += call.heard(call.b()).size();
      call.direction = "sendrecv";
      call.set_up();
    }
    row.through += call.bad;
    world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
  }
  return row;
}

Row s07(const std::function<std::unique_ptr<World>(SessionManager::Listener)>& make) {
  Row row{"S-07", "10,000 forged packets a second for 10 s beside a valid stream (SRT-14)"};
  std::size_t told = 0;
  SessionManager::Listener listener;
  listener.on_event = [&](const Call&, const Leg&, TransportEvent event) {
    told += event == TransportEvent::kNotAuthentic;
  };
  const auto world = make(std::move(listener));
  SecureCall call(*world, 7, kCm80, std::nullopt);
  call.set_up();
  row.lost = lost_of(call, 1);
  std::size_t valid = 0;
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    Packet forged = rtp('X', call.a().ssrc, static_cast<std::uint16_t>(call.a().sequence + n % 100));
    forged.resize(182, static_cast<std::byte>(n));
    call.deliver(call.a(), forged);
    if (n % 200 != 0) continue;
    call.deliver(call.a(), call.next(call.a()));
    ++valid;
    call.pass(20ms);
  }
  row.lost += valid - std::min(valid, call.heard(call.b()).size());
  row.through = world->count(call.b().rtp) - valid - 1;
  const bool lives = world->manager().find(call.id()) != nullptr;
  row.note = fmt::format("{}, told {} times", lives ? "the call lives" : "THE CALL IS GONE", told);
  if (told == 0 || told > 2) row.note += " (TOO OFTEN OR NEVER)";
  return row;
}

Row s08(World& world) {
  SecureCall call(world, 8, kGcm, kGcm);
  call.set_up();
  Row row{"S-08", "the same key on both legs, X injects garbage"};
  row.lost = lost_of(call, 20);
  const Endpoint x{world.peer_address(8, 'X'), UdpPort{4000}};
  std::vector<Packet> garbage;
  for (std::uint16_t n = 0; n < 200; ++n) {
    garbage.push_back(rtp('X', call.a().ssrc, static_cast<std::uint16_t>(call.a().sequence + n)));
    garbage.back().resize(188, std::byte{3});
  }
  for (const Endpoint& from : {x, call.a().rtp}) {
    for (const Packet& packet : garbage) call.deliver_from(from, call.a(), packet);
  }
  call.heard(call.b());
  row.through = call.bad;
  row.lost += lost_of(call, 20);
  return row;
}

Row s10(World& world) {
  SecureCall call(world, 10, kCm80, kCm80);
  Row row{"S-10", "SAVP without a=crypto, media both ways"};
  std::string sdp = call.sdp_of(call.a());
  sdp.erase(sdp.find("a=crypto"), sdp.find("\r\n", sdp.find("a=crypto")) + 2 - sdp.find("a=crypto"));
  json request = offer(call.id(), "A", sdp);
  const json offered = world.ng(request);
  call.b().relay = World::port_of(offered);
  const auto lines = lines_of(offered);
  for (const auto& line : lines) {
    if (line.suite->suite == kCm80) call.b().own.tag = line.tag;
  }
  const json reply = world.ng(answer(call.id(), "A", "B", call.sdp_of(call.b())));
  call.a().relay = World::port_of(reply);
  for (std::uint16_t n = 0; n < 50; ++n) {
    call.deliver(call.a(), rtp('A', 1, n));
    call.deliver(call.b(), rtp('B', 2, n));
    call.deliver(call.a(), sender_report(1, 1), true);
    call.pass();
  }
  row.through = world.count(call.a().rtp) + world.count(call.b().rtp) + world.count(call.b().rtcp);
  row.note = fmt::format("{} without a key", call.drops(call.a(), "no-key"));
  return row;
}

Row s11(World& world) {
  SecureCall call(world, 11, std::nullopt, kCm80);
  call.set_up();
  Row row{"S-11", "recording, listeners, silence, plans toggled 100 times: the SRTCP index rises (SRT-5)"};
  std::int64_t last = -1;
  for (int n = 0; n < 100; ++n) {
    if (n % 4 == 0)
      world.ng({{"command", "subscribe request"},
                {"call-id", call.id()},
                {"from-tag", "A"},
                {"to-tag", "S"},
                {"transport-protocol", "RTP/AVP"}});
    if (n % 4 == 1) world.ng({{"command", "unsubscribe"}, {"call-id", call.id()}, {"to-tag", "S"}});
    if (n % 4 == 2)
      world.ng({{"command", n % 8 == 2 ? "silence media" : "unsilence media"}, {"call-id", call.id()}});
    if (n % 4 == 3) call.set_up();
    world.ng({{"command", n % 2 == 0 ? "start recording" : "stop recording"}, {"call-id", call.id()}});
    call.deliver(call.a(), call.next(call.a()));
    call.deliver(call.b(), call.next(call.b()));
    const std::size_t before = call.captured.size();
    call.heard(call.b(), true);
    call.deliver(call.a(), sender_report(call.a().ssrc, static_cast<std::uint32_t>(n)), true);
    row.lost += 1 - std::min<std::size_t>(1, call.heard(call.b(), true).size());
    for (std::size_t i = before; i < call.captured.size(); ++i) {
      const Packet& packet = call.captured[i];
      const std::int64_t index = read_u32(packet, packet.size() - 14) & 0x7fffffff;
      if (index <= last) ++row.through;
      last = index;
    }
    call.pass(500ms);
  }
  row.note = fmt::format("up to {}", last);
  return row;
}

Row s12(World& world) {
  Row row{"S-12", "output over re-offers and restores: (key, SSRC, index) never repeats"};
  std::size_t seen = 0;
  for (const Suite a : {Suite(), Suite(kGcm)}) {  // keys of our own, and keys that go through
    SecureCall call(world, a ? 112 : 12, a, kGcm);
    call.a().sequence = 65'000;
    call.set_up();
    SrtpReceiver ear(EvpBackend().make(call.b().keys.from_relay), 1024);
    std::set<std::pair<std::uint32_t, std::uint64_t>> rtp_indices;
    std::mt19937 random(12);
    std::size_t from = world.received().size();
    for (int n = 0; n < 3000; ++n) {
      Packet packet = call.next(call.a());
      if (random() % 10 == 0) call.deliver(call.a(), packet);
      call.deliver(call.a(), packet);
      if (n % 100 == 50) call.set_up();
      if (n % 50 == 0) call.deliver(call.b(), call.next(call.b()));
      if (n % 500 == 250) {
        const json record = json::parse(world.manager().export_call(call.id(), world.clock()).dump());
        std::vector<Packet> unknown;  // to the export
        for (int more = 0; more < 20; ++more) {
          unknown.push_back(call.next(call.a()));
          call.deliver(call.a(), unknown.back());
          call.deliver(call.a(), sender_report(call.a().ssrc, 1), true);
        }
        world.manager().terminate(call.id(), world.clock());
        world.manager().flush(world.clock());
        if (!world.manager().restore_call(record, world.clock())) ++row.lost;
        // What goes on at the source goes on here; what comes again does not.
        call.deliver(call.a(), call.next(call.a()));
        for (const Packet& again : unknown) call.deliver(call.a(), again);
      }
      call.pass(5ms);
      for (; from < world.received().size(); ++from) {
        const Received& each = world.received()[from];
        if (each.at != call.b().rtp) continue;
        Packet copy = each.packet;
        if (open(ear, copy) != SrtpResult::kOk) {
          ++row.through;
          continue;
        }
        ++seen;
        if (!rtp_indices.emplace(read_u32(copy, 8), ear.opened_index()).second) ++row.through;
      }
    }
    world.ng({{"command", "delete"}, {"call-id", call.id()}, {"delete delay", 0}});
  }
  row.note = fmt::format("{} packets", seen);
  if (seen < 5000) row.lost += 5000 - seen;
  return row;
}

TEST_P(AttackTable, SecureCallsLeakAndLoseNothing) {
  // Every call is recorded, and none of it may show.
  const TemporaryFolder home;
  VirtualTime time;
  RecorderSettings settings;
  settings.directory = home.path("rec");
  settings.audio = true;
  settings.all_calls = true;
  const auto recorder = Recorder::make(
      settings, 1, [](RecorderLogLevel, const std::string&) {}, time.clock());
  ASSERT_TRUE(recorder) << recorder.error();
  WorldOptions recorded = options();
  recorded.recorder = recorder->get();
  recorded.on_time = [&time](Instant now) { time.set(now); };
  const auto world = make_sim_world(recorded);
  std::vector<Row> rows = {s01(*world), s02(*world), s03(*world), s04(*world), s05(*world), s06(*world)};
  rows.push_back(s07([](SessionManager::Listener listener) {
    WorldOptions with_listener = options();
    with_listener.listener = std::move(listener);
    return make_sim_world(with_listener);
  }));
  rows.push_back(s08(*world));
  rows.push_back(s10(*world));
  rows.push_back(s11(*world));
  rows.push_back(s12(*world));
  fmt::print("\nEncrypted calls by {}\n{:<6} {:<92} {:>8} {:>5}\n", GetParam(), "row", "what happens",
             "through", "lost");
  for (const Row& row : rows)
    fmt::print("{:<6} {:<92} {:>8} {:>5}  {}\n", row.id, row.what, row.through, row.lost, row.note);
  for (const Row& row : rows) {
    EXPECT_EQ(row.through, 0u) << row.id;
    EXPECT_EQ(row.lost, 0u) << row.id;
    EXPECT_EQ(row.note.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos)
        << row.id << ": " << row.note;
  }
}

}  // namespace
}  // namespace ferry::test::srtp_table_test
