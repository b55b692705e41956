// SPDX-License-Identifier: Apache-2.0
// What was refused lately and why, for `rtpferryctl explain`, metrics and the log.
#pragma once

#include "control/request/refusal.hpp"
#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/limit/token_bucket.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// A command that is being refused. The texts are views, and come from outside unchecked.
struct RefusedRequest {
  /// The call's Call-ID. Empty = the command names none; it is counted then, and not kept.
  std::string_view call_id{};
  /// The command as the log shows it, such as `offer` or `U (offer)`.
  std::string_view command{};
  /// `NG`, `NG over HTTP` or `rtpproxy`. Of static lifetime.
  std::string_view protocol{};
  std::string_view from_tag{};
  std::string_view to_tag{};
  /// The client that sent the command.
  IpAddress client{};
  RefusalReason refusal = RefusalReason::kOther;
  /// The reason in words.
  std::string_view text{};
  /// `changes`: the command would have made or changed a call. `ends`: it would have ended one. A command
  /// with neither only asks; it is counted, and not kept.
  bool changes = true;
  bool ends = false;
};

/// Counts refused requests by reason, keeps the newest of each Call-ID, and says which of them the log shows.
/// Pure. Bounded in entries and octets. Control thread only.
class RefusedRequests {
 public:
  /// The most entries, and the most octets of all of them.
  static constexpr std::size_t kMaxEntries = 512;
  static constexpr std::size_t kMaxBytes = 256 * 1024;
  /// Log lines of one reason, at the start and in each further second.
  static constexpr std::uint32_t kLinesPerSecond = 5;
  /// How many octets of texts from outside are kept.
  static constexpr std::size_t kLongestCallId = 256;
  static constexpr std::size_t kLongestText = 256;
  static constexpr std::size_t kLongestTag = 128;

  /// All requests of one call that were refused with one command and for one reason.
  struct Entry {
    /// The Call-ID, cut at `kLongestCallId`; `call_id_size` and `call_id_hash` are those of the whole one.
    std::string call_id;
    std::size_t call_id_size = 0;
    std::uint64_t call_id_hash = 0;
    std::string command;
    std::string_view protocol;
    // The next four are those of the newest refusal.
    std::string from_tag;
    std::string to_tag;
    std::string text;
    IpAddress client;
    RefusalReason refusal = RefusalReason::kOther;
    bool ends = false;
    /// How many there were, and when the first and the last came.
    std::uint64_t count = 0;
    WallTime first{};
    WallTime last{};
    Instant last_at{};
    [[nodiscard]] std::size_t bytes() const;
  };

  /// How often a reason came, and when last.
  struct Total {
    std::uint64_t count = 0;
    Instant last_at{};
  };

  /// What the log should say of a refusal.
  struct Line {
    bool is_wanted = true;
    /// How many refusals of the same reason before it have no line.
    std::uint64_t left_out = 0;
  };

  /// Counts and keeps a refusal. It has a line in the log unless there are too many of its reason.
  Line note(const RefusedRequest& request, Instant now, WallTime wall);

  /// How many refusals of this reason have no line in the log, if a line is due now; it counts as written. To
  /// be called about once a second, because a flood may end without a further refusal. 0 = nothing to write.
  std::uint64_t take_untold(RefusalReason refusal, Instant now);

  /// What was refused of a call, the newest last. `call_id` is as the command had it; for a session of the
  /// rtpproxy protocol a blank and its tag may follow.
  [[nodiscard]] std::vector<const Entry*> of_call(std::string_view call_id) const;

  [[nodiscard]] const std::array<Total, kRefusals>& totals() const { return totals_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  using Entries = std::list<Entry>;
  Entry* find(const RefusedRequest& request, std::uint64_t hash);
  void drop_one();

  /// By reason; in each list the one that was refused last stands last.
  std::array<Entries, kRefusals> entries_;
  std::unordered_multimap<std::uint64_t, Entries::iterator> by_call_id_;
  std::array<Total, kRefusals> totals_;
  /// The lines of one reason, and how many were left out.
  struct Log {
    TokenBucket bucket;
    std::uint64_t left_out = 0;
  };
  std::array<Log, kRefusals> log_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

/// A sentence that says which command was refused, whose, how often and why.
[[nodiscard]] std::string in_words(const RefusedRequests::Entry& entry);

/// The list `refused` of an explanation, the newest last. Ages are those at `now`.
[[nodiscard]] nlohmann::json refused_json(const std::vector<const RefusedRequests::Entry*>& entries,
                                          Instant now);

}  // namespace ferry
