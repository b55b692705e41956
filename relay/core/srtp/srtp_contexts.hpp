// SPDX-License-Identifier: Apache-2.0
// Keeps the contexts of all keys of one media, whichever ports use them and whichever are in use.
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

/// A key that a party encrypts with, and what was received under it.
struct SrtpReceiving {
  SrtpMasterKey key;
  SrtpReceiver context;
};
/// Names those who receive what one media sends: the parties that answered one after the other in the same
/// branch of a forked call.
struct SrtpParty {
  /// The media, and the branch within it. Both chosen by control.
  std::uint32_t media = 0;
  std::uint32_t number = 0;
  bool operator==(const SrtpParty&) const = default;
};
/// A key that a party was given, and what was sent to it. A forked offer gives one key to several parties.
struct SrtpSending {
  SrtpMasterKey key;
  SrtpParty party;
  SrtpSender context;
};

/// Finds the counters and replay lists of a key that comes back or goes on at other ports, so that no index
/// is used or accepted twice (SRT-6, SRT-9).
///
/// Shared by the transports of one media, and of those medias that one offer went to. They all belong to one
/// worker, and only that worker touches it. Control makes it and passes it on from plan to plan.
class SrtpContexts {
 public:
  /// Keys that are kept although no transport uses them, and earlier keys of which only the indices are
  /// remembered. The one that has been idle longest gives way.
  static constexpr std::size_t kKept = 8;
  static constexpr std::size_t kRemembered = 128;
  /// Parties that can have one key at a time: as many as there are shares of SRTCP indices. One more takes
  /// the place of the one that has been idle longest.
  static constexpr std::size_t kMaxParties = 128;

  /// The context of `key`, made if there is none. Null if `backend` cannot make its cipher.
  std::shared_ptr<SrtpReceiving> receiving(const SrtpMasterKey& key, const SrtpBackend& backend,
                                           std::size_t window);
  /// The highest index that was received of `ssrc`, under the newest key that knows it; nothing if none does.
  [[nodiscard]] std::optional<std::uint64_t> newest_index(Ssrc ssrc) const noexcept;
  /// The context of `key` for what is sent to `party`, made if there is none. Contexts with the same key each
  /// begin at a roll-over counter of 0, as their receivers do, and never use each other's indices (SRT-9).
  /// Null if the cipher cannot be made or too many parties have the key.
  std::shared_ptr<SrtpSending> sending(const SrtpMasterKey& key, SrtpParty party, const SrtpBackend& backend,
                                       std::size_t window);

  /// The SSRCs by which `party` knows the streams of others, whichever key it was given. Never null.
  std::shared_ptr<SsrcTranslation> names(SrtpParty party);

  /// Everything as plain values, keys included: secrets (SRT-15).
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
  /// All that it knows.
  [[nodiscard]] State state() const;
  /// Loads a state into a new object. Keys whose cipher cannot be made are left out.
  void restore(const State& state, StateAge age, const SrtpBackend& backend, std::size_t window);

 private:
  /// Adds a sender and introduces it to the others with the same key.
  void add(std::shared_ptr<SrtpSending> made);
  /// Lets an idle key give way if there are too many; what it received or sent is remembered.
  void make_room_for_receiving();
  /// Lets an idle sender give way in the same way.
  void make_room_for_sending();

  // The one used last comes last.
  std::vector<std::shared_ptr<SrtpReceiving>> receiving_;
  std::vector<std::shared_ptr<SrtpSending>> sending_;
  std::vector<std::pair<SrtpParty, std::shared_ptr<SsrcTranslation>>> names_;
  /// Keys that gave way. `age` is that of the state.
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
