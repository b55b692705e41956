// SPDX-License-Identifier: Apache-2.0
// Commands that join parties of one or several calls: `connect`, `mesh`, `inject`
// (docs/reference/ng.md#conferences). Control thread only.
#pragma once

#include "control/session/call_register.hpp"
#include "control/session/services.hpp"

#include <vector>

namespace ferry {

/// Carries out one command. It either changes the calls or changes nothing. Borrows; construct it for the
/// command.
class Conference {
 public:
  Conference(const Services& services, const Request& request, const Clock& clock)
      : services_(services), request_(request), clock_(clock) {}

  /// Lets parties of one or two calls exchange media; two calls become one.
  Result<void, RequestError> connect();
  /// Joins several calls into one, and makes the flows that the command lists.
  Result<void, RequestError> mesh();
  /// Sends the streams of `source-tag` to `to-tag` as well, with their own SSRCs.
  Result<void, RequestError> inject_start();
  /// Ends that.
  Result<void, RequestError> inject_stop();

 private:
  /// One direction: `to` hears `from`.
  struct Flow {
    Leg* from;
    Leg* to;
  };
  /// The parties that `inject` names, in one call.
  struct Injection {
    Call* call;
    Leg* source;
    Leg* to;
  };
  /// Finds them. With `may_merge` two calls become one; without it they are refused.
  Result<Injection, RequestError> find_injection(bool may_merge);
  /// Makes `to` hear what `from` sends, in addition to what it hears. Returns the number of medias that were
  /// joined.
  std::size_t add_flow(const Flow& flow) const;
  /// Makes the two go on with each other instead of their former partners. Returns the number of medias.
  std::size_t exchange(Leg& a, Leg& b) const;
  /// Takes all parties of `other` into `call`, which then has both ids; `other` is gone. False if it cannot
  /// be, and nothing has changed then. The caller makes sure that no tag is in both calls.
  bool merge(Call& call, Call& other);
  /// Syncs the plans, and has the call looked at in time.
  void finish(Call& call);

  const Services& services_;
  const Request& request_;
  Clock clock_;
};

}  // namespace ferry
