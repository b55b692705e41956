// SPDX-License-Identifier: Apache-2.0
// A row of the attack table (docs/rules.md): a script of one call, and what to make of the
// outcome.
#pragma once

#include "tests/support/world.hpp"

#include <functional>
#include <string>

#include <fmt/format.h>

namespace ferry::test {

using nlohmann::json;

inline constexpr Duration kGap = std::chrono::milliseconds(20);

/// What a row found out.
struct RowOutcome {
  std::string id;
  std::string what;
  std::size_t leaked = 0;     // packets that X got
  std::size_t injected = 0;   // packets of X that A or B got
  std::size_t sent = 0;       // packets that A and B were entitled to send
  std::size_t delivered = 0;  // of them
  std::size_t allowed_loss = 0;
  std::string note;
  bool holds = true;
};

/// One call between A and B with a stranger X, each with an address of its own.
class Row {
 public:
  Row(World& world, unsigned number, std::string id, std::string what)
      : world_(world), number_(number), outcome_{.id = std::move(id), .what = std::move(what), .note = {}} {
    call_ = "row-" + outcome_.id;
    for (const char who : {'A', 'B', 'X'}) world_.open(peer(who));
  }
  virtual ~Row() = default;
  Row(const Row&) = delete;
  Row& operator=(const Row&) = delete;

  virtual void script() = 0;
  virtual void judge() {
    outcome_.leaked = world_.count(peer('X'));
    outcome_.injected = world_.count(peer('A'), 'X') + world_.count(peer('B'), 'X');
    outcome_.delivered = world_.count(peer('B'), 'A') + world_.count(peer('A'), 'B');
    outcome_.holds = outcome_.leaked == 0 && outcome_.injected == 0 && outcome_.sent > 0 &&
                     outcome_.delivered <= outcome_.sent &&
                     outcome_.sent - outcome_.delivered <= outcome_.allowed_loss && outcome_.holds;
  }
  [[nodiscard]] const RowOutcome& outcome() const { return outcome_; }
  [[nodiscard]] virtual Duration length() const { return std::chrono::seconds(8); }
  [[nodiscard]] std::string call() const { return world_.is_rtpproxy() ? call_ + " A" : call_; }

 protected:
  [[nodiscard]] Endpoint peer(char who, std::uint16_t port = 4000) const {
    return {world_.peer_address(number_, who), UdpPort{port}};
  }

  /// Offer and answer with A and B at `a` and `b` of their SDP.
  void set_up(const Endpoint& a, const Endpoint& b, const json& offer_keys = {},
              const json& answer_keys = {}) {
    if (world_.is_rtpproxy()) {
      const bool global = offer_keys.is_object() && offer_keys.contains("direction");
      const std::string offered = rtpproxy(global ? "Ul{global}" : "U", a);
      const std::string answered = rtpproxy("L", b);
      to_b_ = World::port_of(offered);
      to_a_ = World::port_of(answered);
      if (to_a_.value != 0 && to_b_.value != 0) return;
      outcome_.holds = false;
      outcome_.note = offered + " " + answered;
      return;
    }
    json o = offer(call_, "A", audio_sdp(a));
    if (!offer_keys.is_null()) o.update(offer_keys);
    json w = answer(call_, "A", "B", audio_sdp(b));
    if (!answer_keys.is_null()) w.update(answer_keys);
    const json offered = world_.ng(o);
    const json answered = world_.ng(w);
    if (offered.value("result", "") != "ok" || answered.value("result", "") != "ok") {
      outcome_.holds = false;
      outcome_.note = offered.dump() + answered.dump();
      return;
    }
    to_b_ = World::port_of(offered);
    to_a_ = World::port_of(answered);
  }
  /// A re-offer and its answer; `a` and `b` as in `set_up`.
  void again(const Endpoint& a, const Endpoint& b, const json& offer_keys = {}) {
    if (world_.is_rtpproxy()) {
      rtpproxy("U", a);
      rtpproxy("L", b);
      return;
    }
    json o = offer(call_, "A", audio_sdp(a));
    o["to-tag"] = "B";
    if (!offer_keys.is_null()) o.update(offer_keys);
    world_.ng(o);
    world_.ng(answer(call_, "A", "B", audio_sdp(b)));
  }
  /// One command of the rtpproxy protocol about a media address.
  std::string rtpproxy(const std::string& command, const Endpoint& media) {
    return world_.rtpproxy(
        fmt::format("{} {} {} {} A B", command, call_, media.address.to_string(), media.port.value));
  }
  /// Relay port that A (B) sends to.
  [[nodiscard]] Endpoint port_for(char who, std::string_view interface = "plain") const {
    return {world_.relay_address(interface), who == 'B' ? to_b_ : to_a_};
  }
  /// 50 packets/s of `who` from `from`, to the relay port of `target`, in [start, end).
  void stream(char who, const Endpoint& from, char target, Duration start, Duration end, std::uint32_t ssrc,
              std::uint16_t sequence = 1, std::string_view interface = "plain") {
    for (Duration t = start; t < end; t += kGap) {
      const auto n = static_cast<std::uint16_t>(sequence + (t - start) / kGap);
      world_.at(t, [=, this, iface = std::string(interface)] {
        world_.send(from, port_for(target, iface), rtp(who, ssrc, n));
        if (who != 'X') ++outcome_.sent;
      });
    }
  }
  void both(Duration start, Duration end) {
    stream('A', peer('A'), 'A', start, end, 0xA);
    stream('B', peer('B'), 'B', start, end, 0xB);
  }
  void spray(Duration start, Duration end, std::uint32_t ssrc = 0xEE) {
    stream('X', peer('X'), 'A', start, end, ssrc);
    stream('X', peer('X'), 'B', start, end, ssrc);
  }

  World& world_;
  unsigned number_;
  RowOutcome outcome_;
  std::string call_;
  UdpPort to_a_;
  UdpPort to_b_;
};

/// A row made of two functions.
class ScriptRow : public Row {
 public:
  using Body = std::function<void(ScriptRow&)>;
  ScriptRow(World& world, unsigned number, std::string id, std::string what, Body script, Body judge = {},
            Duration length = std::chrono::seconds(8))
      : Row(world, number, std::move(id), std::move(what)),
        script_(std::move(script)),
        judge_(std::move(judge)),
        length_(length) {}
  void script() override { script_(*this); }
  void judge() override {
    if (judge_) {
      judge_(*this);
    } else {
      Row::judge();
    }
  }
  void judge_as_usual() { Row::judge(); }
  [[nodiscard]] Duration length() const override { return length_; }
  using Row::again;
  using Row::both;
  using Row::call;
  using Row::call_;
  using Row::outcome_;
  using Row::peer;
  using Row::port_for;
  using Row::set_up;
  using Row::spray;
  using Row::stream;
  using Row::to_a_;
  using Row::to_b_;
  using Row::world_;

 private:
  Body script_;
  Body judge_;
  Duration length_;
};

/// Adds a row: its id, what happens, the script, the judgement (empty: the usual one) and its length.
using AddRow = std::function<void(std::string id, std::string what, ScriptRow::Body script,
                                  ScriptRow::Body judge, Duration length)>;
/// Rows about sections of other protocols than RTP (DMX-6). NG alone: the rtpproxy protocol names none.
void add_shape_rows(const AddRow& add);
/// Rows about SDP that names control ports of the relay (LAT-11a).
void add_control_plane_rows(const AddRow& add, bool is_rtpproxy);
/// Rows about offers that wait for their answer, and payload types that nobody offered (LAT-14, LAT-15,
/// DMX-4).
void add_offer_rows(const AddRow& add);
/// Rows about copies of protected packets that a stranger sends first (LAT-10). NG alone.
void add_copy_rows(const AddRow& add);
/// Rows about parties that send nothing (LAT-12). In virtual time the longest of them takes a minute.
void add_silent_rows(const AddRow& add, bool is_virtual);

}  // namespace ferry::test
