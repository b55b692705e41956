// SPDX-License-Identifier: Apache-2.0
// One offer or answer being carried out (RFC 3264). Internal to the commands. Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/command/hold_music.hpp"
#include "control/negotiate/codec_offer.hpp"
#include "control/negotiate/side.hpp"
#include "control/sdp/write.hpp"
#include "control/session/services.hpp"

#include <bitset>
#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// Carries out one message. `run` either changes the call and gives the SDP to send on, or changes nothing
/// (CTL-6). Construct it for one message; it borrows everything.
class OfferAnswer {
 public:
  OfferAnswer(const Services& services, Call& call, const Request& request, bool is_answer,
              const Clock& clock);
  /// The result of a message that was taken.
  struct Taken {
    /// The SDP for the other party.
    std::string sdp;
    /// The party that sent the message. Null if the message came back to us and changed nothing.
    Leg* sender = nullptr;
    /// Words of the client that could not be obeyed, a sentence each. Empty = all were.
    std::vector<std::string> warnings;
  };
  /// Takes the message. To be called once.
  Result<Taken, RequestError> run();

 private:
  /// The transport of one side of a section. `choose_transports` sets it.
  struct Carried {
    /// Index in `matches_` of the section that carries the transport, which means that it decides about it:
    /// the section itself, or under BUNDLE another one of its group.
    std::size_t carrier = 0;
    /// The transport. Null = the commit makes it.
    MediaTransport* via = nullptr;
  };
  /// Sections of the message that form a BUNDLE group, by index. The first one is the tagged section.
  using Group = std::vector<std::size_t>;
  /// One section of the message, and the two medias that it is about. Steps before the commit fill it in.
  struct Match {
    /// Never null; points into `session_`.
    const sdp::MediaSection* section = nullptr;
    /// What the receiver is shown of it: the section itself, or one of fax or audio in its place. Never null
    /// once `convert_faxes` is done.
    const sdp::MediaSection* shown = nullptr;
    /// The fax gateway between the two medias. Null = none.
    std::shared_ptr<const FaxTerms> fax;
    [[nodiscard]] bool is_converted() const { return shown != section; }
    [[nodiscard]] const sdp::MediaSection& as_seen(bool receiver_side) const {
      return receiver_side ? *shown : *section;
    }
    /// The medias of both parties. Null = made by the commit, with the number below.
    Media* sender = nullptr;
    Media* receiver = nullptr;
    /// `Media::index` of a media that is made; 0 = it is there already.
    unsigned new_sender_index = 0;
    unsigned new_receiver_index = 0;
    /// Interface and IP version of each side.
    const LogicalInterface* sender_interface = nullptr;
    const LogicalInterface* receiver_interface = nullptr;
    AddressFamily sender_family = AddressFamily::kIpv4;
    AddressFamily receiver_family = AddressFamily::kIpv4;
    /// Indices of the port sets: one that the media has, or a new one in `opened_`. Unset = none was needed.
    std::optional<std::size_t> sender_ports;
    std::optional<std::size_t> receiver_ports;
    std::optional<std::size_t> new_sender_ports;
    std::optional<std::size_t> new_receiver_ports;
    /// True for a `message` section without RTP, which passes as it is.
    bool untouched = false;
    /// Whether the parties do ICE and agree on keys with each other, in this section.
    Passing passing = Passing::kNo;
    /// True if the receiver is not shown the section.
    bool hidden = false;
    /// True if the sender gave a new name to a section that the receiver had as rejected. The place in the
    /// SDP is then used for another section.
    bool is_reused = false;
    /// The addresses of the section that are never sent to (LAT-11a).
    std::vector<LeftOutPeer> left_out;
    /// The transport of the media of each side.
    Carried sender_on;
    Carried receiver_on;
    /// How the answer keys the sender's transport. The commit sets it for the section that carries the
    /// transport.
    Side::KeyedBy keyed = Side::KeyedBy::kNothing;
    /// True if the transport of the receiver has to be read from another section of its offer than before:
    /// the section that carried it was refused (BND-3), or this one gets a transport of its own.
    bool is_reread = false;
    /// The group in which the receiver's section stays although the far side rejects it, because the
    /// transport that it is tagged for is in use (BND-6): an index in `receiver_groups_`. Unset = it does
    /// not.
    std::optional<std::size_t> kept_in;
    [[nodiscard]] const Carried& transport(bool receiver_side) const {
      return receiver_side ? receiver_on : sender_on;
    }
    [[nodiscard]] Carried& transport(bool receiver_side) { return receiver_side ? receiver_on : sender_on; }
    [[nodiscard]] Media*& media(bool receiver_side) { return receiver_side ? receiver : sender; }
    [[nodiscard]] const Media* media(bool receiver_side) const { return receiver_side ? receiver : sender; }
    /// True if keys, DTLS and ICE are negotiated with that side. Its media has been read.
    [[nodiscard]] bool has_keys(bool receiver_side) const {
      return media(receiver_side)->kind == TransportKind::kRtp && !sender->rejected && !untouched;
    }
    /// The values of `a=extmap` lines for the receiver.
    std::vector<std::string> extmaps;
    /// The codecs of an RTP section that the receiver is shown. `choose_codecs` sets them.
    std::vector<sdp::Codec> codecs;
    /// Types of the sender's own SDP that the words of the client took out.
    std::bitset<128> removed_types;
    /// True if packets between the two medias may have to be changed, so that they need keys of our own.
    bool changes_packets = false;
  };
  /// Texts that the `o=` line points to.
  struct OriginText {
    std::string address;
    std::string version;
  };

  /// Finds the parties, or notes which must be made.
  Result<void, RequestError> resolve_legs();
  /// Parses the message, and the receiver's own last SDP.
  Result<void, RequestError> read_sdp();
  /// The party that made an earlier offer with the same SDP or address (key `alias-key`). Null if there is
  /// none.
  Leg* aliased_sender(const std::string& tag);
  /// True if the body has our own loop mark.
  [[nodiscard]] bool has_looped() const;
  /// True if the receiver is not shown the section.
  [[nodiscard]] bool is_hidden(const sdp::MediaSection& section) const;
  /// True for a plain section beside an encrypted one for the same media (key `OSRTP`, word `accept-legacy`).
  [[nodiscard]] bool is_doubled(const sdp::MediaSection& section) const;
  /// Leaves only the section that the party chose, of two sections for one media of `leg`.
  static void fold_doubled(sdp::Session& session, const Leg& leg);
  /// Finds the medias of each section: by `a=mid`, by subscription, then by place.
  void match_sections();
  // Fax (offer_answer_fax.cpp).
  /// Chooses which sections the receiver is shown as fax or as audio in their place (key `T.38`).
  void convert_faxes();
  void convert_offered(Match& match);
  void convert_answered(Match& match);
  /// The words that count for a section of an offer. `known`: the gateway that is in force; null = none.
  [[nodiscard]] FaxWishes wished_fax(const Match& match, const FaxTerms* known) const;
  /// Lets the receiver be shown `section`, with a gateway of these terms: that of `known` if its settings are
  /// the same, else another one. `known` may be null.
  void show_converted(Match& match, sdp::MediaSection section, FaxTerms terms,
                      const std::shared_ptr<const FaxTerms>& known);
  // BUNDLE (offer_answer_bundle.cpp).
  /// True if the relay takes the BUNDLE groups of the sender's SDP.
  [[nodiscard]] bool takes_groups() const;
  /// Reads the groups of the sender's SDP, if they are taken, and lets each of their sections read as if it
  /// stood alone.
  void read_groups();
  /// How the receiver is offered a group, by the words of this message and of earlier ones. The strictest
  /// word counts.
  [[nodiscard]] LegBundle::Wish bundle_wish() const;
  /// True if an offer puts the sections of a group on one port without waiting for the receiver's answer.
  [[nodiscard]] bool shares_toward_receiver() const;
  /// The protocol of the m-line that an offer has for the receiver.
  [[nodiscard]] std::string_view protocol_to_offer(const Match& match) const;
  /// The protocol of a section that is new to the receiver, if no word of the offer chooses one: that of the
  /// receiver's group, so that the section can join it (BND-7, BND-10), else that of the offer.
  [[nodiscard]] std::string_view protocol_of_new(const sdp::MediaSection& section) const;
  /// The groups that the receiver is offered. Empty = none.
  [[nodiscard]] std::vector<Group> groups_to_offer() const;
  /// The groups of the receiver's own offer, without the sections that the answer refuses. Empty if the relay
  /// did not take them.
  [[nodiscard]] std::vector<Group> groups_to_answer();
  /// True if the media may get another transport with this message. A media whose terms are in force may not:
  /// an offer can fail, and its packets must go on (LAT-15).
  [[nodiscard]] bool may_move(const Media& media) const;
  /// Decides which section carries the transport of each side of each section.
  void choose_transports();
  /// Puts the sections of each group on one transport of that side, and chooses the section that carries it.
  void share(bool receiver_side, const std::vector<Group>& groups);
  /// True if the section cannot be on one transport with that of `carrier`: it is no RTP, or has another
  /// profile.
  [[nodiscard]] bool must_leave(const Match& match, const Match* carrier, bool receiver_side) const;
  /// Decides about a section outside the groups whose media shares a transport: it gets a transport of its
  /// own, or stays with the section that carries the shared one.
  void leave_shared(std::size_t at, bool receiver_side, const std::vector<bool>& is_grouped);
  /// True if the section is in a BUNDLE group of that side.
  [[nodiscard]] bool is_grouped(const Match& match, bool receiver_side) const;
  /// True if the section decides about the transport of its media on that side.
  [[nodiscard]] bool carries(const Match& match, bool receiver_side) const {
    return match.transport(receiver_side).carrier == static_cast<std::size_t>(&match - matches_.data());
  }
  /// Remembers the words of an offer about BUNDLE, and whether either side has a group in it.
  void keep_bundle();
  /// Makes the medias of one side, and puts all of them on their transports.
  void place_medias(bool receiver_side);
  /// Reads the receiver's transport from the section of its own offer that carries it now (BND-3).
  void reread_offer(const Match& match);
  /// Notes for each transport whether the answer made its medias a BUNDLE group.
  void settle_bundle();
  /// Remembers the MID of a media that is about to get the MID `mid` instead (WEB-1).
  static void note_former_mid(const Media& media, std::string_view mid);
  /// The values of `a=group:BUNDLE` for the receiver. `mids`: the MID of each section of the message; empty =
  /// the section is rejected or has none.
  [[nodiscard]] std::vector<std::string> groups_shown(const std::vector<std::string>& mids) const;

  /// Chooses interface and IP version of both sides.
  Result<void, RequestError> choose_interfaces();
  /// True if the ICE of the section counts, so that its candidates say where its party is.
  [[nodiscard]] bool takes_ice(const Match& match) const;
  /// Refuses a section without an address that may be sent to (LAT-11a).
  Result<void, RequestError> check_peers();
  /// Refuses an offer of a new call that asks for conversion while the media threads are busy. Calls that run
  /// go on.
  [[nodiscard]] Result<void, RequestError> check_load() const;
  /// Finds the music for the other party if the message puts it on hold.
  Result<void, RequestError> find_music();
  /// Refuses an answer that takes nothing of an encrypted offer (SRT-13).
  [[nodiscard]] Result<void, RequestError> check_keys() const;
  /// The keys, the DTLS or the extensions that the answering media was offered. A new branch was offered the
  /// same as the other one. `part_of` reads the part of a media; null if it has none.
  template <class Part>
  [[nodiscard]] static const Part* offer_of(const Match& match, const Part* (*part_of)(const Media&));
  static const MediaKeys* keys_of(const Media& media) { return media.via->keys.get(); }
  static const MediaDtls* dtls_of(const Media& media) { return media.via->dtls.get(); }
  static const MediaExtensions* extensions_of(const Media& media) { return media.extensions.get(); }
  /// The interface that `wanted` names for one side; else the media's or the leg's own, else the default.
  /// `chosen` remembers what a name meant in this message.
  [[nodiscard]] const LogicalInterface* interface_for(const std::string& wanted, const Media* known,
                                                      const Leg* leg, const LogicalInterface*& chosen) const;
  /// Where the section says that its party is, or where its signalling came from.
  [[nodiscard]] Endpoint remote_of(const sdp::MediaSection& section) const;
  /// True if the receiver's port stays although the sender's address changed.
  [[nodiscard]] bool keeps_port(const Match& match) const;
  /// Chooses or opens the ports of one side of a section.
  Result<void, RequestError> open_one(Match& match, bool receiver_side);
  Result<void, RequestError> open_ports();
  /// True if ICE will name the addresses of this side.
  [[nodiscard]] bool names_candidates(const Match& match, bool receiver_side) const;
  /// True if the side may live on the port that all ICE legs of its address share: ICE and rtcp-mux are
  /// certain, and the party is not behind that very port (ONE-3).
  [[nodiscard]] bool may_share(const Match& match, bool receiver_side) const;
  /// True if the port chosen for the receiver is a shared one, which has no RTCP port beside it.
  [[nodiscard]] bool has_one_port(const Match& match) const;
  /// Opens ports at the other addresses of the side's interface, as far as there are any.
  void open_more(const Match& match, bool receiver_side);
  /// The words of the offer about ICE toward the receiver. Without words, what was negotiated with it.
  [[nodiscard]] IceWishes::Offer wished_ice() const;
  /// Value of `a=remote-candidates` for an offer to the party (RFC 8839 §5.2), by the pairs that its worker
  /// has selected by now. Empty if there is none to show.
  [[nodiscard]] std::string selected_candidates(const Media& media) const;
  // Sections that pass from end to end (offer_answer_passing.cpp).
  /// Whether the message has sections that pass from end to end, and in which way. It does not change in the
  /// middle of a call, except by an offer with `force` or `remove`.
  [[nodiscard]] Passing wished_passing() const;
  /// Whether this section passes from end to end, and in which way.
  [[nodiscard]] Passing passing_of(const Match& match) const;
  /// Puts the port of the SDP back into data channels that pass.
  void keep_data_channels();
  /// The ICE of a section that passes, as the other side is shown it: none if the answer is to have none
  /// (word `remove`).
  [[nodiscard]] sdp::IceDescription passing_ice(const sdp::MediaSection& section) const;
  /// Notes the ICE credentials and candidates of the sender of a section that passes.
  void commit_passing(const Match& match);
  /// Notes words of the message that sections which pass cannot obey.
  void note_passing_words();
  /// Writes a section that passes.
  void show_passing(sdp::SectionEdit& edit, Media& media, const Match& match);
  /// True if an answer came from the party, or went to it.
  [[nodiscard]] static bool has_negotiated(const Leg& leg);
  /// True if the receiver is offered ICE. `receiver` is its media for the section; null if it is made later.
  [[nodiscard]] bool has_ice_offer(const sdp::MediaSection& section, const Media* receiver) const;
  /// True if the offer asks for another profile than the receiver was offered before.
  [[nodiscard]] bool is_another_negotiation() const;
  /// Remembers the words of an offer that later offers to the receiver go on with.
  void keep_wishes();
  /// Takes the header extensions of the section: notes the sender's and chooses those that the receiver is
  /// shown.
  void take_extensions(Match& match) const;

  /// Adds a party that came under the Call-ID of the request.
  Leg& add_leg(std::string tag, std::string branch);
  /// Changes parties and call. From here on nothing may fail.
  void commit_legs();
  /// Changes the medias, section by section.
  void commit_media();
  /// Chooses how the source of the media is judged.
  void choose_rules(Media& media) const;
  /// Applies key `media echo`.
  void choose_echo(Media& sender, Media& receiver) const;
  // Codecs (offer_answer_codecs.cpp).
  /// Chooses the codecs that the receiver is shown.
  void choose_codecs(Match& match);
  /// The same for an offer of audio, and for the answer to one. `own`: the receiver's section of the offer.
  void offer_audio(Match& match);
  void answer_audio(Match& match, const sdp::MediaSection& own);
  /// Keeps the words of the client about codecs of both sides.
  void keep_codec_words(Match& match, CodecOffer& offer);
  /// Gives the media its ports: a set that it has, or one that was opened. At most eight sets stay.
  void place_ports(Media& media, std::optional<std::size_t> known, std::optional<std::size_t> opened,
                   const LogicalInterface& interface, AddressFamily family);
  /// Takes what the section says of its party's media. `remote`: the address and port that it names.
  static void read_terms(Media& media, const sdp::MediaSection& section, const Endpoint& remote);
  /// The same of the transport.
  void read_transport(MediaTransport& transport, const sdp::MediaSection& section,
                      const Endpoint& remote) const;
  /// True if the message is an answer, whatever the client calls it: the first SDP of a party that was made
  /// an offer, or an offer against one that waits, in a call whose client says `offer` for both sides.
  [[nodiscard]] bool is_truly_answer() const;
  /// Brings back the lapsed offer that this answer belongs to (LAT-15): the offerer's part of it counts.
  void revive_offer();
  /// The offer that the answering media got, by itself or by the branch that it belongs to.
  [[nodiscard]] Side::Offered offered_to(const Match& match) const;
  /// Notes a section that the receiver is not shown.
  void hide(Match& match);
  // The steps of `commit_media` for each section, in this order. Those about transports are for sections that
  // carry one.
  void commit_terms(Match& match);
  void commit_sender_transport(Match& match);
  void commit_receiver_transport(Match& match);
  void commit_ports(Match& match);
  void commit_flows(Match& match);
  /// Decides keys, DTLS and ICE of an offer for the receiver.
  void offer_receiver(const Match& match);
  /// Decides keys, DTLS and ICE of the answer for the receiver.
  void answer_receiver(const Match& match);
  /// Chooses the protocol of the m-line toward both sides.
  void choose_protocol(const Match& match) const;
  /// Makes `receiver` hear `sender`. `exclusive` ends what else it hears by offer/answer.
  void subscribe(Media& receiver, Media& sender, bool exclusive);
  /// Ends the offer/answer flows of `source` to everybody but `partner`.
  void cut_off(Media& source, const Media& partner);
  /// Marks the receiver's medias that the message left out as rejected.
  void reject_left_out();
  /// Tells the observers how the message was understood, if somebody wants to know (log level 7).
  void tell_decisions() const;

  /// The `o=` line for the receiver, which goes on with what it was shown.
  [[nodiscard]] sdp::Origin choose_origin(const std::string& body_without_origin, OriginText& text) const;
  /// Index of the receiver's own section for one of its medias, in its last SDP. Nothing if there is none.
  [[nodiscard]] std::optional<std::size_t> own_place(const Media& media) const;
  /// The receiver's own section for one of its medias, from its last SDP. Null if there is none.
  [[nodiscard]] const sdp::MediaSection* own_section(const Media& media) const;
  /// What is written for one media of the receiver.
  sdp::SectionEdit edit_section(Media& media);
  /// The same for a section that stays in its group although nothing is sent there (BND-6). `own`: the
  /// section of the receiver's offer.
  sdp::SectionEdit inactive_section(const Media& media, const sdp::MediaSection& own);
  /// The mid of the receiver's section (WEB-1). A party keeps the mid that it gave or was shown first,
  /// whoever offers. Empty if its section has none.
  [[nodiscard]] std::string_view mid_toward(Media& media, const Match& match);
  /// Chooses `a=ptime`.
  void choose_ptime(sdp::SectionEdit& edit, Media& media, Media& sender);
  /// Adds one section, or two for a media that is offered plain and encrypted.
  void add_sections(std::vector<sdp::SectionEdit>& sections, Media& media);
  /// Writes the SDP for the receiver, and keeps the sender's.
  std::string write_reply();

  const Services& services_;
  Call& call_;
  const Request& request_;
  bool is_answer_;
  /// `is_truly_answer`, before the call changes.
  bool is_settling_ = false;
  Clock clock_;
  SideInput input_;
  HoldMusic hold_music_;

  /// Null until the commit makes them.
  Leg* sender_ = nullptr;
  Leg* receiver_ = nullptr;
  /// Names of parties that are made; new names of known parties. Empty = none.
  std::string new_sender_tag_;
  std::string new_sender_branch_;
  std::string new_receiver_branch_;
  std::string learned_sender_tag_;
  std::string learned_receiver_tag_;

  /// The sender's SDP. The parsed sections point into it.
  std::string text_;
  sdp::Session session_;
  /// The receiver's own SDP, parsed. Points into the receiver's last SDP.
  sdp::Session receiver_own_;
  std::vector<Match> matches_;
  /// The BUNDLE groups of each side. Empty = the side has none, or the relay did not take them.
  std::vector<Group> sender_groups_;
  std::vector<Group> receiver_groups_;
  /// New port sets. Closed again if the message fails.
  std::vector<LocalPorts> opened_;
  /// One further address for a port set that was there: the transport, the index of the set, and the ports.
  struct Added {
    MediaTransport* transport = nullptr;
    std::size_t ports = 0;
    LocalPorts::More more;
  };
  std::vector<Added> added_;
  /// Sections that the edit points to. A deque, because they must not move.
  std::deque<sdp::MediaSection> bare_;
  /// Texts that the edit points to. A deque, because they must not move.
  std::deque<std::string> generated_texts_;
  /// What `Taken::warnings` gets.
  std::vector<std::string> warnings_;
};

template <class Part>
const Part* OfferAnswer::offer_of(const Match& match, const Part* (*part_of)(const Media&)) {
  const Part* own = match.sender == nullptr ? nullptr : part_of(*match.sender);
  if (own != nullptr || match.receiver == nullptr) return own;
  for (const Subscription& subscription : match.receiver->subscriptions) {
    if (subscription.kind != SubscriptionKind::kOfferAnswer) continue;
    if (const Part* of_branch = part_of(*subscription.source)) return of_branch;
  }
  return nullptr;
}

}  // namespace ferry
