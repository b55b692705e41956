// SPDX-License-Identifier: Apache-2.0
// Random calls with random trouble at every stage, in virtual time. The test counts itself, from the network,
// what was spoken to each listener and what he got. At any moment: a listener who got less than 97 % of what
// was spoken to him in the last ten seconds has a row that is not fine, and when everybody got more than 99 %
// nobody has a fault.
//
// How it works: a `Story` is one call on a relay of its own. A and B speak, a subscriber C may listen to
// both; each side is plain or SRTP, the kernel may forward what is plain. The story goes through phases; each
// phase draws troubles: of the network before the relay, of what the relay refuses, of what the host does not
// send, commands and hold, pauses of the whole process, and of the network behind the relay. Each spoken
// packet carries a number, so that a listener knows which of them he got. What is lost behind the relay
// nobody can know but from the listener's reports: it counts up to the last one. What the host does not send
// of the packets that the kernel forwards is lost behind the relay, too.
//
// FERRY_CALLS says how many calls (default 120); a fault is told with the seed that repeats it, FERRY_SEED.
// Both together play so many calls from that seed on.

#include "control/diagnose/hearing.hpp"
#include "control/manager/manager.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr Duration kTick = 20ms;
/// A packet that is late by more than this is lost.
constexpr Duration kInFlight = 500ms;
/// The relay's figures of the last seconds are of so long at most, by its marks.
constexpr Duration kLongestSpan = 12'700ms;
/// What a listener's reports may still tell of: their own age and the time between two of them.
constexpr Duration kReportSpan = 35s;
constexpr Duration kReportInterval = 4s;
/// So long the relay stands still at most.
constexpr Duration kLongestStop = 3s;
constexpr std::size_t kSide = 3;
/// Of fewer words a share says little, as the relay's own figures are of two seconds more.
constexpr std::size_t kEnoughWords = 50;
/// A party that says nothing for so long is silent.
constexpr Duration kSilence = 5s;

unsigned number(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? static_cast<unsigned>(std::atoi(text)) : otherwise;
}

/// Trouble with what one party sends, and what it means for one packet: shares from 0 to 1.
struct Trouble {
  // The network before the relay.
  double lost = 0;
  unsigned run = 1;  // packets that are lost in a row
  double doubled = 0;
  Duration jitter{0};
  // What the relay refuses.
  double elsewhere = 0;     // from another address
  double other_ssrc = 0;    // under an SSRC of its own
  double out_of_place = 0;  // with a number far from the others; plain senders
  unsigned steps_back = 0;  // each so many packets; plain senders
  double copied = 0;        // an old packet comes again
  double garbled = 0;       // changed on the way
  unsigned flood = 0;       // so many copies of each packet at once
  double other_type = 0;
  unsigned strangers = 0;  // packets of somebody else with each of its own
  // On the way out.
  double unsent = 0;
};

struct Report {
  std::uint32_t base = 0;
  std::uint32_t highest = 0;
  std::uint32_t received = 0;
  std::uint32_t expected_before = 0;
  std::uint32_t received_before = 0;
};

/// One packet of speech, and where it got.
struct Word {
  Duration at{0};
  std::array<bool, kSide> arrived{};  // at the listener's access, behind the relay
  std::array<bool, kSide> lost_behind{};
  /// A command made silence of it.
  bool is_silenced = false;
  /// Nothing at the relay tells that its speaker sent it: it was lost before, or came as a stranger's.
  bool is_untraced = false;
};

struct Speaker {
  Trouble trouble;
  Duration packet_time = 20ms;
  Duration next{0};
  bool may_speak = true;
  bool is_blocked = false;
  std::string blocked_by;
  bool pauses = false;  // by comfort noise, now and then
  Duration pause_until{0};
  Duration speech_until{0};
  bool has_begun_again = false;  // with numbers, of SRTCP too, that were there already
  Duration begun{0};             // when it did so last
  unsigned still_lost = 0;
  unsigned since_step = 0;
  Duration copied_at{-kReportSpan};
  std::uint32_t timestamp = 0;
  std::uint32_t next_ssrc = 0x70000000;
  Packet old;
  std::vector<Word> words;
  /// When the first of its words was spoken that reached anybody; the same since it began again.
  Duration first_heard{0};
  Duration heard_again{0};
  /// Since when the newest packet that came to the relay, from wherever, is comfort noise; unset = it is
  /// another one.
  std::optional<Duration> paused_since;
  /// Its comfort noise was lost, and nothing came since.
  bool is_pause_unsaid = false;
};

struct Listener {
  bool reports = false;
  double behind = 0;
  std::vector<std::size_t> hears;
  std::map<std::uint32_t, Report> streams;
  Duration next_report{0};
  Duration reported{0};
  /// What the last report says that was to be heard since the one before, and what of it was lost. Of streams
  /// that began anew since, too little is in a report to say.
  std::uint32_t told_expected = 0;
  std::uint32_t told_lost = 0;
};

/// What a listener was spoken and what he got, in some time.
struct Share {
  std::size_t spoken = 0;
  std::size_t missing = 0;
  [[nodiscard]] double percent() const {
    return spoken == 0 ? 0.0 : 100.0 * static_cast<double>(missing) / static_cast<double>(spoken);
  }
};

struct Tally {
  std::size_t moments = 0;
  std::size_t deaf = 0;    // rows that must not be fine
  std::size_t whole = 0;   // moments at which nobody may have a fault
  std::size_t faults = 0;  // moments at which somebody had one
};

class Story {
 public:
  Story(unsigned seed, Tally& tally) : random_(seed), tally_(tally), seed_(seed) {}

  /// Empty if both rules held at every moment.
  std::string run() {
    set_up();
    const Duration end = elapsed() + seconds(25, 45);
    Duration phase = elapsed() + seconds(4, 12);
    Duration look = elapsed() + seconds(1, 3);
    while (elapsed() < end && fault_.empty()) {
      if (elapsed() >= phase && !is_stopped_) {
        next_phase();
        phase = elapsed() + seconds(6, 18);
      }
      for (std::size_t who = 0; who < 2; ++who) speak(who);
      world_->run(elapsed() + kTick);
      hear();
      for (std::size_t who = 0; who < kSide; ++who) report(who);
      if (is_stopped_ && elapsed() >= stopped_until_) {
        is_stopped_ = false;
        world_->go_on();
      }
      if (elapsed() < look || is_stopped_) continue;
      const json explained = world_->manager().explain(call_->id(), false, world_->clock());
      look_at(rows_of(explained), "explain");
      look = elapsed() + seconds(0.5, 3.5);
    }
    if (std::exchange(is_stopped_, false)) world_->go_on();
    if (fault_.empty()) end_call();
    return fault_;
  }

 private:
  struct Row {
    std::string leg;
    std::string direction;
    std::string severity;
    std::string text;
  };

  [[nodiscard]] Duration elapsed() const { return world_->elapsed(); }
  bool chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }
  unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
  template <class Value>
  Value one_of(std::initializer_list<Value> values) {
    return *(values.begin() + below(static_cast<unsigned>(values.size())));
  }
  Duration seconds(double least, double most) {
    const double drawn = std::uniform_real_distribution<>(least, most)(random_);
    return kTick * static_cast<std::int64_t>(drawn * 50);
  }

  void set_up() {
    const bool is_offloaded = is_offloaded_ = chance(0.35);
    const Suite a = is_offloaded || chance(0.6) ? Suite{} : Suite{chance(0.5) ? kCm80 : kGcm};
    const Suite b = is_offloaded || chance(0.6) ? Suite{} : Suite{chance(0.5) ? kCm80 : kGcm};
    WorldOptions options;
    if (is_offloaded)
      options.offload = [this](SimNetwork& network) {
        auto kernel = std::make_unique<KernelModel>(network);
        kernel_ = kernel.get();
        return kernel;
      };
    options.listener.on_report = [this](const CallReport& told) { ended_ = told.explanation; };
    world_ = make_sim_world(options);
    call_.emplace(*world_, seed_ % 200, a, b, seed_);
    is_muxed_ = chance(0.4);
    call_->attributes = "a=rtpmap:13 CN/8000\r\n";
    if (is_muxed_) call_->attributes += "a=rtcp-mux\r\n";
    replies_ = {call_->offer({}), call_->answer({})};
    if (replies_[0]["result"] != "ok" || replies_[1]["result"] != "ok")
      fail("the call was not set up: " + replies_[1].dump());
    note("A {}, B {}{}{}", a ? row_of(*a).name : "plain", b ? row_of(*b).name : "plain",
         is_offloaded ? ", in the kernel" : "", is_muxed_ ? ", rtcp-mux" : "");
    listeners_[0].hears = {1};
    listeners_[1].hears = {0};
    if (chance(0.25)) subscribe();
    for (std::size_t who = 0; who < 2; ++who) {
      Speaker& speaker = speakers_[who];
      speaker.packet_time = one_of<Duration>({20ms, 40ms, 60ms});
      speaker.next = elapsed() + kTick * below(15);
      speaker.pauses = chance(0.25);
      speaker.speech_until = elapsed() + seconds(2, 6);
      note("{} sends a packet each {} ms{}", name_of(who), speaker.packet_time / 1ms,
           speaker.pauses ? ", with pauses" : "");
      // Before the stream is locked, a type that nobody negotiated teaches nothing.
      if (chance(0.1)) {
        speaker.trouble.other_type = 1;
        note("{} begins with a type that nobody negotiated", name_of(who));
      }
    }
    for (std::size_t who = 0; who < kSide; ++who) {
      if (listeners_[who].hears.empty()) continue;
      listeners_[who].reports = chance(0.6);
      listeners_[who].next_report = elapsed() + kReportInterval;
      if (listeners_[who].reports) note("{} reports by RTCP", name_of(who));
    }
  }

  void subscribe() {
    const json offered = world_->ng({{"command", "subscribe request"},
                                     {"call-id", call_->id()},
                                     {"from-tags", {"A", "B"}},
                                     {"to-tag", "C"},
                                     {"transport-protocol", "RTP/AVP"}});
    third_.tag = "C";
    third_.rtp = {world_->peer_address(seed_ % 200, 'C'), UdpPort{4000}};
    third_.rtcp = {third_.rtp.address, UdpPort{4001}};
    third_.ssrc = 0x33;
    world_->open(third_.rtp);
    world_->open(third_.rtcp);
    if (offered["result"] != "ok") return fail("no subscription: " + offered.dump());
    // One section for each of the two that it listens to: the answer takes the first alone.
    const std::string text = offered["sdp"];
    const auto sections =
        static_cast<std::size_t>(std::ranges::count(lines_of_sdp(text), std::string("m=audio")));
    std::string sdp = audio_sdp(third_.rtp, "a=recvonly\r\n");
    for (std::size_t i = 1; i < sections; ++i) sdp += "m=audio 0 RTP/AVP 8\r\n";
    third_.relay = World::port_of(offered);
    const json answered = world_->ng(
        {{"command", "subscribe answer"}, {"call-id", call_->id()}, {"to-tag", "C"}, {"sdp", sdp}});
    if (answered["result"] != "ok") return fail("no subscription: " + answered.dump());
    listeners_[2].hears = sections > 1 ? std::vector<std::size_t>{0} : std::vector<std::size_t>{0, 1};
    note("C listens to {}", sections > 1 ? "A" : "A and B");
  }
  static std::vector<std::string> lines_of_sdp(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t at = text.find("m="); at != std::string::npos; at = text.find("m=", at + 1))
      lines.push_back(text.substr(at, 7));
    return lines;
  }

  void next_phase() {
    release();
    const bool is_calm = chance(0.25);
    for (std::size_t who = 0; who < 2; ++who) {
      Trouble& trouble = speakers_[who].trouble;
      trouble = {};
      if (!is_calm && chance(0.6)) draw(who, trouble);
    }
    for (std::size_t who = 0; who < kSide; ++who) {
      Listener& listener = listeners_[who];
      listener.behind = 0;
      if (is_calm || listener.hears.empty() || !listener.reports || !chance(0.25)) continue;
      listener.behind = one_of({0.003, 0.06, 0.15, 0.4});
      note("{:.1f} % lost behind the relay toward {}", listener.behind * 100, name_of(who));
    }
    if (is_calm) note("calm");
    if (is_calm || !chance(0.08)) return;
    is_stopped_ = true;
    stopped_until_ = elapsed() + seconds(0.1, std::chrono::duration<double>(kLongestStop).count());
    world_->stop();
    note("the relay stands still for {} ms", (stopped_until_ - elapsed()) / 1ms);
  }

  /// Ends what the phase before began.
  void release() {
    for (std::size_t who = 0; who < 2; ++who) {
      if (std::exchange(refuses_[who], false)) world_->open(party(who).rtp);
      if (speakers_[who].is_blocked) {
        command(speakers_[who].blocked_by + " media", who, "un");
        speakers_[who].is_blocked = false;
      }
    }
    if (std::exchange(is_held_, false)) signal("sendrecv", "sendrecv", true, true);
  }

  void command(const std::string& verb, std::size_t who, const std::string& undo = {}) {
    const json reply =
        world_->ng({{"command", undo + verb}, {"call-id", call_->id()}, {"from-tag", name_of(who)}});
    if (reply["result"] != "ok") fail(undo + verb + ": " + reply.dump());
  }

  void signal(const char* offered, const char* answered, bool a_speaks, bool b_speaks) {
    call_->direction = offered;
    call_->offer({});
    call_->direction = answered;
    if (call_->answer({})["result"] != "ok") fail("no answer to a re-INVITE");
    speakers_[0].may_speak = a_speaks;
    speakers_[1].may_speak = b_speaks;
  }

  void draw(std::size_t who, Trouble& trouble) {
    const bool is_plain = !party(who).suite;
    const double share = one_of({0.003, 0.008, 0.015, 0.025, 0.04, 0.06, 0.12, 0.3, 1.0});
    switch (below(18)) {
      case 0:
      case 1:
        trouble.lost = share;
        return note("{} loses {:.1f} %", name_of(who), share * 100);
      case 2:
        trouble.run = 5 + below(40);
        trouble.lost = one_of({0.0005, 0.001, 0.003});
        return note("{} loses runs of {}, {:.2f} % begin one", name_of(who), trouble.run, trouble.lost * 100);
      case 3:
        trouble.doubled = one_of({0.1, 1.0});
        return note("{} doubles {:.0f} %", name_of(who), trouble.doubled * 100);
      case 4:
        trouble.jitter = one_of<Duration>({20ms, 80ms, 200ms});
        return note("{} jitters up to {} ms", name_of(who), trouble.jitter / 1ms);
      case 5:
        trouble.elsewhere = share;
        return note("{} sends {:.1f} % from elsewhere", name_of(who), share * 100);
      case 6:
        trouble.other_ssrc = share;
        return note("{} sends {:.1f} % under other SSRCs", name_of(who), share * 100);
      case 7:
        if (is_plain) {
          trouble.out_of_place = share;
          return note("{} sends {:.1f} % with numbers out of place", name_of(who), share * 100);
        }
        return begin_again(who);
      case 8:
        if (is_plain) {
          trouble.steps_back = 5 + below(100);
          return note("{} steps back each {} packets", name_of(who), trouble.steps_back);
        }
        return begin_again(who);
      case 9:
        trouble.copied = one_of({0.1, 1.0});
        return note("{:.0f} % old packets of {} come again", trouble.copied * 100, name_of(who));
      case 10:
        trouble.other_type = share;
        return note("{} sends {:.1f} % with a type that nobody negotiated", name_of(who), share * 100);
      case 11:
        trouble.strangers = one_of({1u, 4u, 12u});
        return note("{} strangers send to the port of {}", trouble.strangers, name_of(who));
      case 12:
        trouble.unsent = share;
        return note("the host sends {:.1f} % less of {}", share * 100, name_of(who));
      case 13:
        refuses_[who] = true;
        world_->refuse(party(who).rtp);
        return note("ICMP errors answer for {}", name_of(who));
      case 14:
        speakers_[who].is_blocked = true;
        speakers_[who].blocked_by = chance(0.5) ? "block" : "silence";
        command(speakers_[who].blocked_by + " media", who);
        return note("a command {}s {}", speakers_[who].blocked_by, name_of(who));
      case 15:
        trouble.garbled = share;
        return note("{:.1f} % of {} are changed on the way", share * 100, name_of(who));
      case 16:
        trouble.flood = one_of({5u, 12u, 40u});
        return note("{} sends each packet {} times more", name_of(who), trouble.flood);
      default:
        if (is_held_) return;
        is_held_ = true;
        if (chance(0.5)) {
          signal("sendonly", "recvonly", true, false);
          return note("A holds");
        }
        signal("inactive", "inactive", false, false);
        return note("both hold");
    }
  }

  /// A phone that started again: the same key, and numbers that were there already.
  void begin_again(std::size_t who) {
    Party& p = party(who);
    const auto back = static_cast<std::uint16_t>(100 + below(400));
    p.end = std::make_unique<SrtpEnd>(p.keys);
    p.sequence = static_cast<std::uint16_t>(p.sequence - back);
    speakers_[who].has_begun_again = true;
    speakers_[who].begun = elapsed();
    speakers_[who].heard_again = Duration{0};
    note("{} begins again under its key, {} numbers back", name_of(who), back);
  }

  Packet packet_of(std::size_t who, std::uint8_t type, std::size_t size, std::uint32_t id) {
    Party& p = party(who);
    Speaker& speaker = speakers_[who];
    Packet packet(kRtpFixedHeaderSize + size);
    write_rtp_header(packet, PayloadType{type}, false, SeqNo{p.sequence}, speaker.timestamp, Ssrc{p.ssrc});
    // Loud in G.711 A-law, but for the number.
    for (std::size_t i = 0; i < size; ++i)
      packet[kRtpFixedHeaderSize + i] = i % 2 == 0 ? std::byte{0xaa} : std::byte{0x2a};
    if (size >= 8) {
      packet[kRtpFixedHeaderSize] = static_cast<std::byte>(p.tag[0]);
      write_u32(packet, kRtpFixedHeaderSize + 1, id);
    }
    return packet;
  }

  void speak(std::size_t who) {
    Speaker& speaker = speakers_[who];
    if (elapsed() < speaker.next) return;
    speaker.next = std::max(speaker.next + speaker.packet_time, elapsed());
    speaker.timestamp += static_cast<std::uint32_t>(speaker.packet_time / 1ms * 8);
    if (!speaker.may_speak || elapsed() < speaker.pause_until) return;
    if (speaker.pauses && elapsed() >= speaker.speech_until) {
      // Comfort noise says it, twice as the network is what it is; speech goes on some time later.
      for (int n = 0; n < 2; ++n) deliver(who, packet_of(who, 13, 1, 0), false);
      speaker.pause_until = elapsed() + seconds(1, 12);
      speaker.speech_until = speaker.pause_until + seconds(2, 8);
      return;
    }
    Word word;
    word.at = elapsed();
    word.is_silenced = speaker.is_blocked && speaker.blocked_by == "silence";
    for (std::size_t listener = 0; listener < 2; ++listener) {
      // Whoever answers with ICMP errors is sent it all the same, until they have come.
      word.lost_behind[listener] = refuses_[listener];
    }
    speaker.words.push_back(word);
    deliver(who, packet_of(who, 8, 40, static_cast<std::uint32_t>(speaker.words.size() - 1)), true);
  }

  /// Sends a packet of the next number through all that is the matter.
  void deliver(std::size_t who, Packet packet, bool is_speech) {
    Party& p = party(who);
    Speaker& speaker = speakers_[who];
    const Trouble& trouble = speaker.trouble;
    if (trouble.steps_back != 0 && ++speaker.since_step >= trouble.steps_back) {
      speaker.since_step = 0;
      p.sequence = static_cast<std::uint16_t>(p.sequence - 300);
      write_u16(packet, 2, p.sequence);
    }
    ++p.sequence;
    if (is_speech && chance(trouble.other_type)) write_u8(packet, 1, 99);
    if (is_speech && chance(trouble.other_ssrc)) write_u32(packet, 8, ++speaker.next_ssrc);
    if (is_speech && chance(trouble.out_of_place))
      write_u16(packet, 2, static_cast<std::uint16_t>(p.sequence + 5000 + below(20000)));
    const bool is_garbled = is_speech && chance(trouble.garbled);
    if (is_garbled && !p.suite) {  // padding that is longer than the packet
      write_u8(packet, 0, 0xa0);
      packet.back() = std::byte{0xff};
    }
    packet = call_->sealed(p, std::move(packet));
    if (is_garbled && p.suite) packet.back() ^= std::byte{1};
    if (speaker.still_lost > 0) {
      --speaker.still_lost;
      if (is_speech)
        speaker.words.back().is_untraced = true;
      else
        speaker.is_pause_unsaid = !speaker.paused_since;
      return;
    }
    if (is_speech && chance(trouble.lost)) {
      speaker.still_lost = trouble.run - 1;
      speaker.words.back().is_untraced = true;
      return;
    }
    const Endpoint from = is_speech && chance(trouble.elsewhere) ? elsewhere(who) : p.rtp;
    if (from != p.rtp) speaker.words.back().is_untraced = true;
    const bool is_unsent = is_speech && chance(trouble.unsent);
    const bool is_doubled = chance(trouble.doubled);
    if (trouble.doubled > 0 || trouble.copied > 0 || trouble.flood > 0) speaker.copied_at = elapsed();
    const std::size_t id = is_speech ? speaker.words.size() - 1 : SIZE_MAX;
    const unsigned copies = (is_doubled && !is_unsent ? 1 : 0) + trouble.flood;
    const auto send = [this, from, who, packet, is_unsent, copies, id] {
      world_->break_wire(is_unsent);
      const std::uint64_t below = kernel_ == nullptr ? 0 : kernel_->forwarded();
      arrive(from, who, packet);
      speakers_[who].is_pause_unsaid = false;
      std::optional<Duration>& paused = speakers_[who].paused_since;
      // Until a party has been silent for some seconds, nobody takes a stranger's packets for what it says
      // behind its comfort noise.
      const bool may_be_its = from == party(who).rtp || (paused && elapsed() - *paused >= kStoppedAfter);
      if (id == SIZE_MAX)
        paused = elapsed();
      else if (may_be_its)
        paused.reset();
      world_->break_wire(false);
      // What the kernel forwards and the host does not send is lost behind the relay: nobody counts it.
      if (is_unsent && kernel_ != nullptr && kernel_->forwarded() != below) {
        Word& word = speakers_[who].words[id];
        word.arrived.fill(true);
        word.lost_behind.fill(true);
      }
      for (unsigned n = 0; n < copies; ++n) arrive(from, who, packet);
    };
    if (trouble.jitter > 0ms)
      world_->at(
          elapsed() + Duration{static_cast<std::int64_t>(std::uniform_real_distribution<>(0, 1)(random_) *
                                                         static_cast<double>(trouble.jitter.count()))},
          send);
    else
      send();
    if (!speaker.old.empty() && chance(trouble.copied) && is_told_as_copy(who))
      arrive(p.rtp, who, speaker.old);
    if (speaker.old.empty() || below(50) == 0) speaker.old = packet;
    for (unsigned n = 0; n < trouble.strangers; ++n) {
      const Endpoint stranger{world_->peer_address(seed_ % 200, 'X'),
                              UdpPort{static_cast<std::uint16_t>(5000 + n)}};
      arrive(stranger, who, rtp('X', 0x44 + n, p.sequence));
    }
  }

  /// The relay remembers which of the last 64 numbers came, and refuses those that are more than 100 back. A
  /// copy in between counts as late and fills the gap of a lost packet, so nobody there knows of the loss.
  bool is_told_as_copy(std::size_t who) {
    const int behind = distance(SeqNo{party(who).sequence}, SeqNo{read_u16(speakers_[who].old, 2)});
    return behind < 64 || behind > 100;
  }

  void arrive(const Endpoint& from, std::size_t who, const Packet& packet) {
    world_->send(from, {world_->relay_address(), party(who).relay}, packet);
  }

  void hear() {
    const std::vector<Received>& all = world_->received();
    for (; seen_ < all.size(); ++seen_) {
      for (std::size_t who = 0; who < kSide; ++who) {
        // A stream that authenticates takes its party along (LAT-10).
        const Endpoint& at = all[seen_].at;
        const bool is_there = at == party(who).rtp || (party(who).suite && at == elsewhere(who));
        if (!listeners_[who].hears.empty() && is_there) take(who, all[seen_].packet);
      }
    }
  }

  void take(std::size_t who, const Packet& datagram) {
    if (datagram.size() < kRtpFixedHeaderSize) return;
    const std::uint8_t type = read_u8(datagram, 1);
    if (type >= 192 && type <= 223) return;
    Listener& listener = listeners_[who];
    const Packet packet = party(who).end ? party(who).end->opened(datagram) : datagram;
    if (packet.empty()) return;
    const bool is_lost = chance(listener.behind);
    const char sender = sender_of(packet);
    if ((sender == 'A' || sender == 'B') && packet.size() >= kRtpFixedHeaderSize + 8) {
      std::vector<Word>& words = speakers_[sender == 'A' ? 0 : 1].words;
      const std::uint32_t id = read_u32(packet, kRtpFixedHeaderSize + 1);
      if (id < words.size()) {
        words[id].lost_behind[who] = is_lost && (!words[id].arrived[who] || words[id].lost_behind[who]);
        words[id].arrived[who] = true;
        Speaker& speaker = speakers_[sender == 'A' ? 0 : 1];
        if (speaker.first_heard == Duration{0}) speaker.first_heard = words[id].at;
        if (speaker.heard_again == Duration{0}) speaker.heard_again = words[id].at;
      }
    }
    if (is_lost) return;
    const std::uint16_t sequence = read_u16(packet, 2);
    auto [known, is_new] = listener.streams.try_emplace(read_u32(packet, 8));
    Report& stream = known->second;
    if (is_new) stream.base = stream.highest = sequence;
    const int ahead = distance(SeqNo{sequence}, SeqNo{static_cast<std::uint16_t>(stream.highest)});
    if (ahead >= 3000 || ahead < -100) stream = {sequence, sequence, 0, 0, 0};
    if (ahead > 0 && ahead < 3000) stream.highest += static_cast<std::uint32_t>(ahead);
    ++stream.received;
  }

  /// A receiver report of the party (RFC 3550 §6.4.2) about what it heard since the last one, with its own
  /// counts.
  void report(std::size_t who) {
    Listener& listener = listeners_[who];
    if (!listener.reports || elapsed() < listener.next_report) return;
    listener.next_report = elapsed() + kReportInterval;
    Party& p = party(who);
    const auto is_new = [](const auto& each) { return each.second.received != each.second.received_before; };
    const auto blocks =
        std::min<std::size_t>(static_cast<std::size_t>(std::ranges::count_if(listener.streams, is_new)), 31);
    Packet packet(8 + blocks * 24);
    write_u8(packet, 0, static_cast<std::uint8_t>(0x80 + blocks));
    write_u8(packet, 1, 201);
    write_u16(packet, 2, static_cast<std::uint16_t>(1 + blocks * 6));
    write_u32(packet, 4, p.ssrc);
    std::size_t at = 8;
    listener.told_expected = listener.told_lost = 0;
    for (auto& each : listener.streams) {
      if (at == packet.size()) break;
      if (!is_new(each)) continue;
      auto& [ssrc, stream] = each;
      const std::uint32_t expected = stream.highest - stream.base + 1;
      const std::uint32_t lost = expected > stream.received ? expected - stream.received : 0;
      const std::uint32_t new_expected = expected - stream.expected_before;
      const std::uint32_t new_received = stream.received - stream.received_before;
      const std::uint32_t new_lost = new_expected > new_received ? new_expected - new_received : 0;
      if (new_expected >= kEnoughWords) {
        listener.told_expected += new_expected;
        listener.told_lost += new_lost;
      }
      write_u32(packet, at, ssrc);
      write_u32(packet, at + 4, lost);
      write_u8(
          packet, at + 4,
          static_cast<std::uint8_t>(new_expected == 0 ? 0 : std::min(255u, new_lost * 256 / new_expected)));
      write_u32(packet, at + 8, stream.highest);
      stream.expected_before = expected;
      stream.received_before = stream.received;
      at += 24;
    }
    if (blocks != 0) listener.reported = elapsed();
    packet = call_->sealed(p, std::move(packet), true);
    const auto port = static_cast<std::uint16_t>(p.relay.value + (is_muxed_ && who < 2 ? 0 : 1));
    world_->send(is_muxed_ && who < 2 ? p.rtp : p.rtcp, {world_->relay_address(), UdpPort{port}}, packet);
  }

  /// What `who` missed of the words that were spoken to him between two moments; `behind`: with what was lost
  /// behind the relay, or that alone.
  enum class Count : std::uint8_t { kAll, kUntilHere, kBehind };
  enum class Silence : std::uint8_t { kMissing, kForgiven };
  [[nodiscard]] Share share(std::size_t who, std::size_t speaker, Duration since, Duration until, Count count,
                            Silence silence = Silence::kMissing) const {
    Share share;
    const std::vector<Word>& words = speakers_[speaker].words;
    for (auto word = words.rbegin(); word != words.rend() && word->at >= since; ++word) {
      if (word->at > until) continue;
      // Before anything of a party came, nobody can know that it spoke. If it began again, its numbers leave
      // no gap either.
      const Speaker& from = speakers_[speaker];
      const bool is_unseen =
          word->at < from.first_heard || (word->at >= from.begun && word->at < from.heard_again);
      if (word->is_untraced && is_unseen) continue;
      // Behind comfort noise, a party that pauses and one of whose packets none comes through look alike
      // until the next one comes.
      const std::optional<Duration>& paused = speakers_[speaker].paused_since;
      if (word->is_untraced && paused && word->at >= *paused) continue;
      ++share.spoken;
      // What somebody wanted silent and no longer does leaves no trace, and is nobody's fault: the listener
      // got the silence that he was to get.
      if (word->is_silenced && !speakers_[speaker].is_blocked && silence == Silence::kForgiven) continue;
      const bool is_missing = !word->arrived[who];
      const bool is_behind = word->lost_behind[who];
      share.missing += count == Count::kAll         ? (is_missing || is_behind ? 1u : 0u)
                       : count == Count::kUntilHere ? (is_missing ? 1u : 0u)
                                                    : (is_behind ? 1u : 0u);
    }
    return share;
  }
  [[nodiscard]] Share all_shares(std::size_t who, Duration since, Duration until, Count count) const {
    Share sum;
    for (const std::size_t speaker : listeners_[who].hears) {
      const Share one = share(who, speaker, since, until, count, Silence::kForgiven);
      sum.spoken += one.spoken;
      sum.missing += one.missing;
    }
    return sum;
  }

  /// He got less than 97 %, and it can be known here.
  [[nodiscard]] bool is_deaf(std::size_t who) const {
    const Duration now = elapsed();
    // Who falls silent so shortly before the end of the call has hung up.
    const Duration until = now - (ended_ ? kHungUp + kHole : kInFlight);
    const Share here = all_shares(who, now - 10s, until, Count::kUntilHere);
    // Marks are two seconds apart, so the last 10 s of the relay are up to 12.7 s: where a silence begins in
    // between, the share of that time is another one.
    Share longer = all_shares(who, now - kLongestSpan, until, Count::kUntilHere);
    // Of a call that ends, what was spoken in its last moment is missing if it did not come, and counts if it
    // did.
    longer.spoken = all_shares(who, now - kLongestSpan, now, Count::kUntilHere).spoken;
    if (here.spoken >= kEnoughWords && here.missing >= 3 && here.percent() > 3.2 && longer.percent() > 2)
      return true;
    const Duration told = listeners_[who].reported;
    if (told == Duration{0} || now - told > kReportInterval + 1s) return false;
    // Packets that came twice make up for lost ones in a report (RFC 3550 §6.4.1).
    for (const std::size_t speaker : listeners_[who].hears) {
      if (now - speakers_[speaker].copied_at < kReportSpan) return false;
    }
    // Reports of a party that begins again under its key are refused as replays.
    if (speakers_[who].has_begun_again) return false;
    const Listener& listener = listeners_[who];
    if (listener.told_expected < kEnoughWords || listener.told_lost * 20 <= listener.told_expected)
      return false;
    const Share then = all_shares(who, told - 10s, told - kInFlight, Count::kBehind);
    const Share lately = all_shares(who, now - 10s, until, Count::kAll);
    return then.spoken >= 100 && then.percent() > 5 && lately.percent() > 3.2;
  }

  /// Numbers that went by around a silence are seen at its end, and nobody knows when they were spoken: the
  /// begin of the longest silence that ends after `since`, or `since` if there is none.
  [[nodiscard]] Duration before_silence(std::size_t speaker, Duration since) const {
    Duration begin = since;
    const std::vector<Word>& words = speakers_[speaker].words;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i].at >= since && words[i].at - words[i - 1].at >= kSilence)
        begin = std::min(begin, words[i - 1].at);
    }
    return begin;
  }

  /// Everybody got more than 99 % of at least 100 packets, or all of what few there were.
  [[nodiscard]] bool is_whole() const {
    const Duration now = elapsed();
    // A pause of the relay is none of its seconds (C-13).
    const Duration longest = kLongestSpan + (now - stopped_until_ < kLongestSpan ? kLongestStop : 0s);
    for (std::size_t who = 0; who < kSide; ++who) {
      for (const std::size_t speaker : listeners_[who].hears) {
        // Nobody can know of a pause that is not said.
        if (speakers_[speaker].is_pause_unsaid) return false;
        // Of a party that was never heard all is missing, whenever it spoke last.
        if (!speakers_[speaker].words.empty() && speakers_[speaker].first_heard == Duration{0}) return false;
        const Duration since = before_silence(speaker, now - longest) - kSilence;
        const Share here = share(who, speaker, since, now, Count::kUntilHere);
        const Share behind = share(who, speaker, now - kReportSpan, now, Count::kBehind);
        for (const Share& each : {here, behind}) {
          if (each.missing > 0 && (each.spoken < 100 || each.percent() >= 1)) return false;
        }
      }
    }
    return true;
  }

  static std::vector<Row> rows_of(const json& explained) {
    std::vector<Row> rows;
    for (const json& each : explained["verdicts"])
      rows.push_back({each["leg"], each["direction"], each["severity"],
                      fmt::format("{} {}: {} ({}): {}\n      {}", each["direction"].get<std::string>(),
                                  each["leg"].get<std::string>(), each["cause"].get<std::string>(),
                                  each["severity"].get<std::string>(), each["sentence"].get<std::string>(),
                                  each["evidence"].dump())});
    return rows;
  }
  static std::vector<Row> rows_of(const Explanation& explanation) {
    std::vector<Row> rows;
    for (const MediaVerdict& each : explanation.verdicts)
      rows.push_back({each.leg, std::string(to_string(each.direction)),
                      std::string(to_string(each.severity())),
                      fmt::format("{} {}: {} ({})", to_string(each.direction), each.leg,
                                  to_string(each.cause), to_string(each.severity()))});
    return rows;
  }

  void look_at(const std::vector<Row>& rows, std::string_view by) {
    ++tally_.moments;
    const bool has_fault = std::ranges::any_of(rows, [](const Row& row) { return row.severity == "fault"; });
    tally_.faults += has_fault ? 1 : 0;
    for (std::size_t who = 0; who < kSide; ++who) {
      if (listeners_[who].hears.empty() || !is_deaf(who)) continue;
      ++tally_.deaf;
      const auto row = std::ranges::find_if(
          rows, [&](const Row& each) { return each.leg == name_of(who) && each.direction == "to"; });
      if (row == rows.end())
        complain(by, rows, fmt::format("{} has no row", name_of(who)));
      else if (row->severity == "fine")
        complain(by, rows, fmt::format("{} does not hear everything, and his row is fine", name_of(who)));
    }
    if (!is_whole()) return;
    ++tally_.whole;
    if (has_fault) complain(by, rows, "everybody hears everybody, and somebody has a fault");
  }

  /// A call that ends is looked at by `glance`.
  void end_call() {
    hear();
    const bool is_steady = !refuses_[0] && !refuses_[1];
    ended_.reset();
    world_->ng({{"command", "delete"}, {"call-id", call_->id()}, {"delete-delay", 0}});
    world_->run(elapsed() + kTick);
    if (!ended_) return fail("the end of the call was not told");
    if (is_steady) look_at(rows_of(*ended_), "glance");
  }

  /// Where a party sends from that moved, or that has two ways out.
  Endpoint elsewhere(std::size_t who) {
    return {world_->peer_address(seed_ % 200, who == 0 ? 'E' : 'F'), party(who).rtp.port};
  }
  Party& party(std::size_t who) { return who < 2 ? call_->party(who) : third_; }
  [[nodiscard]] static std::string name_of(std::size_t who) {
    return std::string(1, static_cast<char>('A' + who));
  }

  template <class... Arguments>
  void note(fmt::format_string<const Arguments&...> line, const Arguments&... arguments) {
    story_ += fmt::format("  {:5.1f} s  {}\n", std::chrono::duration<double>(elapsed()).count(),
                          fmt::format(line, arguments...));
  }
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = fmt::format("FERRY_SEED={}: {}\n{}", seed_, what, story_);
  }
  void complain(std::string_view by, const std::vector<Row>& rows, const std::string& what) {
    std::string text =
        fmt::format("{} at {:.2f} s, by {}\n", what, std::chrono::duration<double>(elapsed()).count(), by);
    const Duration now = elapsed();
    for (std::size_t who = 0; who < kSide; ++who) {
      for (const std::size_t speaker : listeners_[who].hears) {
        const Share here = share(who, speaker, now - 10s, now - kInFlight, Count::kUntilHere);
        const Share longer = share(who, speaker, now - kLongestSpan, now - kInFlight, Count::kUntilHere);
        const Share behind = share(who, speaker, now - 10s, now - kInFlight, Count::kBehind);
        text += fmt::format(
            "  {} to {}: {} spoken in 10 s, {} did not leave toward him ({:.1f} %; {:.1f} % in {:.1f} s), {} "
            "lost "
            "behind; last report at {:.2f} s\n",
            name_of(speaker), name_of(who), here.spoken, here.missing, here.percent(), longer.percent(),
            std::chrono::duration<double>(kLongestSpan).count(), behind.missing,
            std::chrono::duration<double>(listeners_[who].reported).count());
      }
    }
    for (const Row& row : rows) text += "    " + row.text + "\n";
    fail(text);
  }

  std::mt19937 random_;
  Tally& tally_;
  unsigned seed_;
  std::unique_ptr<World> world_;
  std::optional<SecureCall> call_;
  Party third_;
  std::array<json, 2> replies_;
  std::array<Speaker, 2> speakers_;
  std::array<Listener, kSide> listeners_;
  std::array<bool, 2> refuses_{};
  bool is_held_ = false;
  bool is_muxed_ = false;
  bool is_offloaded_ = false;
  bool is_stopped_ = false;
  Duration stopped_until_{-kReportSpan};
  const KernelModel* kernel_ = nullptr;  // if the kernel forwards
  std::size_t seen_ = 0;
  std::optional<Explanation> ended_;
  std::string story_;
  std::string fault_;
};

TEST(ExplainProperty, EXP1_EXP2_NobodyWhoDoesNotHearHasAFineRowAndNobodyIsAccusedWhenAllHear) {
  const bool is_one = std::getenv("FERRY_SEED") != nullptr;
  const unsigned first = number("FERRY_SEED", 1);
  const unsigned count = number("FERRY_CALLS", is_one ? 1 : 120);
  Tally tally;
  unsigned faults = 0;
  for (unsigned seed = first; seed < first + count && faults < 5; ++seed) {
    const std::string fault = Story(seed, tally).run();
    if (fault.empty()) continue;
    ++faults;
    ADD_FAILURE() << fault;
  }
  std::printf(
      "%u calls, %zu moments: %zu times somebody missed too much, %zu times all was heard, %zu faults\n",
      count, tally.moments, tally.deaf, tally.whole, tally.faults);
  if (is_one || faults > 0) return;
  // Both rules were asked often, or the test says nothing.
  EXPECT_GT(tally.deaf, tally.moments / 10);
  EXPECT_GT(tally.whole, tally.moments / 10);
}

}  // namespace
}  // namespace ferry::test
