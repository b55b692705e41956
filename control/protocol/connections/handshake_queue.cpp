// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/connections/handshake_queue.hpp"

#include <chrono>

namespace ferry {

void HandshakeQueue::add(Id id, const IpAddress& source) {
  const auto known = sources_.find(source);
  const auto turn = known != sources_.end() ? known->second : turns_.insert(turns_.end(), Source{source, {}});
  if (known == sources_.end()) sources_.emplace(source, turn);
  turn->ids.push_back(id);
  waiting_.emplace(id, source);
}

void HandshakeQueue::remove(Id id) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const auto source = sources_.find(found->second);
  source->second->ids.remove(id);
  if (source->second->ids.empty()) {
    turns_.erase(source->second);
    sources_.erase(source);
  }
  waiting_.erase(found);
}

std::optional<HandshakeQueue::Id> HandshakeQueue::next(Instant now) {
  if (turns_.empty() || now < next_at_) return std::nullopt;
  // At most the unused budget of 100 ms begins at once: a longer burst would delay the commands behind it.
  next_at_ = std::max(next_at_, now - std::chrono::milliseconds(100)) +
             Duration(std::chrono::seconds(1)) / per_second_;
  const Id id = turns_.front().ids.front();
  turns_.splice(turns_.end(), turns_, turns_.begin());
  remove(id);
  return id;
}

}  // namespace ferry
