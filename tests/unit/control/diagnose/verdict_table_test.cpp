// SPDX-License-Identifier: Apache-2.0
// Stories of calls and the verdicts on them: faults of many kinds and calls that are as they should be. A row
// lists what is expected of every party, media and direction; a direction that a row does not list fails it.
// What is expected is written as causes by name, `|` between those that are right, and a mark behind each:
// `!` a fault, `~` a note, none: fine. `*` stands for any cause.
#include "tests/support/call_story.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test::verdict_table_test {
namespace {

using namespace std::chrono_literals;

using Tell = std::function<void(CallStory&)>;

struct Direction {
  MediaDirection direction = MediaDirection::kFrom;
  Party who;
  auto operator<=>(const Direction&) const = default;
};
constexpr Direction from(Party who) { return {MediaDirection::kFrom, who}; }
constexpr Direction to(Party who) { return {MediaDirection::kTo, who}; }

struct Row {
  std::string name;
  Tell tell;
  std::map<Direction, std::string> expected;
  std::size_t parties = 2;
  std::vector<std::string> types{"audio"};
};

/// What A speaks, B hears, B speaks and A hears.
Row two(std::string name, Tell tell, std::string a_speaks, std::string b_hears, std::string b_speaks = "fine",
        std::string a_hears = "fine") {
  return {std::move(name),
          std::move(tell),
          {{from(A), std::move(a_speaks)},
           {to(B), std::move(b_hears)},
           {from(B), std::move(b_speaks)},
           {to(A), std::move(a_hears)}}};
}

bool matches(const MediaVerdict& verdict, std::string_view expected) {
  const std::string_view mark = verdict.severity() == Severity::kFault  ? "!"
                                : verdict.severity() == Severity::kNote ? "~"
                                                                        : "";
  const std::string is = std::string(to_string(verdict.cause)) + std::string(mark);
  const std::string any = "*" + std::string(mark);
  while (!expected.empty()) {
    const std::size_t end = std::min(expected.find('|'), expected.size());
    const std::string_view one = expected.substr(0, end);
    if (one == is || one == any) return true;
    expected.remove_prefix(std::min(end + 1, expected.size()));
  }
  return false;
}

std::size_t words_of(const std::string& sentence) {
  std::istringstream stream(sentence);
  std::size_t words = 0;
  for (std::string word; stream >> word;) ++words;
  return words;
}

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool begins = at == 0 || std::isalnum(static_cast<unsigned char>(text[at - 1])) == 0;
    const std::size_t end = at + word.size();
    const bool ends = end == text.size() || std::isalnum(static_cast<unsigned char>(text[end])) == 0;
    if (begins && ends) return true;
  }
  return false;
}

// Evidence that many rows need.

void encrypt(MediaEvidence& media) {
  media.is_encrypted = true;
  media.is_keyed = true;
}

/// Keys of `who` come by DTLS, and its handshake is in `state`.
Tell dtls(Party who, DtlsChannel::State state, DtlsStage stage, bool relay_begins = false) {
  return [=](CallStory& story) {
    story.with_media(who, [=](MediaEvidence& media) {
      encrypt(media);
      media.handshake_begins = relay_begins;
    });
    story.with_port(who, [=](TransportSnapshot& port) {
      port.dtls = TransportSnapshot::Dtls{};
      port.dtls->front().state = state;
      if (stage == DtlsStage::kNothing) return;
      const Endpoint with = port.destination[0];
      port.dtls->front().evidence.of(with, true, CallStory::now()).stage = stage;
    });
  };
}

Tell ice(Party who, IceAgent::State state) {
  return [=](CallStory& story) {
    story.with_media(who, [](MediaEvidence& media) { media.has_ice = true; });
    story.with_port(who, [=](TransportSnapshot& port) {
      port.ice = TransportSnapshot::Ice{};
      port.ice->state = state;
      if (state != IceAgent::State::kConnected) port.destination[0] = {};
    });
  };
}

/// Nothing of `who` was ever taken, and nothing leaves for it: `arriving` and `leaving` say why.
Tell shut(Party who, DropReason arriving, DropReason leaving) {
  return [=](CallStory& story) { story.refuses(who, arriving, 100).drops_toward(who, leaving, 100); };
}

Tell all_of(std::vector<Tell> tells) {
  return [tells = std::move(tells)](CallStory& story) {
    for (const Tell& tell : tells) tell(story);
  };
}

std::string percent(double share) { return fmt::format("{:g} %", share); }

void add_refusals(std::vector<Row>& rows) {
  const struct {
    const char* name;
    DropReason reason;
    std::string cause;
    bool is_encrypted;
  } kinds[] = {
      {"sequence steps back or leaps", DropReason::kSequenceJump, "sequence-jumps", false},
      {"many SSRCs", DropReason::kSsrcNotAdmitted, "ssrcs-refused", false},
      {"began again under its key", DropReason::kReplayed, "replayed", true},
      {"another key", DropReason::kNotAuthentic, "not-authentic", true},
      {"key worn out", DropReason::kKeyExhausted, "key-worn-out", true},
      {"forgotten SSRC", DropReason::kSsrcForgotten, "key-worn-out", true},
      {"more than the stream may carry", DropReason::kRateLimited, "rate-limited", false},
      {"a type that nobody negotiated", DropReason::kUnknownPayloadType, "unknown-payload-type", false},
      {"no buffers", DropReason::kNoBuffer, "overloaded", false},
      {"no memory", DropReason::kNoMemory, "overloaded", false},
      {"broken RTP", DropReason::kMalformedRtp, "malformed", false},
  };
  for (const auto& kind : kinds) {
    for (const double share : {100.0, 50.0, 15.0}) {
      rows.push_back(two(
          fmt::format("{}: {} is refused lately", kind.name, percent(share)),
          [kind, share](CallStory& story) {
            story.refuses(A, kind.reason, share, When::kLately);
            if (kind.is_encrypted) story.with_media(A, encrypt);
          },
          kind.cause + "!", kind.cause + "!"));
    }
    rows.push_back(two(
        fmt::format("{}: 5 % is refused", kind.name),
        [kind](CallStory& story) {
          story.refuses(A, kind.reason, 5);
          if (kind.is_encrypted) story.with_media(A, encrypt);
        },
        kind.cause + "~|lossy~", kind.cause + "~|lossy~"));
  }
  for (const DropReason reason :
       {DropReason::kForeignSource, DropReason::kSourceNotAllowed, DropReason::kForbiddenSource}) {
    rows.push_back(two(
        fmt::format("moved to another host: {}", to_string(reason)),
        [reason](CallStory& story) { story.refuses(A, reason, 100, When::kLately); }, "source-refused!",
        "source-refused!"));
  }
  rows.push_back(two(
      "never another host than one that is refused",
      [](CallStory& story) { story.refuses(A, DropReason::kSourceNotAllowed, 100); }, "source-refused!",
      "source-refused!"));
  rows.push_back(two(
      "several sources claim the stream",
      [](CallStory& story) {
        story.refuses(A, DropReason::kContested, 100);
        story.with_port(A, [](TransportSnapshot& port) { port.latch[0].contested = true; });
      },
      "contested!", "contested!"));
  for (const DropReason reason : {DropReason::kStunUnexpected, DropReason::kDtlsUnexpected,
                                  DropReason::kUnknownProtocol, DropReason::kUdptlUnexpected}) {
    rows.push_back(two(
        fmt::format("speaks something else: {}", to_string(reason)),
        [reason](CallStory& story) { story.refuses(A, reason, 100); }, "malformed!", "malformed!"));
  }
  rows.push_back(two(
      "a codec of an earlier SDP",
      [](CallStory& story) {
        story.was_signalled(20s).refuses(A, DropReason::kUnknownPayloadType, 100, When::kLately);
        story.with_media(A, [](MediaEvidence& media) {
          media.earlier = media.shown;
          media.shown.reset();
          media.shown.set(0);
        });
      },
      "codec-mismatch!", "codec-mismatch!"));
  rows.push_back(two(
      "transcoding was asked for and is not done",
      [](CallStory& story) {
        story.refuses(A, DropReason::kUnknownPayloadType, 100);
        story.with_media(A, [](MediaEvidence& media) { media.unmade_codecs = {"PCMU"}; });
        story.with_media(B, [](MediaEvidence& media) { media.unmade_codecs = {"PCMU"}; });
      },
      "not-transcoded!", "not-transcoded!", "fine|not-transcoded~", "fine|not-transcoded~"));
  rows.push_back(two(
      "another roll-over counter",
      [](CallStory& story) {
        story.refuses(A, DropReason::kNotAuthentic, 100, When::kLately);
        story.with_media(A, [](MediaEvidence& media) {
          encrypt(media);
          media.seen.roll_over = {0, 3, Ssrc{0x1000}, CallStory::now()};
        });
      },
      "roll-over-mismatch!", "roll-over-mismatch!"));
}

void add_networks(std::vector<Row>& rows) {
  for (const double share : {2.5, 5.0, 8.0}) {
    rows.push_back(two(
        "loss of " + percent(share), [share](CallStory& story) { story.loses(A, share); }, "lossy~",
        "lossy~"));
  }
  for (const double share : {12.0, 30.0, 70.0}) {
    rows.push_back(two(
        "loss of " + percent(share), [share](CallStory& story) { story.loses(A, share); }, "broken-up!",
        "broken-up!"));
  }
  for (const Duration length : std::initializer_list<Duration>{60s, 600s, 3000s}) {
    rows.push_back(two(
        fmt::format("15 % lost lately in a call of {} s", length / 1s),
        [length](CallStory& story) { story.lasts(length).loses(A, 15, When::kLately); }, "broken-up!",
        "broken-up!"));
  }
  rows.push_back(two(
      "15 % lost in five of the last ten seconds",
      [](CallStory& story) { story.lasts(600s).loses(A, 7.5, When::kLately); }, "lossy~", "lossy~"));
  const struct {
    const char* name;
    double share;
    unsigned run;
  } holes[] = {{"two holes of 240 ms", 4.8, 12},
               {"a hole of 500 ms", 5, 25},
               {"a hole of 220 ms", 2.2, 11},
               {"three holes of 240 ms", 7.2, 12}};
  for (const auto& hole : holes) {
    rows.push_back(two(
        hole.name, [hole](CallStory& story) { story.loses(A, hole.share, When::kLately, hole.run); },
        "interrupted~|lossy~", "interrupted~|lossy~"));
  }
  for (const double share : {5.0, 8.0}) {
    rows.push_back(two(
        percent(share) + " lost behind the relay",
        [share](CallStory& story) { story.reports_loss(B, share); }, "fine", "lossy-behind~"));
  }
  for (const double share : {15.0, 40.0, 99.0}) {
    rows.push_back(two(
        percent(share) + " lost behind the relay",
        [share](CallStory& story) { story.reports_loss(B, share, When::kLately); }, "fine",
        "lossy-behind!|broken-up!"));
  }
  rows.push_back(two(
      "lost before and behind the relay, each less than half of what counts",
      [](CallStory& story) { story.loses(A, 6).reports_loss(B, 6); }, "lossy~",
      "lossy!|lossy-behind!|broken-up!"));
  for (const Duration jitter : std::initializer_list<Duration>{60ms, 120ms, 300ms}) {
    rows.push_back(two(
        fmt::format("jitter of {} ms", jitter / 1ms),
        [jitter](CallStory& story) { story.jitters(A, jitter); }, "lossy~", "lossy~"));
  }
  rows.push_back(two(
      "lost earlier, and well now", [](CallStory& story) { story.lasts(30s).loses(A, 20, When::kEarlier); },
      "lossy~", "lossy~"));
  for (const Duration ago : std::initializer_list<Duration>{8s, 20s, 300s}) {
    rows.push_back(two(
        fmt::format("stopped {} s ago", ago / 1s),
        [ago](CallStory& story) { story.lasts(600s).stops(A, ago); }, "stopped!", "stopped!"));
  }
  rows.push_back(two(
      "stands still for three seconds", [](CallStory& story) { story.stops(A, 3s); },
      "interrupted~|interrupted!|broken-up!", "interrupted~|interrupted!|broken-up!"));
  for (const Duration length : std::initializer_list<Duration>{8s, 20s, 300s}) {
    rows.push_back(two(
        fmt::format("never sent anything in {} s", length / 1s),
        [length](CallStory& story) { story.lasts(length).never_sends(A); }, "never-sent!", "never-sent!"));
  }
  rows.push_back(two(
      "only RTCP arrives",
      [](CallStory& story) {
        story.never_sends(A).with_media(A, [](MediaEvidence& media) {
          media.seen.last_packet[1] = CallStory::now() - 2s;
          media.seen.counters[1].packets_in = 12;
        });
      },
      "only-rtcp!", "only-rtcp!"));
  rows.push_back(two(
      "a private address, and nothing arrives",
      [](CallStory& story) {
        story.never_sends(A).with_media(A, [](MediaEvidence& media) { media.is_void = true; });
        story.with_port(A, [](TransportSnapshot& port) { port.destination[0] = {}; });
        story.drops_toward(A, DropReason::kNoDestination, 100);
      },
      "void-address!", "void-address!", "fine", "void-address!|nothing-to-send!"));
  rows.push_back(two(
      "sends to the port of an earlier SDP",
      [](CallStory& story) {
        story.was_signalled(20s).stops(A, 20s).with_media(A, [](MediaEvidence& media) {
          const Endpoint former{media.local.address, UdpPort{31000}};
          media.seen.former.push_back({former, 900, CallStory::now()});
        });
      },
      "old-port!", "old-port!"));
  rows.push_back(two(
      "there has never been sound", [](CallStory& story) { story.is_mute(A); }, "silence!", "silence!"));
  rows.push_back(two(
      "there has never been sound in a call of eight seconds",
      [](CallStory& story) { story.lasts(8s).is_mute(A); }, "silence!", "silence!"));
}

void add_ways_out(std::vector<Row>& rows) {
  const struct {
    DropReason reason;
    std::string cause;
  } kinds[] = {{DropReason::kPeerUnverified, "unverified"},   {DropReason::kNoKey, "no-key"},
               {DropReason::kKeyExhausted, "key-worn-out"},   {DropReason::kSharedKey, "shared-key|no-key"},
               {DropReason::kNoBuffer, "overloaded"},         {DropReason::kNoMemory, "overloaded"},
               {DropReason::kNotConverted, "not-transcoded"}, {DropReason::kMediaOverload, "media-overload"}};
  for (const auto& kind : kinds) {
    std::string faults = kind.cause + "!";
    if (const std::size_t both = faults.find('|'); both != std::string::npos) faults.insert(both, "!");
    for (const double share : {100.0, 40.0, 15.0}) {
      rows.push_back(two(
          fmt::format("{} is not sent to B: {}", percent(share), to_string(kind.reason)),
          [kind, share](CallStory& story) { story.drops_toward(B, kind.reason, share, When::kLately); },
          "fine", faults));
    }
  }
  // An encrypted receiver had those numbers already: what the sender counts is wrong, and not the way.
  for (const double share : {100.0, 40.0, 15.0}) {
    rows.push_back(two(
        fmt::format("{} steps back toward an encrypting side", percent(share)),
        [share](CallStory& story) {
          story.drops_toward(B, DropReason::kReplayed, share, When::kLately);
          story.with_media(B, encrypt);
        },
        "fine|sequence-jumps!|sequence-jumps~", "sequence-jumps!"));
  }
  rows.push_back(two(
      "too late to repacketize",
      [](CallStory& story) { story.drops_toward(B, DropReason::kTooLate, 20, When::kLately); },
      "fine|too-late!|too-late~", "too-late!"));
  const struct {
    SendError error;
    std::string cause;
  } errors[] = {{SendError::kPortUnreachable, "unreachable"},
                {SendError::kHostUnreachable, "unreachable"},
                {SendError::kNoNeighbour, "no-route"}};
  for (const auto& each : errors) {
    rows.push_back(two(
        fmt::format("B answers {}", to_string(each.error)),
        [each](CallStory& story) { story.is_unreachable(B, each.error); }, "fine", each.cause + "!"));
    rows.push_back(two(
        fmt::format("B answers {} for some seconds", to_string(each.error)),
        [each](CallStory& story) { story.is_unreachable(B, each.error, When::kLately); }, "fine",
        each.cause + "!"));
  }
  const struct {
    SendError error;
    std::string cause;
  } local[] = {{SendError::kNoRoute, "no-route"},
               {SendError::kNotPermitted, "local-firewall"},
               {SendError::kWrongFamily, "wrong-family"},
               {SendError::kNoBuffers, "send-failed"},
               {SendError::kOther, "send-failed"}};
  for (const auto& each : local) {
    for (const double share : {100.0, 25.0}) {
      rows.push_back(two(
          fmt::format("the host takes {} less for B: {}", percent(share), to_string(each.error)),
          [each, share](CallStory& story) { story.fails_to_send(B, each.error, share, When::kLately); },
          "fine", each.cause + "!"));
    }
  }
  rows.push_back(two(
      "the host takes 5 % less for B",
      [](CallStory& story) { story.fails_to_send(B, SendError::kNoBuffers, 5); }, "fine",
      "send-failed~|lossy~"));
}

void add_signalling(std::vector<Row>& rows) {
  using State = DtlsChannel::State;
  const DropReason no_key = DropReason::kNoKey;
  rows.push_back(two("no key was agreed with A",
                     all_of({shut(A, no_key, no_key),
                             [](CallStory& story) {
                               story.with_media(A, [](MediaEvidence& media) { media.is_encrypted = true; });
                             }}),
                     "no-key!", "no-key!", "fine", "no-key!"));
  rows.push_back(two("DTLS never started",
                     all_of({dtls(A, State::kWaiting, DtlsStage::kNothing), shut(A, no_key, no_key)}),
                     "no-handshake!", "no-handshake!", "fine", "no-handshake!"));
  rows.push_back(
      two("DTLS: A never answered the relay",
          all_of({dtls(A, State::kHandshaking, DtlsStage::kHello, true),
                  [](CallStory& story) { story.never_sends(A).drops_toward(A, DropReason::kNoKey, 100); }}),
          "no-handshake!", "no-handshake!", "fine", "no-handshake!"));
  rows.push_back(two("DTLS failed",
                     all_of({dtls(A, State::kFailed, DtlsStage::kUnderWay), shut(A, no_key, no_key)}),
                     "no-handshake!", "no-handshake!", "fine", "no-handshake!"));
  for (const Duration since : std::initializer_list<Duration>{1s, 3s, 60s}) {
    rows.push_back(two(fmt::format("wrong fingerprint, {} s after the answer", since / 1s),
                       all_of({dtls(A, State::kMismatch, DtlsStage::kWrongCertificate),
                               shut(A, no_key, no_key), [since](CallStory& story) { story.lasts(since); }}),
                       "wrong-certificate!", "wrong-certificate!", "fine", "wrong-certificate!"));
  }
  const auto unsent = [](CallStory& story) {
    story.never_sends(A).drops_toward(A, DropReason::kNoDestination, 100);
  };
  rows.push_back(two("ICE: no checks arrive", all_of({ice(A, IceAgent::State::kWaiting), unsent}), "no-pair!",
                     "no-pair!", "fine", "no-pair!"));
  rows.push_back(two("ICE: no pair works", all_of({ice(A, IceAgent::State::kFailed), unsent}), "no-pair!",
                     "no-pair!", "fine", "no-pair!"));
  rows.push_back(two("ICE: the party no longer consents",
                     all_of({ice(A, IceAgent::State::kExpired),
                             [](CallStory& story) {
                               story.stops(A, 20s).drops_toward(A, DropReason::kNoDestination, 100,
                                                                When::kLately);
                             }}),
                     "no-pair!", "no-pair!", "fine", "no-pair!"));
  for (const unsigned rate : {2u, 20u}) {
    rows.push_back(
        two(fmt::format("ICE: {} checks a second of a wrong password", rate),
            all_of({ice(A, IceAgent::State::kChecking), unsent,
                    [rate](CallStory& story) { story.refuses_stranger(A, DropReason::kStunRefused, rate); }}),
            "ice-refused!", "ice-refused!", "fine", "ice-refused!"));
  }
  rows.push_back(two(
      "echo: the SDP of A names the address of B",
      [](CallStory& story) {
        story.refuses(A, DropReason::kSourceNotAllowed, 100);
        story.with([](CallEvidence& call) {
          MediaEvidence& a = call.legs[0].medias[0];
          a.signalled = call.legs[1].medias[0].signalled;
        });
        story.with_port(A, [](TransportSnapshot& port) {
          port.destination[0] = {IpAddress::v4({192, 0, 2, 2}), UdpPort{4008}};
        });
      },
      "*!", "*!", "fine", "echo!"));
  rows.push_back(two(
      "echo, and A never sends",
      [](CallStory& story) {
        story.never_sends(A).with([](CallEvidence& call) {
          MediaEvidence& a = call.legs[0].medias[0];
          a.signalled = call.legs[1].medias[0].signalled;
        });
        story.with_port(A, [](TransportSnapshot& port) {
          port.destination[0] = {IpAddress::v4({192, 0, 2, 2}), UdpPort{4008}};
        });
      },
      "*!", "*!", "fine", "echo!"));
  rows.push_back(two(
      "the SDP of A names a port of the relay",
      [](CallStory& story) {
        story.never_sends(A).drops_toward(A, DropReason::kLoop, 100);
        story.with_media(A, [](MediaEvidence& media) { media.loops = true; });
      },
      "*!", "*!", "fine", "loop!"));
  rows.push_back(two(
      "the SDP of A names a denied address",
      [](CallStory& story) {
        story.never_sends(A).drops_toward(A, DropReason::kDeniedAddress, 100);
        story.with_media(A, [](MediaEvidence& media) { media.denied = PeerDenial::kLoopback; });
        story.with_port(A, [](TransportSnapshot& port) { port.destination[0] = {}; });
      },
      "*!", "*!", "fine", "denied-address!"));
  rows.push_back(two(
      "A is of another IP version",
      [](CallStory& story) {
        story.never_sends(A).drops_toward(A, DropReason::kNoDestination, 100);
        story.with_media(
            A, [](MediaEvidence& media) { media.signalled = *Endpoint::parse("[2001:db8::1]:4000"); });
      },
      "*!", "*!", "fine", "wrong-family!"));
  rows.push_back(two(
      "the relay does not hear its own port",
      [](CallStory& story) {
        story.never_sends(A).with_media(A, [](MediaEvidence& media) { media.is_served = false; });
      },
      "port-not-served!", "port-not-served!"));
  const auto refused_answer = [](bool by_family) {
    return [by_family](CallStory& story) {
      story.is_unanswered().never_sends(A).never_sends(B).with([by_family](CallEvidence& call) {
        call.legs[1].medias[0].signalled = {};
        call.refused = RefusedMessage{true, by_family, "ran out of ports", CallStory::now() - 2s};
      });
    };
  };
  rows.push_back(two("the answer of B was refused", refused_answer(false), "*~|answer-refused!",
                     "answer-refused!", "answer-refused!", "*~|answer-refused!"));
  rows.push_back(two("the answer of B is of another IP version", refused_answer(true), "*~|wrong-family!",
                     "wrong-family!", "wrong-family!", "*~|wrong-family!"));
}

/// Somebody hears nothing, as somebody wanted it: no fault, and the row of the listener is not fine.
void add_wanted(std::vector<Row>& rows) {
  rows.push_back(two(
      "A is blocked", [](CallStory& story) { story.is_blocked(A); }, "blocked~", "blocked~"));
  rows.push_back(two(
      "A is silenced", [](CallStory& story) { story.is_silenced(A); }, "blocked~", "blocked~"));
  rows.push_back(two(
      "both are blocked", [](CallStory& story) { story.is_blocked(A).is_blocked(B); }, "blocked~", "blocked~",
      "blocked~", "blocked~"));
  rows.push_back(two(
      "A was blocked a moment ago",
      [](CallStory& story) {
        story.refuses(A, DropReason::kBlocked, 100, When::kLately);
        story.with_media(A, [](MediaEvidence& media) { media.is_blocked = true; });
      },
      "blocked~", "blocked~"));
  for (const Duration ago : std::initializer_list<Duration>{2s, 8s, 40s}) {
    rows.push_back(two(
        fmt::format("A holds since {} s, with music", ago / 1s),
        [ago](CallStory& story) { story.holds(A, ago); }, "fine", "fine", "hold~", "hold~"));
    rows.push_back(two(
        fmt::format("inactive since {} s", ago / 1s), [ago](CallStory& story) { story.holds_both(ago); },
        "hold~", "hold~", "hold~", "hold~"));
    rows.push_back(two(
        fmt::format("A holds since {} s, and B goes on", ago / 1s),
        [ago](CallStory& story) { story.holds(A, ago).sends_all_the_same(B); }, "fine", "fine", "hold~",
        "hold~"));
  }
  for (const Duration ago : std::initializer_list<Duration>{2s, 8s, 40s}) {
    rows.push_back(two(
        fmt::format("A pauses with comfort noise since {} s", ago / 1s),
        [ago](CallStory& story) { story.pauses_with_comfort_noise(A, ago); }, "silence-suppressed~|fine",
        "silence-suppressed~|fine"));
    rows.push_back(two(
        fmt::format("A said goodbye by RTCP {} s ago", ago / 1s),
        [ago](CallStory& story) { story.says_goodbye(A, ago); }, "silence-suppressed~|fine",
        "silence-suppressed~|fine"));
  }
  for (const Duration ago : std::initializer_list<Duration>{25s, 40s}) {
    rows.push_back(two(
        fmt::format("A is muted since {} s", ago / 1s),
        [ago](CallStory& story) { story.is_mute_since(A, ago); }, "silence-suppressed~",
        "silence-suppressed~"));
  }
  rows.push_back(two(
      "B hears a prompt",
      [](CallStory& story) { story.refuses(A, DropReason::kPromptPlaying, 100, When::kLately); },
      "fine|prompt-plays~", "prompt-plays~"));
  rows.push_back(two(
      "the relay stood still",
      [](CallStory& story) {
        story.refuses(A, DropReason::kStaleAfterPause, 5, When::kLately);
        story.refuses(B, DropReason::kStaleAfterPause, 5, When::kLately);
      },
      "stood-still~", "stood-still~", "stood-still~", "stood-still~"));
  const auto declined = [](MediaEvidence& media) { media.is_rejected = true; };
  rows.push_back({"video is declined",
                  [=](CallStory& story) {
                    for (const Party who : {A, B})
                      story.never_sends(video_of(who)).with_media(video_of(who), declined);
                  },
                  {{from(A), "fine"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine"},
                   {from(video_of(A)), "declined~"},
                   {to(video_of(A)), "declined~"},
                   {from(video_of(B)), "declined~"},
                   {to(video_of(B)), "declined~"}},
                  2,
                  {"audio", "video"}});
  rows.push_back(two(
      "a section that is not relayed",
      [](CallStory& story) {
        for (const Party who : {A, B})
          story.never_sends(who).with_media(
              who, [](MediaEvidence& media) { media.unrelayed = "TCP/WB runs over TCP"; });
      },
      "not-relayed~", "not-relayed~", "not-relayed~", "not-relayed~"));
  rows.push_back(two(
      "not answered yet",
      [](CallStory& story) {
        story.is_unanswered().never_sends(A).never_sends(B).with(
            [](CallEvidence& call) { call.legs[1].medias[0].signalled = {}; });
      },
      "waiting~", "waiting~", "waiting~", "waiting~|nothing-to-send~"));
  for (const Duration since : std::initializer_list<Duration>{500ms, 2s, 4s}) {
    rows.push_back(two(
        fmt::format("answered {} ms ago, and no media yet", since / 1ms),
        [since](CallStory& story) { story.lasts(since).never_sends(A).never_sends(B); }, "waiting~",
        "waiting~|nothing-to-send~", "waiting~", "waiting~|nothing-to-send~"));
  }
  rows.push_back(two(
      "A is not expected to send",
      [](CallStory& story) {
        story.never_sends(A).with_media(A, [](MediaEvidence& media) { media.is_unidirectional = true; });
      },
      "waiting~", "waiting~|nothing-to-send~"));
}

std::vector<Row> faults() {
  std::vector<Row> rows;
  add_refusals(rows);
  add_networks(rows);
  add_ways_out(rows);
  add_signalling(rows);
  return rows;
}

Row fine(std::string name, Tell tell) { return two(std::move(name), std::move(tell), "fine", "fine"); }

std::vector<Row> healthy() {
  std::vector<Row> rows;
  add_wanted(rows);
  rows.push_back(fine("A and B talk", [](CallStory&) {}));
  for (const Duration length : std::initializer_list<Duration>{2s, 8s, 3000s})
    rows.push_back(fine(fmt::format("A and B talk for {} s", length / 1s),
                        [length](CallStory& story) { story.lasts(length); }));
  for (const double share : {0.5, 1.0, 1.8})
    rows.push_back(fine("loss of " + percent(share), [share](CallStory& story) { story.loses(A, share); }));
  for (const double share : {0.0, 0.5, 1.5})
    rows.push_back(fine(percent(share) + " lost behind the relay",
                        [share](CallStory& story) { story.reports_loss(B, share); }));
  for (const Duration jitter : std::initializer_list<Duration>{5ms, 20ms, 45ms})
    rows.push_back(fine(fmt::format("jitter of {} ms", jitter / 1ms),
                        [jitter](CallStory& story) { story.jitters(A, jitter); }));
  for (const double share : {1.0, 10.0, 50.0})
    rows.push_back(
        fine(percent(share) + " reordered", [share](CallStory& story) { story.reorders(A, share); }));
  for (const double share : {20.0, 100.0})
    rows.push_back(two(
        percent(share) + " twice", [share](CallStory& story) { story.doubles(A, share); }, "duplicated~",
        "fine|duplicated~"));
  for (const DropReason reason :
       {DropReason::kForeignSource, DropReason::kSourceNotAllowed, DropReason::kForbiddenSource}) {
    for (const unsigned rate : {5u, 50u, 500u})
      rows.push_back(two(
          fmt::format("a stranger sends {} packets a second: {}", rate, to_string(reason)),
          [reason, rate](CallStory& story) { story.refuses_stranger(A, reason, rate); },
          "other-source-too~|fine", "fine|other-source-too~"));
  }
  for (const DropReason reason : {DropReason::kRtcpNotMuxed, DropReason::kFeedbackNotAgreed,
                                  DropReason::kRtcpUnassigned, DropReason::kRtcpRateLimited,
                                  DropReason::kMalformedRtcp, DropReason::kStunRefused, DropReason::kNotRtcp})
    rows.push_back(fine(fmt::format("no media, and refused: {}", to_string(reason)),
                        [reason](CallStory& story) { story.refuses_stranger(A, reason, 5); }));
  rows.push_back(fine("one ICMP message", [](CallStory& story) {
    story.with_media(B, [](MediaEvidence& media) {
      media.seen.failures.push_back(
          {SendError::kPortUnreachable, media.signalled, {}, 1, CallStory::now(), CallStory::now()});
    });
  }));
  rows.push_back(fine("ICMP messages long ago", [](CallStory& story) {
    story.lasts(600s).with_media(B, [](MediaEvidence& media) {
      const Instant then = CallStory::now() - 60s;
      media.seen.failures.push_back({SendError::kPortUnreachable, media.signalled, {}, 50, then, then});
    });
  }));
  for (const DropReason reason : {DropReason::kUnknownPayloadType, DropReason::kSequenceJump,
                                  DropReason::kSsrcNotAdmitted, DropReason::kEventBlocked})
    rows.push_back(fine(fmt::format("one in a hundred is refused: {}", to_string(reason)),
                        [reason](CallStory& story) { story.refuses(A, reason, 1); }));
  rows.push_back(two(
      "a type that nobody negotiated is passed on",
      [](CallStory& story) {
        story.with_media(A, [](MediaEvidence& media) {
          media.seen.other.type = PayloadType{126};
          media.seen.other.times = 40;
          media.seen.other.first = CallStory::now() - 20s;
          media.seen.other.last = CallStory::now() - 1s;
        });
      },
      "other-type-passes~", "fine|other-type-passes~"));
  rows.push_back(fine("SRTP on both sides",
                      [](CallStory& story) { story.with_media(A, encrypt).with_media(B, encrypt); }));
  rows.push_back(fine("DTLS on one side", dtls(A, DtlsChannel::State::kReady, DtlsStage::kReady)));
  rows.push_back(fine("ICE on one side", ice(A, IceAgent::State::kConnected)));
  rows.push_back({"three talk",
                  [](CallStory&) {},
                  {{from(A), "fine"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine"},
                   {from(C), "fine"},
                   {to(C), "fine"}},
                  3});
  rows.push_back({"three talk, and one pauses",
                  [](CallStory& story) { story.pauses_with_comfort_noise(A, 20s); },
                  {{from(A), "silence-suppressed~"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine|silence-suppressed~"},
                   {from(C), "fine"},
                   {to(C), "fine|silence-suppressed~"}},
                  3});
  rows.push_back({"audio and video",
                  [](CallStory&) {},
                  {{from(A), "fine"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine"},
                   {from(video_of(A)), "fine"},
                   {to(video_of(A)), "fine"},
                   {from(video_of(B)), "fine"},
                   {to(video_of(B)), "fine"}},
                  2,
                  {"audio", "video"}});
  return rows;
}

std::vector<Row> crowds() {
  std::vector<Row> rows;
  rows.push_back({"one of three stopped",
                  [](CallStory& story) { story.stops(A, 20s); },
                  {{from(A), "stopped!"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "stopped!"},
                   {from(C), "fine"},
                   {to(C), "stopped!"}},
                  3});
  rows.push_back({"one of three hears nothing",
                  [](CallStory& story) { story.drops_toward(C, DropReason::kPeerUnverified, 100); },
                  {{from(A), "fine"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine"},
                   {from(C), "fine"},
                   {to(C), "unverified!"}},
                  3});
  rows.push_back({"one of three is refused",
                  [](CallStory& story) { story.refuses(B, DropReason::kSequenceJump, 50); },
                  {{from(A), "fine"},
                   {to(A), "sequence-jumps!"},
                   {from(B), "sequence-jumps!"},
                   {to(B), "fine"},
                   {from(C), "fine"},
                   {to(C), "sequence-jumps!"}},
                  3});
  rows.push_back({"audio is well, and video stopped",
                  [](CallStory& story) { story.stops(video_of(A), 20s); },
                  {{from(A), "fine"},
                   {to(A), "fine"},
                   {from(B), "fine"},
                   {to(B), "fine"},
                   {from(video_of(A)), "stopped!"},
                   {to(video_of(A)), "fine"},
                   {from(video_of(B)), "fine"},
                   {to(video_of(B)), "stopped!"}},
                  2,
                  {"audio", "video"}});
  return rows;
}

Direction direction_of(const MediaVerdict& verdict) {
  return {verdict.direction, {static_cast<std::size_t>(verdict.leg.front() - 'A'), verdict.media - 1}};
}

/// `explain` and `glance` alike, and what every sentence has to be.
void judge(const Row& row) {
  SCOPED_TRACE(row.name);
  CallStory story(row.parties, row.types);
  row.tell(story);
  const Explanation& told = story.explained();
  ASSERT_EQ(told.verdicts.size(), row.parties * row.types.size() * 2);
  for (const MediaVerdict& each : told.verdicts) {
    const std::string place = fmt::format("{} {} {}", to_string(each.direction), each.leg, each.type);
    const auto expected = row.expected.find(direction_of(each));
    if (expected == row.expected.end()) {
      ADD_FAILURE() << place << " is not listed";
      continue;
    }
    EXPECT_TRUE(matches(each, expected->second)) << place << ": expected " << expected->second << "\n"
                                                 << story.rows();
    EXPECT_FALSE(each.sentence.empty()) << place;
    EXPECT_LE(words_of(each.sentence), 25u) << place << ": " << each.sentence;
    if (!each.origin) continue;
    EXPECT_TRUE(has_word(each.sentence, each.origin->leg))
        << place << " does not name " << each.origin->leg << ": " << each.sentence;
  }
  // Whoever does not hear as the sender's row says is led there.
  for (const MediaVerdict& listener : told.verdicts) {
    if (listener.direction == MediaDirection::kFrom || listener.severity() != Severity::kFault) continue;
    for (const MediaVerdict& sender : told.verdicts) {
      if (sender.direction == MediaDirection::kTo || sender.leg == listener.leg ||
          sender.media != listener.media || sender.cause != listener.cause)
        continue;
      ASSERT_TRUE(listener.origin) << "to " << listener.leg << " has no origin\n" << story.rows();
      EXPECT_EQ(listener.origin->leg, sender.leg) << story.rows();
    }
  }
  const Explanation seen = glance(story.evidence());
  ASSERT_EQ(seen.verdicts.size(), told.verdicts.size());
  for (std::size_t i = 0; i < seen.verdicts.size(); ++i) {
    EXPECT_EQ(seen.verdicts[i].cause, told.verdicts[i].cause) << story.rows();
    EXPECT_EQ(seen.verdicts[i].severity(), told.verdicts[i].severity()) << story.rows();
    EXPECT_EQ(seen.verdicts[i].reception(), told.verdicts[i].reception()) << story.rows();
    EXPECT_TRUE(seen.verdicts[i].sentence.empty());
    EXPECT_TRUE(seen.verdicts[i].evidence.empty());
  }
}

TEST(VerdictTable, EXP1_EveryFaultIsFoundAtEveryListener) {
  std::vector<Row> rows = faults();
  std::ranges::copy(crowds(), std::back_inserter(rows));
  EXPECT_GE(rows.size(), 60u);
  for (const Row& row : rows) {
    EXPECT_TRUE(std::ranges::any_of(row.expected, [](const auto& each) { return each.second != "fine"; }))
        << row.name << " is no fault";
    judge(row);
  }
}

TEST(VerdictTable, EXP2_NobodyIsAccusedInACallThatIsAsItShouldBe) {
  const std::vector<Row> rows = healthy();
  EXPECT_GE(rows.size(), 40u);
  for (const Row& row : rows) {
    EXPECT_FALSE(std::ranges::any_of(
        row.expected, [](const auto& each) { return each.second.find('!') != std::string::npos; }))
        << row.name << " is a fault";
    judge(row);
  }
}

}  // namespace
}  // namespace ferry::test::verdict_table_test
