// What was refused lately and why, for `rtpferryctl explain`, metrics and the log.
#pragma once

#include "control/session/refusal.hpp"
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

/// A command that is being refused. Views; texts come from outside as they are.
struct RefusedRequest {
  /// The call's plain Call-ID; empty = the command names none. It is counted then, and not kept.
  std::string_view call_id{};
  /// As in the log: `offer`, `U (offer)`.
  std::string_view command{};
  /// `NG`, `NG over HTTP`, `rtpproxy`. Of static lifetime.
  std::string_view protocol{};
  std::string_view from_tag{};
  std::string_view to_tag{};
  /// Who sent the command.
  IpAddress client{};
  RefusalReason refusal = RefusalReason::kOther;
  /// Why, in words.
  std::string_view text{};
  /// `changes`: if carried out, it would have made or changed a call. `ends`: it would have ended one. A
  /// command with neither only asks: it is counted, and not kept.
  bool changes = true;
  bool ends = false;
};

/// Counts refused requests by reason, keeps the newest of each Call-ID, and says which of them the log gets.
/// Pure; bounded in entries and octets. Control thread only.
class RefusedRequests {
 public:
  static constexpr std::size_t kMaxEntries = 512;
  static constexpr std::size_t kMaxBytes = 256 * 1024;
  /// Log lines of one reason: so many in the first second, and in each further one.
  static constexpr std::uint32_t kLinesPerSecond = 5;
  /// Of texts from outside, octets that are kept.
  static constexpr std::size_t kLongestCallId = 256;
  static constexpr std::size_t kLongestText = 256;
  static constexpr std::size_t kLongestTag = 128;

  /// All requests of one call that were refused with one command and for one reason.
  struct Entry {
    std::string call_id;  // cut, see `call_id_size`
    std::size_t call_id_size = 0;
    std::uint64_t call_id_hash = 0;
    std::string command;
    std::string_view protocol;
    // Of the newest.
    std::string from_tag;
    std::string to_tag;
    std::string text;
    IpAddress client;
    RefusalReason refusal = RefusalReason::kOther;
    bool ends = false;
    std::uint64_t count = 0;
    WallTime first{};
    WallTime last{};
    Instant last_at{};
    [[nodiscard]] std::size_t bytes() const;
  };

  struct Total {
    std::uint64_t count = 0;
    Instant last_at{};
  };

  /// What the log is to say.
  struct Line {
    bool is_wanted = true;
    /// Refusals of the same reason before this one that have no line.
    std::uint64_t left_out = 0;
  };

  /// Counts and keeps it. Each refusal has a line in the log unless there are too many of its reason.
  Line note(const RefusedRequest& request, Instant now, WallTime wall);

  /// Refusals of `refusal` that have no line in the log yet, if one is due now; they are told with it. Call
  /// it about once a second: a flood may end without a further refusal.
  std::uint64_t take_untold(RefusalReason refusal, Instant now);

  /// What was refused of a call, the newest last. `call_id`: as the command had it, or that of a session of
  /// the rtpproxy protocol, with a blank and its tag behind.
  [[nodiscard]] std::vector<const Entry*> of_call(std::string_view call_id) const;

  [[nodiscard]] const std::array<Total, kRefusals>& totals() const { return totals_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  using Entries = std::list<Entry>;
  Entry* find(const RefusedRequest& request, std::uint64_t hash);
  void drop_one();

  std::array<Entries, kRefusals> entries_;  // by reason; the one that was refused last is the last
  std::unordered_multimap<std::uint64_t, Entries::iterator> by_call_id_;
  std::array<Total, kRefusals> totals_;
  struct Log {
    TokenBucket bucket;
    std::uint64_t left_out = 0;
  };
  std::array<Log, kRefusals> log_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

/// A sentence: which command of whom was refused, how often, and why.
[[nodiscard]] std::string in_words(const RefusedRequests::Entry& entry);

/// The list `refused` of an explanation, the newest last; ages are those at `now`.
[[nodiscard]] nlohmann::json refused_json(const std::vector<const RefusedRequests::Entry*>& entries,
                                          Instant now);

}  // namespace ferry
