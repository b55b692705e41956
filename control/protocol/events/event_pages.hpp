// SPDX-License-Identifier: Apache-2.0
// Serves the events of this relay as a live page of the HTTP listeners.
#pragma once

#include "control/events/event_filter.hpp"
#include "control/events/event_stream.hpp"
#include "control/protocol/http/live_page.hpp"

#include <functional>
#include <string>
#include <vector>

namespace ferry::events {

/// The live page `/events`. Its query may have `call` (a Call-ID, may be repeated) and `type` (names of types
/// with commas between them). Control thread only.
class EventPages final : public http::LivePages {
 public:
  /// `stream` must outlive this object and all feeds. `wall` gives the time of events `lost`.
  EventPages(EventStream& stream, std::function<WallTime()> wall) : stream_(stream), wall_(std::move(wall)) {}

  [[nodiscard]] bool has(std::string_view path) const override { return path == "/events"; }
  std::variant<std::unique_ptr<http::LiveFeed>, http::Reply> open(std::string_view target,
                                                                  std::optional<std::uint64_t> last,
                                                                  http::LiveOutput& output) override;
  /// Sends each client a sign of life. To be called every 15 s or so: proxies close silent connections.
  void send_signs_of_life();
  /// Clients that read the page now.
  [[nodiscard]] std::size_t clients() const override { return feeds_.size(); }

 private:
  class Feed;
  EventStream& stream_;
  std::function<WallTime()> wall_;
  /// Not owned: each adds and removes itself.
  std::vector<Feed*> feeds_;
};

/// Reads the filter from a target's query. The error is a sentence.
[[nodiscard]] Result<EventFilter, std::string> filter_of(std::string_view target);

}  // namespace ferry::events
