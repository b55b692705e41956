// One offer or answer being carried out. Internal to the session library.
#pragma once

#include "control/sdp/write.hpp"
#include "control/session/manager.hpp"

#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// Lives for one message. `run` either changes the call and gives the SDP to send on, or changes nothing.
class OfferAnswer {
 public:
  OfferAnswer(SessionManager& manager, Call& call, const Request& request, bool is_answer,
              const Clock& clock);
  struct Taken {
    std::string sdp;
    /// Null if the message came back to us and changed nothing.
    Leg* sender = nullptr;
  };
  Result<Taken, RequestError> run();

 private:
  /// One section of the message and the two medias it is about.
  struct Match {
    const sdp::MediaSection* section = nullptr;
    Media* sender = nullptr;
    Media* receiver = nullptr;
    unsigned new_sender_index = 0;
    unsigned new_receiver_index = 0;
    const LogicalInterface* sender_interface = nullptr;
    const LogicalInterface* receiver_interface = nullptr;
    AddressFamily sender_family = AddressFamily::kIpv4;
    AddressFamily receiver_family = AddressFamily::kIpv4;
    /// Index of a port set that the media has, or of a new one in `opened_`.
    std::optional<std::size_t> sender_ports;
    std::optional<std::size_t> receiver_ports;
    std::optional<std::size_t> new_sender_ports;
    std::optional<std::size_t> new_receiver_ports;
    bool untouched = false;
    bool hidden = false;
    /// The sender named a section anew that the receiver had as rejected: the place in the SDP is used again
    /// for another section.
    bool is_reused = false;
    /// Addresses of the section that are never sent to (LAT-11a).
    std::vector<LeftOutPeer> left_out;
    /// Values of the a=extmap lines to show to the receiver.
    std::vector<std::string> extmaps;
  };
  struct OriginText {
    std::string address;
    std::string version;
  };

  Result<void, RequestError> resolve_legs();
  Result<void, RequestError> read_sdp();
  /// The party that an earlier offer with the same SDP or address made (key `alias-key`).
  Leg* aliased_sender(const std::string& tag);
  /// The body carries our own loop mark.
  [[nodiscard]] bool has_looped() const;
  [[nodiscard]] bool is_hidden(const sdp::MediaSection& section) const;
  /// A plain section beside an encrypted one for the same media (key `OSRTP`, accept-legacy).
  [[nodiscard]] bool is_doubled(const sdp::MediaSection& section) const;
  /// Of two sections for one media of `leg` only the one that the party chose stays.
  static void fold_doubled(sdp::Session& session, const Leg& leg);
  void match_sections();
  Result<void, RequestError> choose_interfaces();
  /// ICE of the section counts, so that its candidates say where its party is.
  [[nodiscard]] bool takes_ice(const Match& match) const;
  /// LAT-11a: refuses a section without an address that may be sent to.
  Result<void, RequestError> check_peers();
  /// SRT-13: refuses an answer that takes nothing of an encrypted offer.
  [[nodiscard]] Result<void, RequestError> check_keys() const;
  /// The keys, the DTLS or the extensions that the answering media was offered; a new branch got what the
  /// other one did.
  template <class Part>
  [[nodiscard]] static const Part* offer_of(const Match& match, std::unique_ptr<Part> Media::*part);
  /// `chosen` remembers what a name meant in this message.
  [[nodiscard]] const LogicalInterface* interface_for(const std::string& wanted, const Media* known,
                                                      const Leg* leg, const LogicalInterface*& chosen) const;
  [[nodiscard]] Endpoint remote_of(const sdp::MediaSection& section) const;
  [[nodiscard]] bool keeps_port(const Match& match) const;
  Result<void, RequestError> open_one(Match& match, bool receiver_side);
  Result<void, RequestError> open_ports();
  /// ICE will name this side's addresses.
  [[nodiscard]] bool names_candidates(const Match& match, bool receiver_side) const;
  /// Ports at the other addresses of its interface, as far as there are any.
  void open_more(const Match& match, bool receiver_side);
  /// Words of the offer about ICE toward the receiver, or what was negotiated with it where there are none.
  [[nodiscard]] IceWishes::Offer wished_ice() const;
  /// `receiver`: its media for the section; null if it is made later.
  [[nodiscard]] bool offers_ice(const sdp::MediaSection& section, const Media* receiver) const;
  /// Remembers the words of an offer that later offers to the receiver go on with.
  void keep_wishes();
  /// Header extensions of the section: notes the sender's, and chooses what the receiver is shown.
  void take_extensions(Match& match) const;
  void offer_ice_to(Media& sender, Media& receiver, const sdp::MediaSection& section);
  void answer_ice_to(Media& sender, Media& receiver, const sdp::MediaSection& section);

  Leg& add_leg(std::string tag, std::string branch);
  void commit_legs();
  void commit_media();
  void choose_rules(Media& media) const;
  void choose_echo(Media& sender, Media& receiver) const;
  /// Keeps the codecs that the message wants made; an offer without any ends what an earlier one wanted.
  void note_unmade_codecs(Media& receiver) const;
  void place_ports(Media& media, std::optional<std::size_t> known, std::optional<std::size_t> opened,
                   const LogicalInterface& interface, AddressFamily family);
  /// `remote`: the address and port that the section names for its party.
  void read_section(Media& media, const sdp::MediaSection& section, const Endpoint& remote);
  /// An answer, whatever the client calls it: the party's first SDP to whom it was offered, or in a call
  /// whose client says `offer` for both sides, an offer against one that waits.
  [[nodiscard]] bool is_truly_answer() const;
  /// The offer that this answer is to has lapsed (LAT-15): the offerer's part of it counts all the same.
  void revive_offer();
  void decide_mux(Media& sender, Media& receiver) const;
  void offer_crypto(Media& sender, Media& receiver, const sdp::MediaSection& section);
  void answer_crypto(Match& match);
  /// Whether the answer to the offerer takes its DTLS.
  [[nodiscard]] bool may_answer_dtls(const Media& offerer, const Sdes& wishes) const;
  /// The DTLS of `media` follows its ports. At new ones the keys of the former association go on until the
  /// new one has some (DTL-11).
  void follow_ports(Media& media);
  void choose_protocol(Media& sender, Media& receiver, const sdp::MediaSection& section) const;
  void subscribe(Media& receiver, Media& sender, bool exclusive);
  /// Nobody but `partner` goes on with offer/answer toward `source`.
  void cut_off(Media& source, const Media& partner);
  void reject_left_out();
  /// Tells the listener how the message was understood, if anybody wants to know (log level 7).
  void tell_decisions() const;

  [[nodiscard]] sdp::Origin choose_origin(const std::string& body_without_origin, OriginText& text) const;
  /// The receiver's own section for one of its medias, from its last SDP.
  [[nodiscard]] const sdp::MediaSection* own_section(const Media& media) const;
  sdp::SectionEdit edit_section(Media& media);
  /// The mid of the receiver's section (WEB-1). A party keeps the one that it gave or was shown first,
  /// whoever offers; empty if its section has none.
  [[nodiscard]] std::string_view mid_toward(Media& media, const Match& match);
  void choose_ptime(sdp::SectionEdit& edit, Media& media, Media& sender);
  /// One section, or two for a media that is offered plain and encrypted.
  void add_sections(std::vector<sdp::SectionEdit>& sections, Media& media);
  std::string write_reply();

  SessionManager& manager_;
  Call& call_;
  const Request& request_;
  bool is_answer_;
  /// `is_truly_answer`, before the call changes.
  bool is_settling_ = false;
  Clock clock_;

  Leg* sender_ = nullptr;
  Leg* receiver_ = nullptr;
  std::string new_sender_tag_;
  std::string new_sender_branch_;
  std::string new_receiver_branch_;
  std::string learned_sender_tag_;
  std::string learned_receiver_tag_;

  std::string text_;
  sdp::Session session_;
  sdp::Session receiver_own_;  // points into the receiver's last SDP
  std::vector<Match> matches_;
  std::vector<std::pair<Media*, PortSet>> opened_;
  /// For port sets that were there: which one of the media, and what it gets.
  struct Added {
    Media* media = nullptr;
    std::size_t ports = 0;
    PortSet::More more;
  };
  std::vector<Added> added_;
  std::deque<std::string> generated_texts_;
};

template <class Part>
const Part* OfferAnswer::offer_of(const Match& match, std::unique_ptr<Part> Media::*part) {
  if (match.sender != nullptr && match.sender->*part) return (match.sender->*part).get();
  if (match.receiver == nullptr) return nullptr;
  for (const Subscription& subscription : match.receiver->subscriptions) {
    if (subscription.kind == SubscriptionKind::kOfferAnswer && subscription.source->*part)
      return (subscription.source->*part).get();
  }
  return nullptr;
}

}  // namespace ferry
