// The contexts of the keys of one media, whatever ports it has and whichever of them are in use.
#pragma once

#include "relay/core/srtp/srtp_context.hpp"
#include "relay/core/srtp/srtp_key.hpp"
#include "relay/core/srtp/ssrc_translation.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace ferry {

/// A key of a party, and what was received under it.
struct SrtpReceiving {
  SrtpMasterKey key;
  SrtpReceiver context;
};
/// Whoever receives what one media sends: those that answered one after the other under its branch.
struct SrtpParty {
  std::uint32_t media = 0;
  std::uint32_t number = 0;
  bool operator==(const SrtpParty&) const = default;
};
/// A key that a party was given, and what was sent to it. A forked offer gives one key to several.
struct SrtpSending {
  SrtpMasterKey key;
  SrtpParty party;
  SrtpSender context;
};

/// A key that comes back, or goes on at other ports, finds its counters and replay lists here (SRT-6, SRT-9).
/// Shared by the transports of one media, and of the medias that one offer went to: they are of one worker,
/// which alone touches it. Control makes it and hands it from plan to plan.
class SrtpContexts {
 public:
  /// The number of keys that are kept although no transport uses them, and of those before them of which only
  /// the indices are remembered. The longest idle one gives way.
  static constexpr std::size_t kKept = 8;
  static constexpr std::size_t kRemembered = 128;
  /// The number of parties that can have one key at a time: as many as there are shares of SRTCP indices. One
  /// more takes the place of the longest idle one.
  static constexpr std::size_t kMaxParties = 128;

  /// The context of `key`, made if there is none. Null: `backend` cannot.
  std::shared_ptr<SrtpReceiving> receiving(const SrtpMasterKey& key, const SrtpBackend& backend,
                                           std::size_t window);
  /// The highest index that was received of `ssrc` under the newest of the keys that know it.
  [[nodiscard]] std::optional<std::uint64_t> newest_index(Ssrc ssrc) const noexcept;
  /// The same for what is sent to `party`. Of those that have one key, each begins at a roll-over counter of
  /// 0, as its party does, and none uses an index of another one (SRT-9). Null also if there are too many at
  /// a time.
  std::shared_ptr<SrtpSending> sending(const SrtpMasterKey& key, SrtpParty party, const SrtpBackend& backend,
                                       std::size_t window);

  /// By which SSRCs `party` knows the streams of others, whichever key it was given.
  std::shared_ptr<SsrcTranslation> names(SrtpParty party);

  /// Plain values, with the keys: secrets (SRT-15).
  struct State {
    struct Received {
      SrtpMasterKey key;
      SrtpReceiver::State state;
      bool operator==(const Received&) const = default;
    };
    struct Sent {
      SrtpMasterKey key;
      SrtpParty party;
      SrtpSender::State state;
      bool operator==(const Sent&) const = default;
    };
    struct Named {
      SrtpParty party;
      SsrcTranslation::State names;
      bool operator==(const Named&) const = default;
    };
    std::vector<Received> received;
    std::vector<Sent> sent;
    std::vector<Named> named{};
    bool operator==(const State&) const = default;
  };
  [[nodiscard]] State state() const;
  /// Loads a state into a new object.
  void restore(const State& state, StateAge age, const SrtpBackend& backend, std::size_t window);

 private:
  void add(std::shared_ptr<SrtpSending> made);
  /// What gave way is remembered.
  void make_room_for_receiving();
  void make_room_for_sending();

  // The newest comes last.
  std::vector<std::shared_ptr<SrtpReceiving>> receiving_;
  std::vector<std::shared_ptr<SrtpSending>> sending_;
  std::vector<std::pair<SrtpParty, std::shared_ptr<SsrcTranslation>>> names_;
  /// Of keys that gave way; `age`: of the state.
  struct PastReceived {
    State::Received what;
    StateAge age = StateAge::kLatest;
  };
  struct PastSent {
    State::Sent what;
    StateAge age = StateAge::kLatest;
  };
  std::vector<PastReceived> past_received_;
  std::vector<PastSent> past_sent_;
};

}  // namespace ferry
