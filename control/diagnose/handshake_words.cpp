// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/handshake_words.hpp"

#include <array>

#include <fmt/format.h>

namespace ferry {

namespace {

constexpr std::array kReasons = {DropReason::kDtlsAlert,        DropReason::kDtlsNoCookie,
                                 DropReason::kDtlsNoHandshake,  DropReason::kDtlsTooMany,
                                 DropReason::kMalformedDtls,    DropReason::kDtlsUnexpected,
                                 DropReason::kSourceNotAllowed, DropReason::kForbiddenSource};

std::string counted(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// What the party's transport noted about its DTLS handshakes; null if the transport has no DTLS.
const DtlsEvidence* evidence_of(const HandshakeFacts& facts) {
  const bool is_known = facts.seen.active != nullptr && facts.seen.active->dtls.has_value();
  return is_known ? &facts.seen.active->dtls->front().evidence : nullptr;
}

std::string tell_client(const HandshakeFacts& facts, const DtlsEvidence::Source* source) {
  if (source == nullptr) {
    if (!facts.destination.is_set())
      return fmt::format(
          "the relay cannot begin the DTLS handshake: it learns the address of {} once {} sends", facts.party,
          facts.party);
    return fmt::format("the relay has not begun the DTLS handshake with {} yet", facts.party);
  }
  if (source->stage == DtlsStage::kHello)
    return fmt::format("the relay sent {} to {}, and nothing there has answered",
                       counted(source->hellos, "ClientHello"), source->with.to_string());
  return fmt::format("{} answered the relay's ClientHello, and the DTLS handshake did not come to its end",
                     source->with.to_string());
}

std::string tell_server(const HandshakeFacts& facts, const DtlsEvidence::Source* source) {
  if (source == nullptr)
    return fmt::format("the relay waits for a ClientHello from {}, and none has come", facts.party);
  if (source->stage == DtlsStage::kHello)
    return fmt::format("a ClientHello came from {} and a cookie was sent there, which has not come back",
                       source->with.to_string());
  return fmt::format("the DTLS handshake with {} has begun, and did not come to its end",
                     source->with.to_string());
}

std::string tell_source(const HandshakeFacts& facts, const DtlsEvidence::Source& source) {
  std::string line =
      fmt::format("{}: {} from there, {} begun", source.with.to_string(),
                  counted(source.datagrams, "DTLS datagram"), counted(source.begun, "handshake"));
  if (source.broken != 0) line += fmt::format(", {} broken by what came from there", source.broken);
  return line + fmt::format(", stage '{}', last at {}", to_string(source.stage), facts.when(source.last));
}

}  // namespace

bool has_wrong_certificate(const HandshakeFacts& facts) {
  const DtlsEvidence* evidence = evidence_of(facts);
  const DtlsEvidence::Source* source = evidence != nullptr ? evidence->furthest() : nullptr;
  return source != nullptr && source->stage == DtlsStage::kWrongCertificate;
}

std::string tell_handshake(const HandshakeFacts& facts) {
  const DtlsEvidence* evidence = evidence_of(facts);
  const DtlsEvidence::Source* source = evidence != nullptr ? evidence->furthest() : nullptr;
  if (has_wrong_certificate(facts))
    return fmt::format(
        "the certificate that {} showed is not the one of the SDP of {}: no media is exchanged",
        source->with.to_string(), facts.party);
  if (source != nullptr && source->stage == DtlsStage::kUnverified)
    return fmt::format(
        "the DTLS handshake with {} is complete, and no SDP of {} has a fingerprint to compare "
        "its certificate with",
        source->with.to_string(), facts.party);
  return facts.relay_begins ? tell_client(facts, source) : tell_server(facts, source);
}

std::vector<std::string> list_handshake(const HandshakeFacts& facts) {
  std::vector<std::string> lines;
  if (const DtlsEvidence* evidence = evidence_of(facts)) {
    for (const DtlsEvidence::Source& source : evidence->sources) {
      if (source.with.is_set()) lines.push_back(tell_source(facts, source));
    }
    for (const DtlsEvidence::Alert& each : evidence->alerts) {
      if (each.times != 0)
        lines.push_back(
            fmt::format("alert {} ({}) from {}, {}, last at {}; anybody could have written it, and "
                        "it changed nothing",
                        to_string(each.alert), each.alert.description, each.from.to_string(),
                        counted(each.times, "time"), facts.when(each.last)));
    }
  }
  for (const DropReason reason : kReasons) {
    const std::uint32_t times = facts.seen.drops[reason];
    if (times == 0) continue;
    const Refusal* newest = facts.seen.refusal(reason);
    lines.push_back(fmt::format(
        "refused as {}: {}{}", to_string(reason), counted(times, "packet"),
        newest == nullptr
            ? std::string()
            : fmt::format(", the last from {} at {}", newest->from.to_string(), facts.when(newest->last))));
  }
  return lines;
}

}  // namespace ferry
