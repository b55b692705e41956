// SPDX-License-Identifier: Apache-2.0
// One-party signalling: `publish`, `subscribe`, `create`, `transform` (docs/reference/ng.md#subscriptions,
// docs/reference/ng.md#create). Control thread only.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/command/results.hpp"
#include "control/negotiate/side.hpp"
#include "control/sdp/write.hpp"
#include "control/session/services.hpp"

#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// Carries out one command. It either changes the call or changes nothing. Construct it for one command; it
/// borrows.
class Subscriptions {
 public:
  Subscriptions(const Services& services, const Request& request, const Clock& clock);

  /// Answers an offer of a party that only sends.
  Result<PartyMade, RequestError> publish();
  /// Offers a party what others send.
  Result<SubscriptionMade, RequestError> subscribe_request();
  /// Takes its answer.
  Result<void, RequestError> subscribe_answer();
  /// Ends what it hears.
  Result<void, RequestError> unsubscribe();
  /// Makes an offer of the relay's own to a party.
  Result<PartyMade, RequestError> create();
  /// Takes its answer.
  Result<void, RequestError> create_answer();
  /// Sends streams back out at another address, in the codecs that the client names.
  Result<TransformMade, RequestError> transform();

 private:
  /// Hexadecimal digits of ids and tags that the relay chooses.
  static constexpr std::size_t kGeneratedId = 64;

  /// One section to be made: what it is, and which medias it listens to.
  struct Section {
    /// The party's media for it; null = it is made.
    Media* media = nullptr;
    std::string_view type;
    std::string_view protocol;
    /// The section that it copies. Null: there is nothing to copy, and it is printed with port 0.
    const sdp::MediaSection* source = nullptr;
    /// The SDP that `source` belongs to.
    const sdp::Session* session = nullptr;
    std::vector<sdp::Codec> codecs;
    /// What the client wants of codecs toward the subscriber.
    std::vector<CodecWish> wishes{};
    /// The medias it listens to. In a subscription empty = they are gone, so it is printed with port 0.
    std::vector<Media*> sources;
    /// The media whose SDP the section copies. There must be one.
    [[nodiscard]] Media& first_source() const { return **sources.begin(); }
    /// The direction that is printed.
    sdp::Direction direction{true, true};
    /// Index of the section that carries its transport, which means that it decides about it; unset = the
    /// section itself. Set under BUNDLE for all sections of a group but one.
    std::optional<std::size_t> carrier;
    /// True if its media leaves a transport that others go on with, and gets one of its own.
    bool leaves = false;
    /// True if the section is in a BUNDLE group.
    bool is_grouped = false;
    /// Number of its group in the SDP, from 0; means nothing without a group.
    std::size_t group = 0;
    /// True if its place in the SDP showed another source before.
    bool is_reused = false;
    const LogicalInterface* interface = nullptr;
    AddressFamily family = AddressFamily::kIpv4;
    /// The port set of the media that serves already. Unset = `opened` is used.
    std::optional<std::size_t> known;
    std::optional<LocalPorts> opened;
    /// True if its SDP names candidates of ICE, at all addresses of `interface`.
    bool has_ice = false;
    /// True if its transport may live on the port that all ICE legs of an address share (ONE-3).
    bool shares = false;
    /// The ports of these candidates.
    std::vector<LocalPorts::More> more;
    /// The addresses in the party's SDP that are never sent to (LAT-11a).
    std::vector<LeftOutPeer> left_out;
  };

  /// The call of the request, made if there is none. Fails only if memory is short.
  Result<Call*, RequestError> call_or_new(bool& is_new);
  /// The medias that a subscription copies.
  Result<std::vector<Media*>, RequestError> select_sources(Call& call);
  /// The interface that the request asks for, else `otherwise`, else the default.
  [[nodiscard]] const LogicalInterface* choose_interface(const LogicalInterface* otherwise) const;
  /// Reads into `section` what `media` said of itself, as a subscriber may see it. False if it has said
  /// nothing.
  [[nodiscard]] bool read_source(const Media& media, Section& section);
  /// Chooses the codecs of a section that copies another one, when it is known whose section it is.
  void choose_codecs(Section& section);
  /// The sections that show `sources` to a subscriber: one for each, with flag `mix` one for each type.
  /// `subscriber`: its party, whose sections keep their places; null = the command will make it. Fails if the
  /// subscriber is a source itself, or if the SDP of a source cannot be read.
  Result<std::vector<Section>, RequestError> sections_of(const std::vector<Media*>& sources,
                                                         const Leg* subscriber);
  /// Puts the sections of a subscription where `leg` has those of the same sources. A section whose sources
  /// are gone stays behind without any (RFC 3264 §8).
  [[nodiscard]] static std::vector<Section> in_order(std::vector<Section> wanted, const Leg& leg);
  /// The label of a media of a subscription. A new source gets a new one.
  [[nodiscard]] static const std::string& label_of(Media& media, const Section& section);
  /// Lets `subscriber` hear `sources`, as the flags `egress` and `RTCP-mirror` say, and remembers them for
  /// its next subscription.
  void listen(Media& subscriber, const std::vector<Media*>& sources) const;
  /// Opens the ports that the sections need. If it fails, the caller closes what was opened.
  Result<void, RequestError> open_all(Call& call, std::vector<Section>& sections);
  /// Closes what `open_all` opened.
  void close_all(Call& call, std::vector<Section>& sections);
  /// Makes or changes the media of a section. Nothing may fail from here on.
  Media& place(Leg& leg, Section& section);
  /// Makes or changes the medias of a publisher, and agrees to its offer. Nothing may fail from here on.
  std::vector<Media*> place_offer(Leg& leg, std::vector<Section>& sections, const sdp::Session& offer);
  /// Which sources may be learned: as the request, the call or the daemon has it.
  [[nodiscard]] LatchPolicy call_policy(const Leg& leg) const;
  /// The request as `select_party` needs it.
  [[nodiscard]] Request without_set_label() const;
  // BUNDLE (subscription_bundle.cpp).
  /// Reads the BUNDLE groups of the publisher's offer, if they are taken, and lets each of their sections
  /// read as if it stood alone. Returns the sections of each group. `leg`: the publisher; null = it is new.
  std::vector<std::vector<std::size_t>> read_groups(sdp::Session& offer, const Leg* leg) const;
  /// Notes for each section its group, and which section carries its transport.
  static void take_groups(const std::vector<std::vector<std::size_t>>& groups,
                          std::vector<Section>& sections);
  /// The same for the answer of a party that was offered a group.
  static std::vector<std::vector<std::size_t>> read_answered_groups(sdp::Session& answer, const Leg& leg);
  /// How the party is offered a group. `leg` null = the party is made later.
  [[nodiscard]] LegBundle::Wish bundle_wish(const Leg* leg) const;
  /// Makes the living sections a group, if the party is to be offered one. `leg` null = the party is made
  /// later.
  void group_offer(std::vector<Section>& sections, const Leg* leg) const;
  /// Lets sections that are not together any more leave each other's transport.
  static void part_transports(std::vector<Section>& sections);
  /// Remembers whether the party is offered a group, and the words that asked for it.
  void keep_bundle(Leg& leg, const std::vector<Section>& sections) const;
  /// Puts the media of each section that has a carrier on the transport of the carrier.
  void join_carriers(const std::vector<Media*>& medias, const std::vector<Section>& sections) const;
  /// Puts the medias of each group that the party's answer took on one transport, and rejects in `answer` the
  /// sections outside a group that cannot share the transport that they were offered. `medias` are in the
  /// order of the answer's sections. The result has one value for each section: true if the section decides
  /// about its transport.
  std::vector<bool> join_answer(sdp::Session& answer, const std::vector<std::vector<std::size_t>>& groups,
                                const std::vector<Media*>& medias) const;
  /// Gives a section without MID one that its party has not seen yet (WEB-1).
  static void name_section(Media& media);
  /// Writes the header extensions of a section. `session` has the lines that it copies.
  void write_extensions(sdp::SectionEdit& edit, Media& media, const Section& section,
                        const sdp::Session& session, bool is_answer);
  /// The SDP for the party of `leg`: an answer if `is_answer`, else an offer. `own_origin`: the relay is its
  /// author.
  std::string write(const sdp::Session& session, const std::vector<Media*>& medias,
                    const std::vector<Section>& sections, Leg& leg, bool own_origin, bool is_answer);
  /// The `o=` line of the next SDP for `leg`: as in its first one, with a higher version if `body`, the text
  /// without it, has changed (RFC 3264 §8). `wanted` is that of the first one.
  [[nodiscard]] sdp::Origin keep_origin(Leg& leg, const sdp::Origin& wanted, const std::string& body);
  /// Takes what a section says of its party. `carries`: the section carries its transport, so it also says
  /// where that is.
  void read_answer(Media& media, const sdp::MediaSection& section, bool carries);
  /// Where the section says that its party is, or where its signalling came from.
  [[nodiscard]] Endpoint remote_of(const sdp::MediaSection& section) const;
  /// The addresses of a section that are never sent to (LAT-11a); an error if no usable one is left. `local`:
  /// where the party's port is or will be; null = there is none. `takes_ice`: its candidates count.
  [[nodiscard]] Result<std::vector<LeftOutPeer>, RequestError> admit(const sdp::MediaSection& section,
                                                                     const LocalAddress* local,
                                                                     bool takes_ice) const;
  /// True if an offer to the party of `media` has ICE. Null = the media is made later.
  [[nodiscard]] bool has_ice_offer(const Media* media) const;
  /// True if the section that a publisher offers may live on the port that all ICE legs of an address share:
  /// its party has ICE and rtcp-mux, and is not behind that very port (ONE-3). `leg`: the publisher; null =
  /// it is new.
  [[nodiscard]] bool may_share(const sdp::MediaSection& offered, const Leg* leg) const;
  /// The same for a section of an offer to the party of `leg`; null = the party is made later.
  [[nodiscard]] bool may_share_toward(const Section& section, const Leg* leg) const;
  /// Judges one section of a party's answer. Returns the list of `admit`.
  [[nodiscard]] Result<std::vector<LeftOutPeer>, RequestError> check_answer(
      const Media& media, const sdp::MediaSection& answer) const;
  /// Readies keys, DTLS, ICE and rtcp-mux of a media for the offer to its party.
  void offer_transport(Media& media, const Section& section);
  /// Agrees to one section of the party's answer. `carries`: the section carries its transport.
  void take_answer(Media& media, const sdp::MediaSection& answer, std::vector<LeftOutPeer> left_out,
                   bool carries);
  /// Takes the party's offer and agrees to it. `is_grouped`: its section is in a BUNDLE group.
  void answer_transport(Media& media, const sdp::MediaSection& offer, bool is_grouped);
  /// Syncs the plans, counts a new call, and has the call looked at in time.
  void finish(Call& call, bool is_new);

  const Services& services_;
  const Request& request_;
  Clock clock_;
  SideInput input_;
  /// Words of the client that could not be obeyed, a sentence each.
  std::vector<std::string> warnings_;
  /// Parsed SDP. Sections point into the texts that legs keep.
  std::deque<sdp::Session> parsed_;
  /// Sections without the lines that the reader may not see.
  std::deque<sdp::MediaSection> bare_;
  /// Texts that the edit points to. Deques, because nothing may move.
  std::deque<std::string> texts_;
};

}  // namespace ferry
