// SPDX-License-Identifier: Apache-2.0
// The keys by which sections find parties, transports and medias.

#include "control/record/places.hpp"

#include <gtest/gtest.h>

namespace ferry::test::places_test {
namespace {

/// Two parties, 3 and 5; the second one has two medias and two sets of ports for the second.
struct Placed {
  Call call;
  Placed() {
    for (const unsigned number : {3u, 5u}) {
      Leg& leg = *call.legs.emplace_back(std::make_unique<Leg>());
      leg.call = &call;
      leg.number = number;
    }
    call.legs[0]->add_media().id = MediaId{10};
    call.legs[1]->add_media().id = MediaId{11};
    Media& last = call.legs[1]->add_media();
    last.id = MediaId{12};
    last.via->ports.resize(2);
  }
};

TEST(Places, ArePartiesByNumberAndTheRestByTheirOrder) {
  Placed placed;
  Leg& second = *placed.call.legs[1];
  EXPECT_EQ(&leg_at(placed.call, 5), &second);
  EXPECT_EQ(&transport_at(placed.call, {5, 1}), second.medias[1]->via);
  EXPECT_EQ(&ports_at(placed.call, {5, 1, 1}), &second.medias[1]->via->ports[1]);
  EXPECT_EQ(&media_at(placed.call, MediaId{12}), second.medias[1].get());
}

TEST(Places, ThatAreNoneAreRefused) {
  Placed placed;
  EXPECT_THROW(leg_at(placed.call, 4), std::exception);
  EXPECT_THROW(transport_at(placed.call, {4, 0}), std::exception);
  EXPECT_THROW(transport_at(placed.call, {3, 1}), std::exception);
  EXPECT_THROW(ports_at(placed.call, {5, 1, 2}), std::exception);
  EXPECT_THROW(ports_at(placed.call, {5, 0, 0}), std::exception);
  EXPECT_THROW(media_at(placed.call, MediaId{13}), std::exception);
}

TEST(Places, ReferencesSurviveARecord) {
  Placed placed;
  RecordContext context;
  context.call = &placed.call;
  for (const auto& leg : placed.call.legs) {
    EXPECT_EQ(JsonValue<Leg*>::load(JsonValue<Leg*>::save(leg.get(), context), context), leg.get());
    for (const auto& media : leg->medias)
      EXPECT_EQ(JsonValue<Media*>::load(JsonValue<Media*>::save(media.get(), context), context), media.get());
  }
  EXPECT_THROW(JsonValue<Leg*>::load(4, context), std::exception);
  EXPECT_THROW(JsonValue<Media*>::load("10", context), std::exception);
}

TEST(Places, AreTheSameWhenAllAreVisited) {
  Placed placed;
  unsigned transports = 0;
  each_transport(placed.call, [&](const TransportPlace& place, const MediaTransport& transport) {
    EXPECT_EQ(&transport_at(placed.call, place), &transport);
    ++transports;
  });
  EXPECT_EQ(transports, 3u);
  unsigned medias = 0;
  each_media(placed.call, [&](const Media& media) {
    EXPECT_EQ(&media_at(placed.call, media.id), &media);
    ++medias;
  });
  EXPECT_EQ(medias, 3u);
}

}  // namespace
}  // namespace ferry::test::places_test
