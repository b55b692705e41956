// SPDX-License-Identifier: Apache-2.0
// One side of offer and answer: what is decided about the transport of one party (RFC 3264). Control thread
// only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/media_dtls.hpp"
#include "control/call/media_keys.hpp"
#include "control/request/request.hpp"
#include "control/sdp/sdp.hpp"
#include "control/sdp/write.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// What decisions about a side depend on besides its transport. Borrows from the command and the daemon.
struct SideInput {
  /// The message with its words: `SDES`, `OSRTP`, `DTLS`, `ICE`, `rtcp-mux`, and the flags about `a=rtcp`.
  const Request& request;
  /// The settings of the daemon.
  const SrtpConfig& srtp;
  const DtlsConfig& dtls;
  /// The certificate for a party that was shown none of ours yet. Null = DTLS is neither offered nor
  /// answered.
  std::shared_ptr<const DtlsIdentity> identity;
};

/// True if an offer to a party has ICE. `transport` is the party's; null if it is made later. `wish` is what
/// the request asks for; without a wish `is_usual` decides. A party that declined ICE is not offered it again
/// unless `forgets` (flag `reset`).
[[nodiscard]] bool offers_ice(const MediaTransport* transport, IceWishes::Offer wish, bool is_usual,
                              bool forgets);

/// Carries out offers and answers on the transport of one party: SDES keys, DTLS, ICE and rtcp-mux. Two-party
/// commands use two of them and one-party commands (`publish`, `subscribe`, `create`) use one, so that all
/// decide alike.
///
/// Pure: it changes its transport, opens nothing and sends nothing. It borrows everything and lives for one
/// section of one message. `offer_to`, `take_answer`, `take_offer` and `answer_to` are for sections of RTP
/// that are not rejected.
class Side {
 public:
  Side(MediaTransport& transport, const SideInput& input) : transport_(transport), input_(input) {}

  /// The parts of an offer to the party.
  struct Offer {
    /// True if its profile is an encrypted one (RTP/SAVP and the like).
    bool is_secure = false;
    /// True if it has keys on a plain profile (RFC 8643).
    bool is_opportunistic = false;
    /// True if a plain section stands beside the encrypted one (key `OSRTP`, word `offer-legacy`).
    bool is_doubled = false;
    /// The SDES lines of the party on the other side, which come first. Empty if there is none.
    std::vector<sdp::CryptoLine> lines{};
    /// Which suites the offer lists, and how.
    sdp::SdesPolicy sdes{};
    sdp::SdesOfferRules rules{};
    /// True if the offer has DTLS beside SDES. It counts only if the section is keyed at all.
    bool has_dtls = true;
    /// True if the offer has ICE.
    bool has_ice = false;
  };
  /// Readies the transport for an offer to its party. What was agreed before stays in force.
  void offer_to(const Offer& offer);

  /// The offer that a party answers. It is not always the party's own: parties that share a branch share the
  /// offer. Borrows; null if the offer had no keys, or no DTLS.
  struct Offered {
    const MediaKeys* keys = nullptr;
    const MediaDtls* dtls = nullptr;
    /// Which of the parties that share the branch answers.
    std::uint32_t answerer = 0;
  };
  /// The offer that the party itself got.
  [[nodiscard]] Offered own_offer() const { return {transport_.keys.get(), transport_.dtls.get(), 0}; }
  /// Refuses an answer that takes less protection than it was offered (SRT-13). `was_secure`: the offer had
  /// the section encrypted. Changes nothing.
  [[nodiscard]] static Result<void, RequestError> check_answer(const sdp::MediaSection& answer,
                                                               bool was_secure, const Offered& offered,
                                                               const SideInput& input);
  /// What the party's media is keyed by.
  enum class KeyedBy : std::uint8_t { kNothing, kSdes, kDtls };
  /// Agrees to what the party's answer takes of the offer, and says what keys the media now.
  KeyedBy take_answer(const sdp::MediaSection& answer, const Offered& offered);

  /// Notes what the party offers; nothing is agreed yet. `goes_on`: an earlier agreement encrypts its media.
  void take_offer(const sdp::MediaSection& offer, bool goes_on);
  /// Agrees to the party's offer. `is_secure`: its profile is an encrypted one. `accepts`: keys on a plain
  /// profile are taken. `partner`: SDES keys of the party on the other side, which may pass through; null if
  /// there are none.
  void answer_to(bool is_secure, bool accepts, MediaKeys* partner);

  /// Notes where the section says that its party is; `remote` is its address and RTP port. False if the party
  /// names no address and has no ICE to find it. What was known stays then.
  bool take_address(const sdp::MediaSection& section, const Endpoint& remote);
  /// True if the section says where its party is, or has ICE to find it. `remote` as in `take_address`.
  [[nodiscard]] static bool names_place(const sdp::MediaSection& section, const Endpoint& remote);

  // rtcp-mux (RFC 5761), for sections of every kind.
  /// Decides whether the party is offered rtcp-mux. `is_usual`: it is, even if no word of the request asks.
  void offer_mux(bool is_usual);
  /// Keeps the words of the party's offer. They count when it is answered.
  void take_mux_offer();
  /// Agrees to rtcp-mux if the party's answer takes the offer.
  void take_mux_answer();
  /// Notes that the party is offered rtcp-mux, which is mandatory in a BUNDLE group (BND-10). `is_agreed`:
  /// the relay uses rtcp-mux at once, because the party has agreed on the group or can take nothing else.
  void bundle_mux(bool is_agreed);
  /// Decides the answer to the party's own offer. `of_other`: what the party on the other side made of it;
  /// nothing if that party was not asked. `has_one_port`: our port has no RTCP port beside it (`ice-port`).
  void answer_mux(std::optional<bool> of_other, bool has_one_port);

  /// True if an SDP for the party has ICE lines.
  [[nodiscard]] bool shows_ice(bool is_answer) const;
  /// The values of ICE lines that only the ports and their worker know.
  struct Candidates {
    /// Values of `a=candidate`.
    std::vector<std::string> own;
    /// Value of `a=remote-candidates`; empty = no line.
    std::string remote;
  };
  /// Fills in the lines about the transport of a section of RTP: `a=rtcp`, `a=rtcp-mux`, `a=crypto`, DTLS and
  /// ICE. The transport must have ports.
  void print(sdp::SectionEdit& edit, bool is_answer, Candidates candidates) const;

 private:
  void offer_keys(const Offer& offer);
  void answer_keys(bool is_secure, bool accepts, MediaKeys* partner);
  [[nodiscard]] bool may_answer_dtls(const Sdes& wishes) const;
  /// True if an answer to the party says that we are a lite ICE agent.
  [[nodiscard]] bool is_lite_agent() const;
  [[nodiscard]] bool wants(RtcpMux word) const { return has(input_.request.rtcp_mux, word); }

  MediaTransport& transport_;
  const SideInput& input_;
};

}  // namespace ferry
