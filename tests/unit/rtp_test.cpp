// RTP, RTCP, classification, statistics, token bucket, output timeline.

#include "relay/core/rtp/rtp.hpp"

#include "relay/core/classify.hpp"
#include "relay/core/limit/token_bucket.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/g711_level.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::bytes_of;
using test::Packet;
using test::rtp;

constexpr Instant kStart{1h};

TEST(Rtp, Rfc3550FixedHeader_IsRead) {
  const Packet packet = rtp('A', 0xCAFE, 513, 8);
  const auto view = parse_rtp(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->ssrc, Ssrc{0xCAFE});
  EXPECT_EQ(view->sequence, SeqNo{513});
  EXPECT_EQ(view->payload_type, PayloadType{8});
  EXPECT_EQ(view->payload.size(), 160u);
}

TEST(Rtp, DMX3_LengthsMustAddUp) {
  EXPECT_EQ(parse_rtp(bytes_of({0x80, 0})).error(), RtpParseError::kTooShort);
  Packet packet = rtp('A', 1, 1, 8, 4);
  packet[0] = std::byte{0x8f};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kCsrcOverrun);
  packet[0] = std::byte{0x90};
  write_u16(packet, 14, 1);
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kExtensionOverrun);
  packet[0] = std::byte{0xa0};
  packet.back() = std::byte{5};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadPadding);
  packet.back() = std::byte{0};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadPadding);
  packet.back() = std::byte{4};
  EXPECT_EQ(parse_rtp(packet)->payload.size(), 0u);
}

TEST(Rtp, DMX4_VersionMustBeTwo) {
  for (const int first : {0x00, 0x40, 0xc0}) {
    Packet packet = rtp('A', 1, 1);
    packet[0] = static_cast<std::byte>(first);
    EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadVersion);
  }
}

TEST(Classify, DMX1_FirstOctetDecides) {
  EXPECT_EQ(classify(bytes_of({0, 1})), DatagramClass::kStun);
  EXPECT_EQ(classify(bytes_of({3, 1})), DatagramClass::kStun);
  EXPECT_EQ(classify(bytes_of({4, 1})), DatagramClass::kUnknown);
  EXPECT_EQ(classify(bytes_of({22, 1})), DatagramClass::kDtls);
  EXPECT_EQ(classify(bytes_of({64, 1})), DatagramClass::kUnknown);
  EXPECT_EQ(classify(bytes_of({0x80, 8})), DatagramClass::kRtp);
  EXPECT_EQ(classify(bytes_of({0xc0, 8})), DatagramClass::kUnknown);
  EXPECT_EQ(classify({}), DatagramClass::kUnknown);
}

TEST(Classify, DMX2_SecondOctetTellsRtcp) {
  EXPECT_EQ(classify(bytes_of({0x80, 192})), DatagramClass::kRtcp);
  EXPECT_EQ(classify(bytes_of({0x80, 223})), DatagramClass::kRtcp);
  EXPECT_EQ(classify(bytes_of({0x80, 191})), DatagramClass::kRtp);
  EXPECT_EQ(classify(bytes_of({0x80, 224})), DatagramClass::kRtp);
}

TEST(Rtcp, RTC1_CompoundIsCheckedAsAWhole) {
  EXPECT_TRUE(validate_rtcp(test::receiver_report(1), false));
  EXPECT_TRUE(validate_rtcp(test::sender_report(1, 2), false));
  EXPECT_EQ(validate_rtcp(bytes_of({0x80, 201, 0, 0}), false).error(), RtcpError::kTooShort);
  EXPECT_EQ(validate_rtcp(bytes_of({0x80, 201, 0, 2, 0, 0, 0, 1}), false).error(), RtcpError::kLengthPastEnd);
  EXPECT_EQ(validate_rtcp(bytes_of({0x81, 201, 0, 1, 0, 0, 0, 1}), false).error(), RtcpError::kBlocksPastEnd);
  EXPECT_EQ(validate_rtcp(bytes_of({0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}), false).error(),
            RtcpError::kFirstNotReport);
  EXPECT_TRUE(validate_rtcp(bytes_of({0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}), true))
      << "reduced size, RFC 5506";
  Packet many;
  for (int i = 0; i < 65; ++i) {
    const Packet one = test::receiver_report(1);
    many.insert(many.end(), one.begin(), one.end());
  }
  EXPECT_EQ(validate_rtcp(many, false).error(), RtcpError::kTooManyPackets);
}

TEST(Rtcp, RTC1_SdesByeAndXrStayInside) {
  const Packet report = test::receiver_report(1);
  const auto with = [&](std::initializer_list<int> rest) {
    Packet packet = report;
    const Packet more = bytes_of(rest);
    packet.insert(packet.end(), more.begin(), more.end());
    return packet;
  };
  EXPECT_TRUE(validate_rtcp(with({0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, 'a', 0}), false));
  EXPECT_EQ(validate_rtcp(with({0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 0}), false).error(),
            RtcpError::kItemPastChunk);
  EXPECT_TRUE(validate_rtcp(with({0x81, 203, 0, 1, 0, 0, 0, 1}), false));
  EXPECT_EQ(validate_rtcp(with({0x85, 203, 0, 1, 0, 0, 0, 1}), false).error(), RtcpError::kBlocksPastEnd);
  EXPECT_EQ(validate_rtcp(with({0x81, 203, 0, 2, 0, 0, 0, 1, 9, 'x', 0, 0}), false).error(),
            RtcpError::kReasonPastEnd);
  EXPECT_EQ(validate_rtcp(with({0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 7}), false).error(),
            RtcpError::kXrPastEnd);
}

/// transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) of `words` words behind
/// its SSRCs, whose last octet is the padding count.
Packet transport_feedback(std::size_t words, std::uint8_t padding, bool flagged = true) {
  Packet packet(12 + 4 * words, std::byte{0x11});
  write_u8(packet, 0, flagged ? 0xaf : 0x8f);
  write_u8(packet, 1, rtcp_type::kRtpFeedback);
  write_u16(packet, 2, static_cast<std::uint16_t>(2 + words));
  packet.back() = static_cast<std::byte>(padding);
  return packet;
}

/// The packets of `parts` as one compound.
Packet joined(std::initializer_list<Packet> parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Rtcp, RTC1_PaddingIsOneOctetToTheRestOfTheLastPacket) {
  // Failed before: counts that are no multiple of four, which is most feedback of a browser.
  struct Row {
    const char* what;
    std::size_t words;  // of feedback behind the SSRCs
    std::uint8_t padding;
    bool flagged;
    std::optional<RtcpError> error;
  };
  const Row rows[] = {
      {"no padding", 3, 0x11, false, {}},
      {"flag with a count of zero", 3, 0, true, RtcpError::kBadPadding},
      {"one octet", 3, 1, true, {}},
      {"two octets", 3, 2, true, {}},
      {"three octets", 3, 3, true, {}},
      {"a whole word", 3, 4, true, {}},
      {"five octets", 3, 5, true, {}},
      {"all behind the SSRCs", 3, 12, true, {}},
      {"into the SSRCs: no feedback is that short", 3, 13, true, RtcpError::kBlocksPastEnd},
      {"all but the header", 3, 20, true, RtcpError::kBlocksPastEnd},
      {"into the header", 3, 21, true, RtcpError::kBadPadding},
      {"more than the packet", 3, 255, true, RtcpError::kBadPadding},
  };
  for (const Row& row : rows) {
    const Packet feedback = transport_feedback(row.words, row.padding, row.flagged);
    const Packet report = test::receiver_report(1);
    for (const bool alone : {false, true}) {
      const auto judged = validate_rtcp(alone ? feedback : joined({report, feedback}), alone);
      EXPECT_EQ(judged.has_value(), !row.error.has_value()) << row.what << (alone ? ", alone" : "");
      if (row.error && !judged) {
        EXPECT_EQ(judged.error(), *row.error) << row.what;
      }
    }
    if (row.flagged) {
      EXPECT_EQ(validate_rtcp(joined({report, feedback, report}), false).error(), RtcpError::kBadPadding)
          << row.what << ": padding in a packet that is not the last";
    }
  }
}

TEST(Rtcp, RTC1_PaddingOfReportsAndListsLeavesTheirContentWhole) {
  const Packet report = test::receiver_report(1);
  // A report block that the padding reaches into; a BYE reason and an SDES chunk that it cuts.
  Packet block = test::sender_report(1, 2);
  write_u8(block, 0, 0xa1);
  for (const int count : {1, 3, 4, 24}) {
    write_u8(block, block.size() - 1, static_cast<std::uint8_t>(count));
    EXPECT_EQ(validate_rtcp(block, false).error(), RtcpError::kBlocksPastEnd) << count;
  }
  const Packet padded_report = bytes_of({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4});
  EXPECT_TRUE(validate_rtcp(padded_report, false));
  EXPECT_EQ(validate_rtcp(joined({report, bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 1, 2, 'x', 'y', 1})}), false)
                .has_value(),
            true)
      << "a reason of two octets and one of padding";
  EXPECT_EQ(
      validate_rtcp(joined({report, bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 1, 3, 'x', 'y', 1})}), false).error(),
      RtcpError::kReasonPastEnd);
  EXPECT_EQ(
      validate_rtcp(joined({report, bytes_of({0xa1, 202, 0, 2, 0, 0, 0, 1, 1, 1, 'a', 1})}), false).error(),
      RtcpError::kItemPastChunk);
}

TEST(Rtcp, RTC3_FeedbackIsCutOutAndTheRestStays) {
  const Packet report = test::receiver_report(7);
  const Packet sender = test::sender_report(7, 2, 9);
  const Packet names = bytes_of({0x81, 202, 0, 2, 0, 0, 0, 7, 1, 1, 'a', 0});
  const Packet bye = bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4});
  const Packet pli = bytes_of({0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9});
  const Packet nack = bytes_of({0x81, 205, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 0, 1, 0, 0});
  const Packet transport = transport_feedback(3, 2);
  const Packet quality = bytes_of({0x80, 207, 0, 1, 0, 0, 0, 7});
  const Packet own = bytes_of({0x80, 204, 0, 2, 0, 0, 0, 7, 'T', 'E', 'S', 'T'});
  const Packet unknown = bytes_of({0x80, 212, 0, 1, 0, 0, 0, 7});
  struct Row {
    const char* what;
    Packet before;
    Packet after;
  };
  const Row rows[] = {
      {"a report", report, report},
      {"no feedback at all", joined({sender, names, own, quality, unknown, bye}),
       joined({sender, names, own, quality, unknown, bye})},
      {"feedback alone", pli, {}},
      {"several of them", joined({nack, pli, transport}), {}},
      {"at the end", joined({sender, names, pli}), joined({sender, names})},
      {"with padding at the end", joined({report, transport}), report},
      {"in the middle", joined({sender, pli, nack, names}), joined({sender, names})},
      {"between, before padding", joined({report, nack, bye}), joined({report, bye})},
      {"first: an empty report takes its place", joined({pli, names}), joined({report, names})},
      {"first and last", joined({nack, quality, own, pli}), joined({report, quality, own})},
      {"first, then a report", joined({nack, sender}), joined({report, sender})},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(validate_rtcp(row.before, true)) << row.what;
    Packet packet = row.before;
    EXPECT_EQ(has_feedback(packet), row.before != row.after) << row.what;
    packet.resize(cut_feedback(packet));
    EXPECT_EQ(packet, row.after) << row.what;
    if (!packet.empty()) {
      EXPECT_TRUE(validate_rtcp(packet, false)) << row.what;
    }
  }
}

TEST(StreamStats, CountsLossReorderingAndDuplicates) {
  StreamStats stats;
  for (const unsigned number : {10u, 11u, 13u, 12u, 13u, 16u}) {
    const auto n = static_cast<std::uint16_t>(number);
    const Packet packet = rtp('A', 1, n);
    ASSERT_EQ(stats.check(SeqNo{n}), StreamStats::Check::kOk);
    stats.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
  }
  EXPECT_EQ(stats.counters().packets, 6u);
  EXPECT_EQ(stats.counters().expected(), 7u);
  EXPECT_EQ(stats.counters().lost(), 2u);
  EXPECT_EQ(stats.counters().duplicates, 1u);
  EXPECT_EQ(stats.counters().reordered, 1u);
}

TEST(StreamStats, AnOldPacketDoesNotSayWhatTheSenderDoesNow) {
  StreamStats stats;
  Instant now{std::chrono::seconds(1)};
  const auto takes = [&](std::uint16_t sequence, std::uint8_t type, std::size_t size) {
    const std::vector<std::byte> payload(size);
    RtpView view;
    view.sequence = SeqNo{sequence};
    view.timestamp = sequence * 160u;
    view.payload_type = PayloadType{type};
    view.payload = payload;
    stats.count(view, 12 + size, 8000, now);
  };
  takes(100, 8, 160);
  takes(101, 13, 1);
  for (const std::uint16_t old : {std::uint16_t{100}, std::uint16_t{99}, std::uint16_t{20}}) {
    takes(old, 8, 160);
    EXPECT_EQ(stats.counters().last_payload_type, 13) << old;
    EXPECT_EQ(stats.counters().last_payload_size, 1u) << old;
    EXPECT_EQ(stats.counters().last_timestamp, 101 * 160u) << old;
  }
  takes(50000, 8, 160);
  EXPECT_EQ(stats.counters().last_payload_type, 8) << "under a new key its numbers are anywhere";
}

TEST(StreamStats, BeginsWithItsFirstPacketAndThoseThatWereOnTheirWayWithIt) {
  const auto lost_with = [](std::uint16_t late) {
    StreamStats stats;
    const Instant now{std::chrono::seconds(1)};
    for (const std::uint16_t n : {std::uint16_t{500}, std::uint16_t{501}, late, std::uint16_t{502}}) {
      RtpView view;
      view.sequence = SeqNo{n};
      stats.count(view, 172, 0, now);
    }
    return stats.counters().lost();
  };
  EXPECT_EQ(lost_with(499), 0u);
  EXPECT_EQ(lost_with(490), 9u) << "nine between are still to come";
  EXPECT_EQ(lost_with(410), 0u) << "a packet of an earlier time leaves no gap behind it";
}

TEST(StreamStats, IsACopyIfNumberAndTimeStampWereThere) {
  StreamStats stats;
  const Instant begin{std::chrono::seconds(1)};
  for (std::uint16_t n = 1000; n < 1400; ++n) {
    RtpView view;
    view.sequence = SeqNo{n};
    view.timestamp = 70'000u + n * 160u;
    stats.count(view, 172, 8000, begin + std::chrono::milliseconds(20) * (n - 1000));
  }
  const Instant now = begin + std::chrono::seconds(8);
  EXPECT_TRUE(stats.is_copy(SeqNo{1399}, 70'000u + 1399 * 160, now));
  EXPECT_TRUE(stats.is_copy(SeqNo{1100}, 70'000u + 1100 * 160, now));
  EXPECT_FALSE(stats.is_copy(SeqNo{1100}, 70'000u + 1400 * 160, now)) << "the sender began again";
  EXPECT_FALSE(stats.is_copy(SeqNo{1100}, 70'000u - 20 * 8000, now)) << "from any other time stamp";
  EXPECT_FALSE(stats.is_copy(SeqNo{1400}, 70'000u + 1399 * 160, now)) << "a number that is new";
  EXPECT_FALSE(stats.is_copy(SeqNo{999}, 70'000u + 1100 * 160, now)) << "a number before the first";
  EXPECT_TRUE(stats.is_copy(SeqNo{990}, 70'000u + 990 * 160, now)) << "it came before anything was counted";
}

TEST(StreamStats, ExtendsTheSequenceOverAWrap) {
  StreamStats stats;
  for (std::uint32_t n = 65530; n < 65536 + 5; ++n) {
    const Packet packet = rtp('A', 1, static_cast<std::uint16_t>(n));
    ASSERT_EQ(stats.check(SeqNo{static_cast<std::uint16_t>(n)}), StreamStats::Check::kOk);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
  }
  EXPECT_EQ(stats.counters().highest_extended, 65540u);
  EXPECT_EQ(stats.counters().lost(), 0u);
}

TEST(StreamStats, SSR4_JumpNeedsTwoConsecutivePackets) {
  StreamStats stats;
  const auto count = [&](std::uint16_t n) {
    const Packet packet = rtp('A', 1, n);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
  };
  ASSERT_EQ(stats.check(SeqNo{100}), StreamStats::Check::kOk);
  count(100);
  EXPECT_EQ(stats.check(SeqNo{3099}), StreamStats::Check::kOk) << "2999 ahead is loss";
  EXPECT_EQ(stats.check(SeqNo{5000}), StreamStats::Check::kJump);
  EXPECT_EQ(stats.check(SeqNo{5002}), StreamStats::Check::kJump) << "not consecutive";
  EXPECT_EQ(stats.check(SeqNo{5003}), StreamStats::Check::kOk);
  count(5003);
  EXPECT_EQ(stats.counters().resets, 1u);
  EXPECT_EQ(stats.counters().lost(), 0u) << "a restart is no loss";
}

TEST(StreamStats, SSR4_EveryStepThatIsAJumpIsConfirmedByTheNextPacket) {
  struct Row {
    int step;
    bool is_jump;
  };
  for (const Row& row : {Row{2999, false}, Row{3000, true}, Row{3001, true}, Row{20'000, true},
                         Row{-99, false}, Row{-100, false}, Row{-101, true}, Row{-102, true}, Row{-150, true},
                         Row{-3000, true}, Row{-32'768, true}}) {
    for (const std::uint16_t from : {std::uint16_t{50'000}, std::uint16_t{40}}) {
      StreamStats stats;
      unsigned refused = 0;
      const auto arrives = [&](std::uint16_t n) {
        if (stats.check(SeqNo{n}) != StreamStats::Check::kOk) {
          ++refused;
          return;
        }
        const Packet packet = rtp('A', 1, n);
        stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
      };
      for (int n = -200; n <= 0; ++n) arrives(static_cast<std::uint16_t>(from + n));
      for (int n = 0; n < 50; ++n) arrives(static_cast<std::uint16_t>(from + row.step + n));
      EXPECT_EQ(refused, row.is_jump ? 1u : 0u) << row.step;
      EXPECT_EQ(stats.counters().resets, row.is_jump ? 1u : 0u) << row.step;
      if (!row.is_jump) continue;
      EXPECT_EQ(stats.counters().lost(), 0u) << row.step;
      EXPECT_EQ(stats.counters().duplicates, 0u) << row.step;
    }
  }
}

TEST(StreamStats, SSR4_ALonePacketHundredAndOneBackConfirmsNothing) {
  StreamStats stats;
  const auto arrives = [&](std::uint16_t n) {
    if (stats.check(SeqNo{n}) != StreamStats::Check::kOk) return false;
    const Packet packet = rtp('A', 1, n);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
    return true;
  };
  for (std::uint16_t n = 1000; n < 1200; ++n) (void)arrives(n);
  EXPECT_FALSE(arrives(1199 - 101));
  EXPECT_TRUE(stats.is_jump(SeqNo{1199 - 100}))
      << "it would confirm one: no type that was not negotiated may";
  EXPECT_TRUE(arrives(1200)) << "the stream goes on";
  EXPECT_TRUE(arrives(1200 - 100)) << "late, and no jump";
  EXPECT_EQ(stats.counters().resets, 0u);
  EXPECT_EQ(stats.counters().highest_extended, 1200u);
}

TEST(StreamStats, Rfc3550JitterOfAPerfectStreamIsZero) {
  StreamStats steady;
  StreamStats shaken;
  for (std::uint16_t n = 1; n < 100; ++n) {
    const Packet packet = rtp('A', 1, n);
    steady.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
    shaken.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms + (n % 2) * 10ms);
  }
  EXPECT_EQ(steady.counters().jitter(), 0ns);
  EXPECT_NEAR(static_cast<double>(shaken.counters().jitter().count()) / 1e6, 10.0, 0.5);
}

TEST(StreamStats, TimeStampsThatLeapAreNoJitter) {
  for (const std::uint32_t leap : {8001u, 1'000'000u, 0x80000000u, 0xfff00000u}) {
    StreamStats stats;
    for (std::uint16_t n = 1; n < 200; ++n) {
      Packet packet = rtp('A', 1, n);
      if (n >= 100) write_u32(packet, 4, n * 160u + leap);
      stats.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
    }
    EXPECT_EQ(stats.counters().jitter_max_q4, 0u) << leap;
  }
}

TEST(Quality, MosFallsWithLossAndDelay) {
  EXPECT_EQ(estimate_mos_times_10(0ms, 0ms, 0), 44);
  EXPECT_LT(estimate_mos_times_10(300ms, 0ms, 0), 40);
  EXPECT_LT(estimate_mos_times_10(0ms, 0ms, 10), 35);
  EXPECT_GE(estimate_mos_times_10(10s, 1s, 100), 10);
}

TEST(G711Level, TellsSilenceFromSpeech) {
  const Packet a_law_silence(160, std::byte{0xd5});
  const Packet mu_law_silence(160, std::byte{0xff});
  Packet speech = a_law_silence;
  speech[80] = std::byte{0x2a};
  EXPECT_TRUE(is_silent(G711Law::kA, a_law_silence));
  EXPECT_TRUE(is_silent(G711Law::kMu, mu_law_silence));
  EXPECT_FALSE(is_silent(G711Law::kA, speech));
}

TEST(TokenBucket, LIM1_AllowsABurstOfOneSecondAndThenTheRate) {
  TokenBucket bucket;
  const RateLimit limit{250, 0};
  unsigned passed = 0;
  for (int ms = 0; ms < 3000; ++ms) {
    for (int i = 0; i < 10; ++i) passed += bucket.take(limit, 172, kStart + ms * 1ms) ? 1u : 0u;
  }
  EXPECT_NEAR(passed, 250u * 4u, 5u);
}

TEST(TokenBucket, LIM1_ATimeWithoutLimitLeavesNoDebt) {
  TokenBucket bucket;
  Instant now{1s};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take({1000, 0}, 1000, now += 10ms));
  const RateLimit octets{1000, 20'000};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take(octets, 100, now += 10ms)) << i;
}

TEST(TokenBucket, LIM1_OctetsAreLimitedToo) {
  TokenBucket bucket;
  const RateLimit limit{0, 1000};
  EXPECT_TRUE(bucket.take(limit, 900, kStart));
  EXPECT_FALSE(bucket.take(limit, 200, kStart)) << "leaves the bucket as it was";
  EXPECT_TRUE(bucket.take(limit, 100, kStart));
}

}  // namespace
}  // namespace ferry
