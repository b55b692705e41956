// SPDX-License-Identifier: Apache-2.0
// A transport as plain values: for views, for totals, and for an export that another process restores.
//
// A member that is added to `TransportSnapshot` belongs into `snapshot` and, unless it is only for views,
// into `restore`. Keys from signalling travel apart: the plan brings them, and `SrtpPlan::contexts` what they
// have received and sent.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

TransportSnapshot Transport::snapshot(Instant now) const {
  TransportSnapshot s;
  // What the source rule has learned.
  for (std::size_t i = 0; i < 2; ++i) {
    s.latch[i] = latch_[i].snapshot();
    s.destination[i] = destination(static_cast<Component>(i));
  }
  account_.save(s, now);
  presence_.save(s);
  streams_.save(s, account_.mark_times(), now);
  const SsrcTranslation* given = protection_[0] ? protection_[0]->names() : nullptr;
  if (given != nullptr && !plan_->is_protected()) s.given = given->state();
  // What keys, handshakes, a waiting offer and ICE have reached.
  s.srtp = srtp_snapshot();
  if (proposal_)
    s.proposal = {{proposal_->latch[0].snapshot(), proposal_->latch[1].snapshot()}, proposal_->streams};
  handshakes_.save(*plan_, s);
  return s;
}

void Transport::restore_handshakes(const TransportSnapshot& s, Instant now) {
  handshakes_.restore(*plan_, s, now);
  if (handshakes_.take_new_keys()) follow_keys(now);
}

void Transport::restore(const TransportSnapshot& s, Instant now) {
  // New ports of a party whose keys go on: nothing else of the old transport is true for them.
  if (s.only_keys) {
    restore_handshakes(s, now);
    return;
  }
  latch_[0].restore(plan_->rtp_latch, s.latch[0]);
  latch_[1].restore(plan_->rtcp_latch, s.latch[1]);
  // A plan without the offer has no use for what was learned about it.
  if (s.proposal && proposal_) {
    proposal_->latch[0].restore(plan_->proposed->rtp, s.proposal->latch[0]);
    proposal_->latch[1].restore(plan_->proposed->rtcp, s.proposal->latch[1]);
    proposal_->streams = s.proposal->streams;
  }
  account_.restore(s);
  presence_.restore(s, now);
  streams_.restore(s);
  if (!s.given.empty() && !plan_->is_protected()) {
    if (!protection_[0]) protection_[0] = std::make_unique<Protection>();
    protection_[0]->ensure_names().restore(s.given);
  }
  // Counts from elsewhere do not belong to the last seconds here, so all marks begin at the restored counts.
  if (account_.restart_marks(now, streams_.has_streams())) streams_.mark(account_.mark_times());
  restore_handshakes(s, now);
}

}  // namespace ferry
