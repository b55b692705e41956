// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/prompt.hpp"

#include <utility>

namespace ferry {

Prompt::~Prompt() {
  for (Node* node = first_.load(std::memory_order_relaxed); node != nullptr;)
    delete std::exchange(node, node->next.load(std::memory_order_relaxed));
}

void Prompt::append(PromptPart part) {
  if (part.sizes.empty()) return;
  octets_.fetch_add(part.payloads.size() + part.sizes.size() * sizeof part.sizes[0],
                    std::memory_order_relaxed);
  auto node = std::make_unique<Node>();
  node->part = std::move(part);
  // From here on readers see the part, whole.
  (last_ == nullptr ? first_ : last_->next).store(node.get(), std::memory_order_release);
  last_ = node.release();
}

std::shared_ptr<const Prompt> whole_prompt(const PromptTiming& timing, std::vector<std::byte> payloads,
                                           std::size_t packet_octets) {
  auto prompt = std::make_shared<Prompt>(timing);
  const std::size_t packets = payloads.size() / packet_octets;
  payloads.resize(packets * packet_octets);
  prompt->append(
      {std::move(payloads), std::vector<std::uint16_t>(packets, static_cast<std::uint16_t>(packet_octets))});
  prompt->finish();
  return prompt;
}

PromptReader::Found PromptReader::look() noexcept {
  while (true) {
    if (node_ == nullptr || packet_ == node_->part.sizes.size()) {
      // Asked first: what was appended before the end is seen then.
      const bool is_complete = prompt_->is_complete();
      const Prompt::Node* next =
          node_ == nullptr ? prompt_->first() : node_->next.load(std::memory_order_acquire);
      if (next == nullptr) return is_complete ? Found::kEnd : Found::kWaiting;
      node_ = next;
      packet_ = octet_ = 0;
    }
    if (skipped_ == 0) return Found::kPacket;
    const std::size_t left = node_->part.sizes.size() - packet_;
    if (skipped_ >= left) {
      skipped_ -= left;
      number_ += left;
      packet_ = node_->part.sizes.size();
      continue;
    }
    for (; skipped_ > 0; --skipped_) advance();
  }
}

}  // namespace ferry
