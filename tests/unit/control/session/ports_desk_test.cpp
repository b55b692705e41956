// SPDX-License-Identifier: Apache-2.0
// Local ports of calls: drawn, opened, and closed only once no worker uses them (LAT-13, PRT-2).
#include "control/session/ports_desk.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/session_parts.hpp"

#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(PortsDesk, APairIsAnEvenPortAndTheNextOne) {
  SessionParts parts;
  Call& call = parts.lifetime.create("call", parts.clock());
  call.tos = 184;
  const auto ports = parts.desk.open(call, parts.local(), parts.now());
  ASSERT_TRUE(ports);
  EXPECT_EQ(ports->port.value % 2, 0);
  EXPECT_EQ(parts.network.open_ports(), 2u);
  EXPECT_EQ(parts.local().ports->used(), 1u);
  ASSERT_EQ(parts.provider.marks.size(), 2u);
  for (const auto& [handle, tos] : parts.provider.marks) EXPECT_EQ(tos, 184);
  EXPECT_FALSE(ports->barred.is_set()) << "nobody had it before";
}

TEST(PortsDesk, TheSharedPortIsOpenedOnceAndOutlivesItsCalls) {
  SessionParts parts({.workers = 2, .interfaces = {"a/192.0.2.1", "b/192.0.2.1"}, .ice_port = UdpPort{3478}});
  EXPECT_EQ(parts.network.open_ports(), 0u);
  Call& call = parts.lifetime.create("call", parts.clock());
  EXPECT_FALSE(parts.desk.share(call, parts.local())) << "not open yet";
  parts.desk.open_shared(parts.interfaces);
  EXPECT_EQ(parts.network.open_ports(), 2u) << "a socket for each worker";
  auto ports = parts.desk.share(call, parts.local());
  ASSERT_TRUE(ports);
  EXPECT_TRUE(ports->is_shared);
  EXPECT_EQ(ports->port, UdpPort{3478});
  EXPECT_EQ(ports->handles[0], parts.plane.shared({parts.local().address, UdpPort{3478}}, call.worker));
  EXPECT_FALSE(ports->handles[1].is_open());
  const auto candidates = parts.desk.candidates_of(*ports, true, std::nullopt);
  ASSERT_EQ(candidates.size(), 1u) << "there is no RTCP component";
  EXPECT_NE(candidates[0].find(" 3478 typ host"), std::string::npos);
  const std::size_t used = parts.local().ports->used();
  const std::size_t closed = parts.provider.released;
  parts.desk.close(call, *ports);
  parts.plane.fence();
  parts.desk.release(parts.now());
  EXPECT_EQ(parts.network.open_ports(), 2u);
  EXPECT_EQ(parts.provider.released, closed);
  EXPECT_EQ(parts.local().ports->used(), used);
  EXPECT_TRUE(parts.desk.share(call, parts.local(1))) << "another name of the address";
}

TEST(PortsDesk, ASharedPortThatCannotBeOpenedIsToldToTheOperator) {
  SessionParts parts({.ice_port = UdpPort{3478}});
  parts.network.occupy({parts.local().address, UdpPort{3478}});
  try {
    parts.desk.open_shared(parts.interfaces);
    FAIL() << "it is in use";
  } catch (const std::runtime_error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("ice-port 3478"), std::string::npos) << text;
    EXPECT_NE(text.find("another process has it"), std::string::npos) << text;
  }
}

TEST(PortsDesk, APairOfWhichAnotherProgramHasOnePortIsLeftOut) {
  for (const bool has_rtcp : {false, true}) {
    SessionParts parts({.last = UdpPort{30003}});
    Call& call = parts.lifetime.create("call", parts.clock());
    const Endpoint held{parts.local().address, UdpPort{static_cast<std::uint16_t>(has_rtcp ? 30001 : 30000)}};
    parts.network.occupy(held);
    const auto ports = parts.desk.open(call, parts.local(), parts.now());
    ASSERT_TRUE(ports) << has_rtcp;
    EXPECT_EQ(ports->port, UdpPort{30002});
    EXPECT_EQ(parts.network.open_ports(), 2u) << "no half of the other pair is open";
    EXPECT_EQ(parts.local().ports->used(), 1u) << "it went back to the pool";
    EXPECT_EQ(parts.desk.failures().times, PortFailures{}.times) << "nothing failed";
  }
}

TEST(PortsDesk, EachFailureIsNamedAndCountedAndLeavesNothing) {
  const struct {
    PortError error;
    PortFailure failure;
  } rows[] = {{PortError::kInUse, PortFailure::kExhausted},
              {PortError::kNoAddress, PortFailure::kNoAddress},
              {PortError::kNoDescriptors, PortFailure::kNoDescriptors},
              {PortError::kNoMemory, PortFailure::kNoMemory},
              {PortError::kOther, PortFailure::kRefused}};
  for (const auto& row : rows) {
    SessionParts parts;
    parts.pass(5s);
    Call& call = parts.lifetime.create("call", parts.clock());
    parts.network.set_port_error(row.error);
    const auto ports = parts.desk.open(call, parts.local(), parts.now());
    ASSERT_FALSE(ports);
    EXPECT_EQ(ports.error(), row.failure);
    EXPECT_EQ(parts.network.open_ports(), 0u);
    EXPECT_EQ(parts.local().ports->used(), 0u);
    const auto index = static_cast<std::size_t>(row.failure);
    EXPECT_EQ(parts.desk.failures().times[index], 1u);
    EXPECT_EQ(parts.desk.failures().last_at[index], parts.now());
    EXPECT_EQ(parts.desk.failures().last, row.failure);
  }
}

TEST(PortsDesk, TheSecondPortOfAPairMayFail) {
  SessionParts parts;
  Call& call = parts.lifetime.create("call", parts.clock());
  parts.network.set_descriptor_limit(1);
  EXPECT_EQ(parts.desk.open(call, parts.local(), parts.now()).error(), PortFailure::kNoDescriptors);
  EXPECT_EQ(parts.network.open_ports(), 0u) << "the first one is closed again";
}

TEST(PortsDesk, ARangeRunsOut) {
  SessionParts parts({.last = UdpPort{30005}});
  Call& call = parts.lifetime.create("call", parts.clock());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(parts.desk.open(call, parts.local(), parts.now()));
  EXPECT_EQ(parts.desk.open(call, parts.local(), parts.now()).error(), PortFailure::kExhausted);
}

TEST(PortsDesk, LAT13_PortsCloseOnceTheirWorkerHasLetGoOfThem) {
  SessionParts parts;
  Call& call = parts.add_call();
  ASSERT_EQ(parts.network.open_ports(), 4u);
  ASSERT_EQ(parts.plane.worker(0).transports(), 2u);
  std::vector<std::size_t> known;
  parts.provider.on_release = [&] { known.push_back(parts.plane.worker(0).transports()); };
  parts.lifetime.end(call, EndReason::kRegular, parts.clock());
  EXPECT_EQ(parts.network.open_ports(), 4u) << "the worker may still be at work";
  EXPECT_EQ(parts.local().ports->used(), 2u) << "and nobody else may have them";
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(parts.network.open_ports(), 0u);
  EXPECT_EQ(parts.local().ports->used(), 0u);
  EXPECT_EQ(known, (std::vector<std::size_t>{0, 0, 0, 0}));
}

TEST(PortsDesk, ClosingTwiceIsClosingOnce) {
  SessionParts parts;
  Call& call = parts.add_call();
  LocalPorts& ports = SessionParts::ports(call, 0);
  parts.desk.close(call, ports);
  parts.desk.close(call, ports);
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(parts.provider.released, 2u);
  EXPECT_EQ(parts.local().ports->used(), 1u);
}

TEST(PortsDesk, WhatTheyCountedIsKnownAfterTheFence) {
  SessionParts parts;
  Call& call = parts.add_call();
  LocalPorts& ports = SessionParts::ports(call, 0);
  for (std::uint16_t n = 1; n <= 3; ++n)
    parts.network.send_to_relay(
        {at("198.51.100.1:4000"), {parts.local().address, ports.port}, rtp('A', 1, n)});
  parts.plane.worker(0).run_once();
  TransportFigures figures;
  parts.desk.close(call, ports, &figures);
  parts.plane.fence();
  EXPECT_EQ(figures.counters[0].packets_in, 3u);
}

TEST(PortsDesk, PRT2_APairThatHadNoRestBarsItsLastSource) {
  SessionParts parts({.last = UdpPort{30003}});
  Call& first = parts.add_call("first");
  const UdpPort port = SessionParts::ports(first, 0).port;
  parts.lifetime.end(first, EndReason::kRegular, parts.clock());
  parts.lifetime.settle(parts.now());
  Call& second = parts.lifetime.create("second", parts.clock());
  for (int i = 0; i < 2; ++i) {
    const auto ports = parts.desk.open(second, parts.local(), parts.now());
    ASSERT_TRUE(ports);
    EXPECT_EQ(ports->barred, at(ports->port == port ? "198.51.100.1:4000" : "198.51.100.2:5000"));
  }
}

TEST(PortsDesk, PRT4_AWorkersNumberThatIsUsedAgainNamesTheNewTransport) {
  SessionParts parts;
  Call& call = parts.add_call("first");
  const TransportId before = SessionParts::ports(call, 0).transport;
  parts.lifetime.end(call, EndReason::kRegular, parts.clock());
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(parts.plane.owner(0, before), nullptr);
  Call& second = parts.add_call("second");
  for (const std::size_t leg : {0u, 1u}) {
    const TransportId now = SessionParts::ports(second, leg).transport;
    EXPECT_NE(now, before) << "an event of the old one is nobody's";
    EXPECT_EQ(parts.plane.owner(0, now), SessionParts::media(second, leg).via);
  }
}

TEST(PortsDesk, KeepOnlyClosesAllOthers) {
  SessionParts parts;
  Call& call = parts.add_call();
  MediaTransport& transport = *SessionParts::media(call, 0).via;
  for (int i = 0; i < 2; ++i)
    transport.ports.push_back(parts.desk.open(call, parts.local(), parts.now()).value());
  transport.active = 2;
  const UdpPort kept = transport.ports[1].port;
  parts.desk.keep_only(call, transport, 1);
  ASSERT_EQ(transport.ports.size(), 1u);
  EXPECT_EQ(transport.ports[0].port, kept);
  EXPECT_FALSE(transport.ports[0].closed);
  EXPECT_EQ(transport.active, 0u);
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(parts.network.open_ports(), 4u) << "one pair of each party";
  parts.desk.close_all(call, transport);
  EXPECT_TRUE(transport.ports.empty());
  parts.lifetime.settle(parts.now());
  EXPECT_EQ(parts.network.open_ports(), 2u);
}

/// An interface with three addresses, one of them of IPv6, and one that is shown by another address.
class ManyAddresses : public testing::Test {
 protected:
  SessionParts parts_{
      {.interfaces = {"plain/198.18.0.1", "plain/198.18.0.2!203.0.113.2", "plain/2001:db8::1"}}};
  const LogicalInterface& plain_ = parts_.interfaces.all()[0];
  Call& call_ = parts_.lifetime.create("call", parts_.clock());
  LocalPorts ports_ = parts_.desk.open(call_, plain_.addresses[0], parts_.now()).value();
};

TEST_F(ManyAddresses, EachOtherAddressHasAPairOfItsOwn) {
  ASSERT_EQ(plain_.addresses.size(), 3u);
  ports_.more = parts_.desk.open_more(call_, plain_, ports_, parts_.now());
  ASSERT_EQ(ports_.more.size(), 2u);
  EXPECT_EQ(ports_.more[0].local, &plain_.addresses[1]);
  EXPECT_EQ(ports_.more[1].local, &plain_.addresses[2]);
  EXPECT_TRUE(parts_.desk.open_more(call_, plain_, ports_, parts_.now()).empty()) << "it has them all";
  EXPECT_EQ(parts_.network.open_ports(), 6u);
  parts_.desk.close(call_, ports_);
  parts_.lifetime.settle(parts_.now());
  EXPECT_EQ(parts_.network.open_ports(), 0u) << "they go together";
  for (const LocalAddress& each : plain_.addresses) EXPECT_EQ(each.ports->used(), 0u);
}

TEST_F(ManyAddresses, AnAddressWithoutPortsIsOneCandidateLess) {
  parts_.network.set_descriptor_limit(4);
  EXPECT_EQ(parts_.desk.open_more(call_, plain_, ports_, parts_.now()).size(), 1u);
  EXPECT_EQ(parts_.network.open_ports(), 4u);
}

/// A candidate line (RFC 8839 §5.1), taken apart.
struct Candidate {
  explicit Candidate(const std::string& line) {
    std::istringstream words(line);
    std::string typ;
    words >> foundation >> component >> transport >> priority >> address >> port >> typ >> type;
    EXPECT_EQ(typ, "typ");
    EXPECT_EQ(transport, "UDP");
  }
  std::string foundation;
  unsigned component = 0;
  std::string transport;
  std::uint64_t priority = 0;
  std::string address;
  std::uint16_t port = 0;
  std::string type;
};

TEST_F(ManyAddresses, CandidatesOfEachAddressAndComponent) {
  ports_.more = parts_.desk.open_more(call_, plain_, ports_, parts_.now());
  const auto lines = parts_.desk.candidates_of(ports_, true, {});
  ASSERT_EQ(lines.size(), 6u);
  const char* const shown[] = {"198.18.0.1", "203.0.113.2", "2001:db8::1"};
  std::set<std::string> foundations;
  std::set<std::uint64_t> priorities;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Candidate candidate(lines[i]);
    const std::size_t place = i % 3;
    const UdpPort port = place == 0 ? ports_.port : ports_.more[place - 1].port;
    EXPECT_EQ(candidate.component, i / 3 + 1);
    EXPECT_EQ(candidate.type, "host");
    EXPECT_EQ(candidate.address, shown[place]) << "as it is advertised";
    EXPECT_EQ(candidate.port, port.value + i / 3);
    EXPECT_EQ(candidate.foundation, Candidate(lines[place]).foundation)
        << "of one address alike (RFC 8445 §5.1.1.3)";
    foundations.insert(candidate.foundation);
    priorities.insert(candidate.priority);
    EXPECT_GE(candidate.priority >> 24, 126u) << "a host candidate (RFC 8445 §5.1.2.2)";
    EXPECT_EQ(candidate.priority & 0xff, 256 - candidate.component) << "RFC 8445 §5.1.2.1";
  }
  EXPECT_EQ(foundations.size(), 3u) << "each address has its own";
  EXPECT_EQ(priorities.size(), 6u) << "RFC 8445 §5.1.2: unique";
  EXPECT_EQ(parts_.desk.candidates_of(ports_, true, {}), lines) << "the same each time";
}

TEST_F(ManyAddresses, WithMuxTheyAreOfRtpAloneAndTheFirstMayBeShownElsewhere) {
  ports_.more = parts_.desk.open_more(call_, plain_, ports_, parts_.now());
  const auto lines = parts_.desk.candidates_of(ports_, false, IpAddress::parse("192.0.2.200"));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(Candidate(lines[0]).address, "192.0.2.200") << "media-address";
  EXPECT_EQ(Candidate(lines[1]).address, "203.0.113.2") << "of the first one alone";
}

TEST_F(ManyAddresses, ACandidateBesideThoseOfAPartyStandsBelowThem) {
  using Beside = PortsDesk::Beside;
  for (const bool is_relayed : {false, true}) {
    for (const std::uint32_t below : {0x7fffffffu, 2130706431u, 200u, 3u, 1u, 0u}) {
      const Beside beside{is_relayed, true, below};
      std::set<std::uint64_t> priorities;
      const auto lines = parts_.desk.candidates_beside(ports_, beside, {});
      ASSERT_EQ(lines.size() % 2, 0u) << "both components";
      for (const std::string& line : lines) {
        const Candidate each(line);
        priorities.insert(each.priority);
        EXPECT_GE(each.priority, 1u) << line;
        EXPECT_LT(each.priority, 1u << 24) << "RFC 8445 §5.1.2.2: " << line;
        if (below > 20) {
          EXPECT_LT(each.priority, below) << line;
        }
        EXPECT_EQ(line.find(" typ relay raddr ") != std::string::npos, is_relayed) << line;
      }
      if (below > 20) {
        EXPECT_EQ(priorities.size(), lines.size()) << "each has its own";
      }
    }
  }
  const auto lines =
      parts_.desk.candidates_beside(ports_, {.is_relayed = true}, IpAddress::parse("192.0.2.200"));
  EXPECT_TRUE(lines[0].ends_with(fmt::format(" typ relay raddr 192.0.2.200 rport {}", ports_.port.value)))
      << lines[0];
  EXPECT_EQ(Candidate(lines[0]).component, 1u);
}

TEST(PortsDesk, TheOctetOfACallGoesToAllItsOpenPortsWhenItChanges) {
  SessionParts parts;
  Call& call = parts.add_call();
  parts.desk.close(call, SessionParts::ports(call, 1));
  parts.provider.marks.clear();
  parts.desk.set_tos(call, call.tos);
  EXPECT_TRUE(parts.provider.marks.empty()) << "it has it already";
  parts.desk.set_tos(call, 184);
  ASSERT_EQ(parts.provider.marks.size(), 2u) << "the ports of A; those of B are closed";
  for (const auto& [handle, tos] : parts.provider.marks) EXPECT_EQ(tos, 184);
  EXPECT_EQ(call.tos, 184);
  parts.provider.marks.clear();
  parts.desk.mark_alone(SessionParts::ports(call, 0), 96);
  ASSERT_EQ(parts.provider.marks.size(), 2u);
  EXPECT_EQ(parts.provider.marks[0].second, 96);
  EXPECT_EQ(call.tos, 184);
}

}  // namespace
}  // namespace ferry::test
