// Commands that join parties of one or several calls: connect, mesh, inject (NG reference, section 19).
#pragma once

#include "control/session/manager.hpp"

#include <vector>

namespace ferry {

/// Lives for one command. Either changes the calls or nothing.
class Conference {
 public:
  Conference(SessionManager& manager, const Request& request, const Clock& clock)
      : manager_(manager), request_(request), clock_(clock) {}

  Result<Dict, RequestError> connect();
  Result<Dict, RequestError> mesh();
  /// The streams of `source-tag` go to `to-tag` as well, with their own SSRCs.
  Result<Dict, RequestError> inject_start();
  Result<Dict, RequestError> inject_stop();

 private:
  struct Flow {
    Leg* from;
    Leg* to;
  };
  struct Injection {
    Call* call;
    Leg* source;
    Leg* to;
  };
  Result<Injection, RequestError> find_injection(bool may_merge);
  /// `to` hears what `from` sends, in addition to what it hears. Number of media joined.
  std::size_t add_flow(const Flow& flow) const;
  /// The two go on with each other instead of their former partners.
  std::size_t exchange(Leg& a, Leg& b) const;
  void finish(Call& call);

  SessionManager& manager_;
  const Request& request_;
  Clock clock_;
};

}  // namespace ferry
