// SPDX-License-Identifier: Apache-2.0
// How keys are agreed on. A line that the offerer brought is handed on to the answerer with its key if the
// suite is allowed (`sdp::sdes_offer`), and lines of ours with fresh keys are added. The answerer takes one
// line of `shown`. The relay then chooses one line of the offerer:
//
// - the same line, if the answerer took the offerer's own key. Both sides then share keys, packets pass
//   unchanged and nobody re-encrypts (`out_is_relayed`, SRT-9);
// - else the best line by the request's wishes, with a key of ours. Packets are then decrypted and encrypted
//   again.
//
// `in` and `out` are seen from the relay: it decrypts what the party sends with `in`, and encrypts with
// `out`.
//
// Trap: each change of `in`, `out`, `out_is_relayed` or `answerer` must reset `plan`, or the worker keeps the
// old keys. Key octets live in `SecretBytes`; a copy on the stack is wiped.
#include "control/call/media_keys.hpp"

#include "relay/base/random.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <string.h>

namespace ferry {

namespace {

using sdp::CryptoLine;

// Twice the number of suites that exist.
constexpr std::size_t kMaxLines = 24;

SecretBytes<46> fresh_key(const SrtpSuiteRow& suite) {
  std::array<std::byte, 46> octets{};
  const auto used = std::span(octets).first(std::size_t{suite.key} + suite.salt);
  random_octets(used);
  const SecretBytes<46> key(used);
  explicit_bzero(octets.data(), octets.size());
  return key;
}

SrtpMasterKey master_key(const CryptoLine& line) {
  const Bytes octets = line.key_and_salt.get();
  SrtpMasterKey key;
  key.suite = line.suite->suite;
  key.key = SecretBytes<32>(octets.first(line.suite->key));
  key.salt = SecretBytes<14>(octets.subspan(line.suite->key));
  key.mki = line.mki;
  return key;
}

/// The first usable line whose suite `wanted` accepts.
template <class Wanted>
const CryptoLine* first_of(const std::vector<CryptoLine>& lines, Wanted wanted) {
  const auto found = std::ranges::find_if(
      lines, [&](const CryptoLine& line) { return !line.suite->is_legacy && wanted(*line.suite); });
  return found == lines.end() ? nullptr : &*found;
}

/// Chooses the offerer's line for our answer: a suite that the request names, then the suite in use if it is
/// to stay, then the first that the policy allows. Null if no line is usable.
const CryptoLine* choose(const MediaKeys& offerer, const Sdes& wishes) {
  const auto& lines = offerer.theirs;
  for (const std::string& name : wishes.for_offerer) {
    const SrtpSuiteRow* suite = sdp::find_crypto_suite(name);
    if (const CryptoLine* line = first_of(lines, [&](const auto& each) { return &each == suite; }))
      return line;
  }
  if (wishes.keeps_suite && offerer.in) {
    if (const CryptoLine* line =
            first_of(lines, [&](const auto& each) { return &each == offerer.in->suite; }))
      return line;
  }
  if (const CryptoLine* line = first_of(lines, [&](const auto& each) { return wishes.policy.allows(each); }))
    return line;
  // If the policy leaves nothing, any usable line is better than no call (docs/reference/ng.md#sdes).
  return first_of(lines, [](const auto&) { return true; });
}

/// The offerer's line that the answerer took, with the offerer's key. Null if it took none of them.
const CryptoLine* line_taken_by(const MediaKeys& answerer, const MediaKeys& offerer) {
  if (!answerer.in || !answerer.out || !answerer.out->is_offerers) return nullptr;
  const auto found = std::ranges::find_if(offerer.theirs, [&](const CryptoLine& line) {
    return line.suite == answerer.out->suite && line.key_and_salt == answerer.out->key_and_salt &&
           line.mki == answerer.out->mki;
  });
  return found == offerer.theirs.end() ? nullptr : &*found;
}

/// The offered line that one of the answer's `lines` takes; `answer` receives that one. Null if none does.
const CryptoLine* taken_line(const MediaKeys& answerer, const std::vector<CryptoLine>& lines,
                             CryptoLine& answer) {
  // The second turn is for parties that answer with a tag of their own.
  for (const bool by_tag : {true, false}) {
    for (const CryptoLine& line : lines) {
      if (line.suite->is_legacy) continue;
      const auto found = std::ranges::find_if(answerer.shown, [&](const CryptoLine& shown) {
        return shown.suite == line.suite && (!by_tag || shown.tag == line.tag);
      });
      if (found == answerer.shown.end()) continue;
      answer = line;
      return &*found;
    }
  }
  return nullptr;
}

/// Puts lines in force, and drops the cached plan if they differ from those before.
void set_agreement(MediaKeys& keys, const CryptoLine& in, const CryptoLine& out, bool out_is_relayed) {
  if (keys.in != in || keys.out != out || keys.out_is_relayed != out_is_relayed) keys.plan.reset();
  keys.in = in;
  keys.out = out;
  keys.out_is_relayed = out_is_relayed;
}

}  // namespace

std::vector<CryptoLine> usable_crypto(const sdp::MediaSection& section) {
  std::vector<CryptoLine> lines;
  for (const sdp::Attribute& attribute : section.attributes) {
    if (attribute.name != "crypto") continue;
    auto line = sdp::parse_crypto(attribute.value);
    if (line && !line->weakens() && lines.size() < kMaxLines) lines.push_back(std::move(*line));
  }
  return lines;
}

void offer_keys(MediaKeys& receiver, const std::vector<CryptoLine>& offerer, const sdp::SdesPolicy& policy,
                sdp::SdesOfferRules rules) {
  if (!receiver.contexts) receiver.contexts = std::make_shared<SrtpContexts>();
  const std::vector<CryptoLine> before = std::move(receiver.shown);
  receiver.shown = sdp::sdes_offer(offerer, policy, rules, [&](const SrtpSuiteRow& suite) {
    const auto known = std::ranges::find_if(
        before, [&](const CryptoLine& line) { return line.suite == &suite && !line.is_offerers; });
    if (known != before.end()) return known->key_and_salt;
    // The party offered before, and was answered with a key of ours: that key stays.
    if (receiver.out && receiver.out->suite == &suite && !receiver.out_is_relayed)
      return receiver.out->key_and_salt;
    return fresh_key(suite);
  });
}

Result<void, RequestError> check_answer(const sdp::MediaSection& answer, bool offered_secure,
                                        const MediaKeys* offered, const SrtpConfig& config) {
  if (config.policy == SrtpPolicy::kAllow || answer.port == 0 || !answer.is_rtp()) return {};
  if (!answer.protocol.secure) {
    if (!offered_secure) return {};
    return fail(RequestError(RequestFault::kPlainAnswer, std::string(answer.protocol.text)));
  }
  const auto lines = usable_crypto(answer);
  if (lines.empty()) return fail(RequestFault::kAnswerWithoutKey);
  CryptoLine own;
  if (offered == nullptr || taken_line(*offered, lines, own) == nullptr)
    return fail(RequestFault::kAnswerTakesNoKey);
  return {};
}

bool take_answer(MediaKeys& keys, const sdp::MediaSection& answer, std::uint32_t answerer) {
  keys.theirs = usable_crypto(answer);
  CryptoLine own;
  const bool may_take = answer.protocol.secure || keys.offered_to_peer;
  const CryptoLine* taken = may_take ? taken_line(keys, keys.theirs, own) : nullptr;
  if (taken == nullptr) {
    forget_agreement(keys);
    return false;
  }
  // A sender with the same key under another tag is the same sender: its counters go on.
  const bool is_same = keys.in && keys.in->key_and_salt == own.key_and_salt;
  if (!is_same && std::exchange(keys.answerer, answerer) != answerer) keys.plan.reset();
  // `answer_offerer` decides whether packets pass unchanged, because the offerer has to use the same line.
  const bool as_before = keys.out && *keys.out == *taken && keys.out_is_relayed;
  set_agreement(keys, own, *taken, as_before);
  return true;
}

Sdes wishes_in_force(const Sdes& of_answer, const Sdes& of_offer) {
  Sdes all = of_answer;
  if (all.policy.only.empty()) all.policy.only = of_offer.policy.only;
  if (all.policy.without.empty()) all.policy.without = of_offer.policy.without;
  if (all.for_offerer.empty()) all.for_offerer = of_offer.for_offerer;
  all.policy.no_new = all.policy.no_new || of_offer.policy.no_new;
  all.keeps_suite = all.keeps_suite || of_offer.keeps_suite;
  all.is_preferred = all.is_preferred || of_offer.is_preferred;
  return all;
}

void answer_offerer(MediaKeys& offerer, MediaKeys* answerer, const Sdes& wishes) {
  const CryptoLine* through = answerer == nullptr ? nullptr : line_taken_by(*answerer, offerer);
  const bool may_go_through =
      through != nullptr && wishes.for_offerer.empty() && wishes.policy.allows(*through->suite);
  const CryptoLine* line = may_go_through ? through : choose(offerer, wishes);
  if (line == nullptr) {
    forget_agreement(offerer);
    return;
  }
  if (line == through) {
    CryptoLine out = *answerer->in;
    out.tag = line->tag;
    set_agreement(offerer, *line, out, true);
    set_agreement(*answerer, *answerer->in, *answerer->out, true);
    return;
  }
  if (answerer != nullptr && answerer->out_is_relayed)
    set_agreement(*answerer, *answerer->in, *answerer->out, false);
  CryptoLine out{line->tag, line->suite, {}, {}, {}};
  const bool keeps = offerer.out && offerer.out->suite == line->suite && !offerer.out_is_relayed;
  out.key_and_salt = keeps ? offerer.out->key_and_salt : fresh_key(*line->suite);
  set_agreement(offerer, *line, out, false);
}

void forget_agreement(MediaKeys& keys) {
  if (keys.in || keys.out) keys.plan.reset();
  keys.in.reset();
  keys.out.reset();
  keys.out_is_relayed = false;
}

std::shared_ptr<const SrtpPlan> srtp_plan(MediaKeys& keys, const SrtpConfig& config, MediaId media,
                                          bool is_video) {
  // Video may join a transport, or leave it, while the keys stay (SRT-4).
  if (keys.plan && keys.plan->window == replay_window(is_video)) return keys.plan;
  auto plan = std::make_shared<SrtpPlan>();
  plan->backend = config.backend;
  plan->window = replay_window(is_video);
  plan->party = {media.value, keys.answerer};
  if (!keys.contexts) keys.contexts = std::make_shared<SrtpContexts>();
  plan->contexts = keys.contexts;
  keys.plan = plan;
  if (!config.backend) return plan;
  if (keys.in) plan->receive.push_back(master_key(*keys.in));
  if (keys.out) plan->send = master_key(*keys.out);
  plan->send_is_relayed = keys.out_is_relayed;
  return plan;
}

}  // namespace ferry
