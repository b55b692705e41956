// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/event_pages.hpp"

#include "control/events/event_reader.hpp"
#include "relay/base/memory.hpp"
#include "relay/base/printable.hpp"

#include <algorithm>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fmt/format.h>

namespace ferry::events {

/// One client. It is told of each event, and reads at its own pace.
class EventPages::Feed final : public http::LiveFeed, private EventSubscriber {
 public:
  Feed(EventPages& pages, EventReader reader, http::LiveOutput& output)
      : pages_(pages), reader_(std::move(reader)), output_(output) {
    pages_.stream_.subscribe(*this);
    pages_.feeds_.push_back(this);
  }
  ~Feed() override {
    pages_.stream_.unsubscribe(*this);
    std::erase(pages_.feeds_, this);
  }
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  void go_on() override {
    // Without memory the rest comes with the next event (C-12).
    if (!had_memory([this] { send_what_there_is(); })) pages_.stream_.note_lack_of_memory();
  }
  void send_sign_of_life() { output_.send_sign_of_life(); }

 private:
  void on_event(const Event&) override { go_on(); }
  void send_what_there_is() {
    while (output_.is_ready()) {
      const auto event = reader_.next();
      if (!event) return;
      output_.send({event->number, to_string(event->type), event->text});
    }
  }

  EventPages& pages_;
  EventReader reader_;
  http::LiveOutput& output_;
};

Result<EventFilter, std::string> filter_of(std::string_view target) {
  EventFilter filter;
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return filter;
  evkeyvalq pairs{};
  if (evhttp_parse_query_str(std::string(target.substr(mark + 1)).c_str(), &pairs) != 0)
    return fail(std::string("the query is damaged"));
  std::string wrong;
  for (const evkeyval* pair = pairs.tqh_first; pair != nullptr; pair = pair->next.tqe_next) {
    const std::string_view name = pair->key;
    const std::string_view value = pair->value == nullptr ? "" : pair->value;
    if (name == "call") {
      filter.calls.push_back(cut(value));
    } else if (name == "type") {
      if (const auto added = add_types(filter, value); !added) wrong = added.error();
    } else if (name != "last-event-id") {
      wrong = fmt::format("'{}' is none of call, type, last-event-id", printable(name));
    }
  }
  evhttp_clear_headers(&pairs);
  if (!wrong.empty()) return fail(std::move(wrong));
  return filter;
}

std::variant<std::unique_ptr<http::LiveFeed>, http::Reply> EventPages::open(std::string_view target,
                                                                            std::optional<std::uint64_t> last,
                                                                            http::LiveOutput& output) {
  auto filter = filter_of(target);
  if (!filter) return http::Reply{400, "Bad Request", "text/plain", filter.error() + "\n", {}};
  return std::make_unique<Feed>(*this, EventReader(stream_, std::move(*filter), last, wall_), output);
}

void EventPages::send_signs_of_life() {
  // A copy: a client that is gone is noticed while it is written to.
  const std::vector<Feed*> all = feeds_;
  for (Feed* feed : all) feed->send_sign_of_life();
}

}  // namespace ferry::events
