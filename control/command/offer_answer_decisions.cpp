// SPDX-License-Identifier: Apache-2.0
// Tells in words, for the log (level 7), how one offer or answer was understood: which parties and sections
// were meant, which address was taken and why, which ports are shown. It reads the finished command and
// decides nothing.

#include "control/command/offer_answer.hpp"
#include "control/session/observer.hpp"

#include <fmt/format.h>

namespace ferry {

namespace {

std::string_view name_of(const Leg& leg) {
  return leg.tag.empty() ? std::string_view("(no tag yet)") : leg.tag;
}

/// Shows enough of a party's address to tell inside from outside. The rest does not belong in a log (CTL-11).
std::string masked(const Endpoint& endpoint) {
  const std::string text = endpoint.address.to_string();
  const char mark = endpoint.address.is_v6() ? ':' : '.';
  const auto second = text.find(mark, text.find(mark) + 1);
  return fmt::format("{}{}x, port {}", text.substr(0, second), mark, endpoint.port.value);
}

std::string ports_text(const Media& media, bool is_new) {
  const LocalPorts* ports = media.via->active_ports();
  if (ports == nullptr) return "no ports";
  return fmt::format("{} {}:{}", is_new ? "new port" : "port", ports->local->advertised.to_string(),
                     ports->port.value);
}

}  // namespace

void OfferAnswer::tell_decisions() const {
  if (!services_.observers.wants_decisions(call_)) return;
  const auto tell = [&](const std::string& sentence) {
    services_.observers.tell(&CallObserver::on_decision, call_, sentence);
  };
  tell(fmt::format("{} of {} party {} for {} party {}", is_answer_ ? "answer" : "offer",
                   !new_sender_tag_.empty()       ? "the new"
                   : !learned_sender_tag_.empty() ? "the renamed"
                                                  : "the known",
                   name_of(*sender_), learned_receiver_tag_.empty() ? "the" : "the renamed",
                   name_of(*receiver_)));
  for (const Match& match : matches_) {
    if (match.sender == nullptr) continue;
    const Media& sender = *match.sender;
    std::string text = fmt::format("section {} {}: media {} of {}", &match - matches_.data() + 1, sender.type,
                                   sender.index, name_of(*sender_));
    if (match.hidden || match.receiver == nullptr) {
      tell(text + ", hidden from the other side");
      continue;
    }
    text += match.new_sender_index != 0                                       ? " (new)"
            : !match.section->mid.empty() && sender.mid == match.section->mid ? " (by its mid)"
                                                                              : " (by its place)";
    text += fmt::format(", joined with media {} of {}", match.receiver->index, name_of(*receiver_));
    const Endpoint remote = remote_of(*match.section);
    const bool is_in_sdp = !match.section->connection || remote.address == *match.section->connection;
    text += match.section->port == 0
                ? ", rejected"
                : fmt::format(", its address {} {}", masked(remote),
                              is_in_sdp ? "is that of its SDP" : "is where its signalling came from");
    text += fmt::format("; the other side is shown {}, this one has {}",
                        ports_text(*match.receiver, match.new_receiver_ports.has_value()),
                        ports_text(sender, match.new_sender_ports.has_value()));
    tell(text);
  }
}

}  // namespace ferry
