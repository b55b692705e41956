// SPDX-License-Identifier: Apache-2.0
// What workers know of a call: by media, and still valid once the ports are closed.
#include "control/session/snapshots.hpp"

#include "tests/support/packets.hpp"
#include "tests/support/session_parts.hpp"

#include <cstddef>
#include <iterator>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

class SnapshotsTest : public testing::Test {
 protected:
  void speak(std::size_t leg, std::uint16_t packets) {
    const LocalPorts& ports = SessionParts::ports(call_, leg);
    for (std::uint16_t n = 1; n <= packets; ++n)
      parts_.network.send_to_relay({SessionParts::media(call_, leg).via->remote_rtp,
                                    {parts_.local().address, ports.port},
                                    rtp(leg == 0 ? 'A' : 'B', static_cast<std::uint32_t>(leg) + 1, n)});
    parts_.plane.worker(0).run_once();
  }
  SessionParts parts_;
  Call& call_ = parts_.add_call();
};

TEST_F(SnapshotsTest, EachOpenTransportIsRead) {
  speak(0, 4);
  speak(1, 7);
  const CallSnapshots all = parts_.snapshots.read(call_);
  ASSERT_EQ(all.entries.size(), 2u);
  for (const std::size_t leg : {0u, 1u}) {
    const Media& media = SessionParts::media(call_, leg);
    const auto& entry = *std::next(all.entries.begin(), static_cast<std::ptrdiff_t>(leg));
    EXPECT_TRUE(entry.carries(media.id));
    EXPECT_FALSE(entry.carries(SessionParts::media(call_, 1 - leg).id));
    EXPECT_TRUE(entry.active);
    EXPECT_EQ(entry.local, (Endpoint{parts_.local().address, SessionParts::ports(call_, leg).port}));
    EXPECT_EQ(entry.snapshot.counters[0].packets_in, leg == 0 ? 4u : 7u);
    EXPECT_EQ(all.view_of(media.id).counters[0].packets_in, leg == 0 ? 4u : 7u);
  }
}

TEST_F(SnapshotsTest, PortsOfTheProposedAddressAreNotTheActiveOnes) {
  MediaTransport& transport = *SessionParts::media(call_, 0).via;
  transport.ports.push_back(parts_.desk.open(call_, parts_.local(), parts_.now()).value());
  parts_.plans.sync(call_);
  const CallSnapshots all = parts_.snapshots.read(call_);
  ASSERT_EQ(all.entries.size(), 3u);
  EXPECT_TRUE(all.entries.front().active);
  EXPECT_FALSE(std::next(all.entries.begin())->active);
}

TEST_F(SnapshotsTest, WhatClosedPortsCountedIsAdded) {
  speak(0, 4);
  parts_.lifetime.end_leg(call_, *call_.legs[0]);
  parts_.lifetime.settle(parts_.now());
  const CallSnapshots all = parts_.snapshots.read(call_);
  const MediaView view = all.view_of(SessionParts::media(call_, 0).id);
  EXPECT_EQ(view.counters[0].packets_in, 4u);
  EXPECT_EQ(view.active, nullptr) << "it has no port now";
}

TEST_F(SnapshotsTest, OneTransportAlone) {
  speak(1, 3);
  EXPECT_EQ(parts_.snapshots.read_one(call_, SessionParts::ports(call_, 1)).counters[0].packets_in, 3u);
  LocalPorts& ports = SessionParts::ports(call_, 1);
  parts_.desk.close(call_, ports);
  EXPECT_EQ(parts_.snapshots.read_one(call_, ports).counters[0].packets_in, 0u) << "it is closed";
}

}  // namespace
}  // namespace ferry::test
