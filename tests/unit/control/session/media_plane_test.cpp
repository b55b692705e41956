// SPDX-License-Identifier: Apache-2.0
// Names of transports, their owners, and commands that wait for their workers.
#include "control/session/media_plane.hpp"

#include "control/call/call.hpp"
#include "tests/support/session_parts.hpp"

#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::media_plane_test {
namespace {

SessionParts::Options with_workers(std::size_t workers) {
  SessionParts::Options options;
  options.workers = workers;
  return options;
}

TEST(MediaPlane, ANameIsNeverGivenTwice) {
  SessionParts parts;
  MediaPlane& plane = parts.plane;
  std::set<std::pair<std::uint32_t, std::uint32_t>> names;
  std::vector<TransportId> held;
  for (int i = 0; i < 200; ++i) {
    const TransportId id = plane.allocate(0);
    EXPECT_TRUE(names.emplace(id.slot, id.generation).second) << id.slot << " " << id.generation;
    EXPECT_LT(id.slot, 8u) << "slots are used again";
    held.push_back(id);
    if (held.size() < 8) continue;
    plane.free(0, held.front());
    held.erase(held.begin());
  }
}

TEST(MediaPlane, TheOwnerIsThatOfThePresentName) {
  SessionParts parts;
  MediaPlane& plane = parts.plane;
  MediaTransport first;
  MediaTransport second;
  const TransportId former = plane.allocate(0);
  EXPECT_EQ(plane.owner(0, former), nullptr);
  plane.set_owner(0, former, &first);
  EXPECT_EQ(plane.owner(0, former), &first);
  plane.free(0, former);
  EXPECT_EQ(plane.owner(0, former), nullptr) << "the transport is gone";
  const TransportId present = plane.allocate(0);
  ASSERT_EQ(present.slot, former.slot);
  plane.set_owner(0, present, &second);
  EXPECT_EQ(plane.owner(0, present), &second);
  EXPECT_EQ(plane.owner(0, former), nullptr) << "a late event is nobody's";
  EXPECT_EQ(plane.owner(0, {99, 0}), nullptr);
}

TEST(MediaPlane, ANewCallGoesToTheWorkerWithTheFewestTransports) {
  SessionParts parts(with_workers(3));
  MediaPlane& plane = parts.plane;
  const TransportId on_first = plane.allocate(0);
  plane.allocate(0);
  const TransportId on_second = plane.allocate(1);
  EXPECT_EQ(plane.least_loaded(), 2u);
  plane.allocate(2);
  plane.allocate(2);
  EXPECT_EQ(plane.least_loaded(), 1u);
  plane.free(0, on_first);
  plane.free(1, on_second);
  EXPECT_EQ(plane.least_loaded(), 1u);
  plane.allocate(1);
  plane.allocate(1);
  EXPECT_EQ(plane.least_loaded(), 0u);
}

TEST(MediaPlane, AFenceWaitsForWhatWasPostedToEveryWorker) {
  SessionParts parts(with_workers(2));
  const Call* calls[] = {&parts.add_call("one"), &parts.add_call("two")};
  ASSERT_NE(calls[0]->worker, calls[1]->worker);
  TransportSnapshot snapshots[2];
  for (const std::size_t i : {0u, 1u}) {
    const TransportId id = calls[i]->legs[0]->medias[0]->via->ports[0].transport;
    parts.plane.post(calls[i]->worker, ReadTransport{id, &snapshots[i]}, true);
  }
  EXPECT_TRUE(snapshots[0].sources.empty()) << "it is only on its way";
  parts.plane.fence();
  for (const TransportSnapshot& each : snapshots) EXPECT_EQ(each.sources.size(), 1u);
}

TEST(MediaPlane, MoreCommandsThanTheRingHoldsAreCarriedOut) {
  SessionParts parts;
  Call& call = parts.add_call();
  constexpr std::size_t kMany = 10'000;
  std::vector<TransportSnapshot> snapshots(2);
  for (std::size_t i = 0; i < kMany; ++i) parts.plane.post(0, SendProbe{}, false);
  for (const std::size_t leg : {0u, 1u})
    parts.plane.post(0, ReadTransport{SessionParts::ports(call, leg).transport, &snapshots[leg]}, true);
  parts.plane.fence();
  for (const TransportSnapshot& each : snapshots) EXPECT_EQ(each.sources.size(), 1u);
}

}  // namespace
}  // namespace ferry::test::media_plane_test
