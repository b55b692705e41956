// One-party signalling: publish, subscribe, create, transform (NG reference, sections 18 and 19).
#pragma once

#include "control/sdp/write.hpp"
#include "control/session/manager.hpp"

#include <deque>
#include <string>
#include <vector>

namespace ferry {

/// Lives for one command. Either changes the call or nothing.
class Subscriptions {
 public:
  Subscriptions(SessionManager& manager, const Request& request, const Clock& clock)
      : manager_(manager), request_(request), clock_(clock) {}

  Result<Dict, RequestError> publish();
  Result<Dict, RequestError> subscribe_request();
  Result<Dict, RequestError> subscribe_answer();
  Result<Dict, RequestError> unsubscribe();
  Result<Dict, RequestError> create();
  Result<Dict, RequestError> create_answer();
  /// Only for streams that need no codec work: input and output are the same.
  Result<Dict, RequestError> transform();

 private:
  static constexpr std::size_t kGeneratedId = 64;  // hexadecimal digits of ids and tags that we choose

  /// One section to be made: what it is, and whom it listens to.
  struct Section {
    Media* media = nullptr;  // of the party, if it has it already
    std::string_view type;
    std::string_view protocol;
    const sdp::MediaSection* source = nullptr;
    const sdp::Session* session = nullptr;  // the SDP that `source` is of
    std::vector<sdp::Codec> codecs;
    /// Empty in a subscription: nothing to copy any more, printed with port 0.
    std::vector<Media*> sources;
    /// As printed.
    sdp::Direction direction{true, true};
    /// Its place in the SDP showed another source before.
    bool is_reused = false;
    const LogicalInterface* interface = nullptr;
    AddressFamily family = AddressFamily::kIpv4;
    std::optional<std::size_t> known;  // which of the media's port sets serves already
    std::optional<PortSet> opened;
  };

  Result<Call*, RequestError> call_or_new(bool& is_new);
  Result<std::vector<Media*>, RequestError> select_sources(Call& call);
  [[nodiscard]] const LogicalInterface* choose_interface(const LogicalInterface* otherwise) const;
  /// Reads into `section` what `media` said of itself, as a subscriber may see it. False: it has said
  /// nothing.
  [[nodiscard]] bool read_source(const Media& media, Section& section);
  /// Puts the sections of a subscription where `leg` has those of the same sources; a section whose sources
  /// are gone stays behind without any (RFC 3264 §8).
  [[nodiscard]] static std::vector<Section> in_order(std::vector<Section> wanted, const Leg& leg);
  /// What of `section` a subscriber that listens to it is offered.
  [[nodiscard]] sdp::Direction offered_direction(const Section& section) const;
  /// The label of a media of a subscription; a new one for a new source.
  [[nodiscard]] static const std::string& label_of(Media& media, const Section& section);
  Result<void, RequestError> open_all(Call& call, std::vector<Section>& sections);
  void close_all(Call& call, std::vector<Section>& sections);
  Media& place(Leg& leg, Section& section);
  [[nodiscard]] LatchPolicy call_policy(const Leg& leg) const;
  [[nodiscard]] Request without_set_label() const;
  std::string write(const sdp::Session& session, const std::vector<Media*>& medias,
                    const std::vector<Section>& sections, Leg& leg, bool own_origin);
  /// `o=` of the next SDP for `leg`: as in its first one, with a higher version if `body`, the text without
  /// it, is another than before (RFC 3264 §8). `wanted`: what the first one has.
  [[nodiscard]] sdp::Origin keep_origin(Leg& leg, const sdp::Origin& wanted, const std::string& body);
  void read_answer(Media& media, const sdp::MediaSection& section);
  [[nodiscard]] Endpoint remote_of(const sdp::MediaSection& section) const;
  /// LAT-11a: refuses a section that names no address that may be sent to. `local`: where the party's port is
  /// or will be; null: there is none.
  Result<void, RequestError> check_peer(const sdp::MediaSection& section, const LocalAddress* local) const;
  /// Keys of ours for a party that is offered encrypted media.
  void offer_crypto(Media& media);
  [[nodiscard]] Result<void, RequestError> check_crypto(const Media& media,
                                                        const sdp::MediaSection& answer) const;
  void take_crypto(Media& media, const sdp::MediaSection& answer);
  /// Chooses among the lines of a party that offers.
  void answer_crypto(Media& media, const sdp::MediaSection& offer);
  void finish(Call& call, bool is_new);

  SessionManager& manager_;
  const Request& request_;
  Clock clock_;
  std::deque<sdp::Session> parsed_;     // sections point into the SDP that legs keep
  std::deque<sdp::MediaSection> bare_;  // sections without what the reader may not see
  std::deque<std::string> texts_;
};

}  // namespace ferry
