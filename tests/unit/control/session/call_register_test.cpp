// SPDX-License-Identifier: Apache-2.0
#include "control/session/call_register.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

constexpr Clock kNow{Instant{5s}, WallTime{100s}};

TEST(CallRegister, ACallIsFoundByItsIdAndItsNumber) {
  CallRegister calls;
  Call& call = calls.create("one", kNow);
  EXPECT_EQ(calls.find("one"), &call);
  EXPECT_EQ(calls.by_serial(call.serial), &call);
  EXPECT_EQ(calls.find("two"), nullptr);
  EXPECT_EQ(call.created, kNow.wall);
  EXPECT_EQ(call.last_signal, kNow.now);
  calls.erase(call);
  EXPECT_EQ(calls.find("one"), nullptr);
  EXPECT_TRUE(calls.empty());
}

TEST(CallRegister, NumbersOfCallsAndMediasAreNotUsedAgain) {
  CallRegister calls;
  Call& first = calls.create("one", kNow);
  const std::uint64_t serial = first.serial;
  const MediaId media = calls.add_media(calls.add_leg(first, "A", kNow), 1, "audio").id;
  calls.erase(first);
  Call& second = calls.create("one", kNow);
  EXPECT_NE(second.serial, serial);
  EXPECT_EQ(calls.by_serial(serial), nullptr) << "the number of a call that is gone names nobody";
  EXPECT_NE(calls.add_media(calls.add_leg(second, "A", kNow), 1, "audio").id, media);
}

TEST(CallRegister, RestoredNumbersAreLeftFree) {
  CallRegister calls;
  calls.keep_media_number(MediaId{40});
  Call& call = calls.create("one", kNow);
  EXPECT_EQ(calls.add_media(calls.add_leg(call, "A", kNow), 1, "audio").id, MediaId{41});
}

TEST(CallRegister, AMergedIdLeadsToTheCallAndGoesWithIt) {
  CallRegister calls;
  Call& call = calls.create("one", kNow);
  call.ensure_extras().other_ids.emplace_back("two");
  calls.add_merged_id("two", call);
  EXPECT_EQ(calls.find("two"), &call);
  EXPECT_TRUE(calls.is_taken("two"));
  EXPECT_EQ(CallRegister::id_index(call, "one"), 0);
  EXPECT_EQ(CallRegister::id_index(call, "two"), 1);
  EXPECT_EQ(CallRegister::id_index(call, "three"), 0) << "an id that it does not have counts as its own";
  calls.erase(call);
  EXPECT_FALSE(calls.is_taken("two"));
}

TEST(CallRegister, ASharedNameNamesACallOnlyWhileNoOtherHasIt) {
  CallRegister calls;
  Call& first = calls.create("name tag1", kNow);
  Call& second = calls.create("name tag2", kNow);
  const auto name_of = [](const Call& call) { return std::string_view(call.id).substr(0, 4); };
  calls.add_shared_name(name_of(first), first);
  EXPECT_EQ(calls.find("name"), &first);
  calls.add_shared_name(name_of(second), second);
  EXPECT_EQ(calls.find("name"), nullptr) << "two calls have it";
  EXPECT_EQ(calls.count_sharing("name"), 2u);
  calls.erase(first, name_of(first));
  EXPECT_EQ(calls.find("name"), &second);
  EXPECT_FALSE(calls.is_taken("name")) << "an id is another thing than a shared name";
}

TEST(CallRegister, APartyGetsItsNumberAndTime) {
  CallRegister calls;
  Call& call = calls.create("one", kNow);
  Leg& a = calls.add_leg(call, "A", kNow);
  Leg& b = calls.add_leg(call, "", kNow);
  EXPECT_EQ(a.number, 1u);
  EXPECT_EQ(b.number, 2u);
  EXPECT_EQ(a.created_unix, 100);
  EXPECT_EQ(a.call, &call);
  Media& media = calls.add_media(b, 3, "video");
  EXPECT_EQ(media.index, 3u);
  EXPECT_EQ(media.leg, &b);
  ASSERT_NE(media.via, nullptr);
  EXPECT_EQ(media.via->leg, &b);
  EXPECT_EQ(media.via->medias(), std::vector<Media*>{&media});
}

}  // namespace
}  // namespace ferry::test
