// SPDX-License-Identifier: Apache-2.0
// Posts events to a server until it takes them.
#pragma once

#include "control/events/delivery_queue.hpp"
#include "control/events/event_filter.hpp"
#include "control/events/event_stream.hpp"
#include "control/protocol/events/outbox.hpp"
#include "control/protocol/events/tally.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace ferry::events {

class JournalFile;

/// One receiver of events by HTTP.
struct WebhookConfig {
  std::string url;
  /// Its place among the receivers, from 1, for people.
  unsigned number = 1;
  /// Names its journal; empty = `receiver_of` the URL.
  std::string receiver;
  /// Signs the bodies; empty = they are not signed.
  std::string secret;
  EventFilter filter;
  /// The most events that wait; the oldest goes if there are more.
  std::size_t limit = 100'000;
  /// Folder in which waiting events survive a restart; empty = they are kept in memory alone.
  std::string state_directory;
};

/// What became of events. Any thread may read.
struct WebhookCounts {
  std::atomic<std::uint64_t> delivered{0};
  /// Attempts that failed. Each is made again.
  std::atomic<std::uint64_t> failed{0};
  /// Events that were given up, because too much waited, the receiver did not take them, or memory ran out.
  std::atomic<std::uint64_t> dropped{0};
  std::atomic<std::uint64_t> waiting{0};
};

/// Delivers each event at least once, and those of one call in their order. It has a thread of its own, on
/// which libcurl makes the requests. Certificates are checked, redirects are not followed, and no request
/// takes longer than 30 s. Control thread only, except for the counts.
class Webhook final : public EventSubscriber {
 public:
  /// Begins to deliver, also what an earlier process left.
  explicit Webhook(WebhookConfig config);
  /// Takes what is in the outbox, gives it two seconds to arrive if the receiver answers, and keeps the rest
  /// in the file.
  ~Webhook() override;
  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  void on_event(const Event& event) override;
  [[nodiscard]] const WebhookCounts& counts() const { return counts_; }
  /// The receiver for people: number, scheme and host. Users, paths and queries may be secret.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  class Requests;
  /// The life of the thread.
  void run();
  /// Opens the journal, and takes in what earlier processes left.
  void open_journal();
  void take_over(JournalFile& left);
  /// One turn of the thread. False if it is over.
  bool go_on();
  /// Moves what control has published to the queue and into the file.
  void take_in();
  void add(Event event);
  void on_done(const Event& event, long status, int code);
  void note_failure(const Event& event, const std::string& why, bool is_refused);
  void note_works();
  void note_dropped(std::uint64_t events);
  void tell_dropped();
  void write_journal();

  WebhookConfig config_;
  std::string name_;
  WebhookCounts counts_;
  /// Makes the requests; also wakes the thread.
  std::unique_ptr<Requests> requests_;
  Outbox<Event> outbox_;
  // Of the thread alone, from here on.
  DeliveryQueue queue_;
  /// Null if waiting events are kept in memory alone.
  std::unique_ptr<JournalFile> journal_;
  /// The file is not written before; a full disk is not asked all the time.
  Instant write_again_{};
  /// The receiver does not work, and that was logged.
  bool is_failing_ = false;
  bool is_failure_told_ = false;
  Tally failures_;
  Tally refusals_;
  Tally drops_;
  /// Losses of the outbox that were counted as drops.
  std::uint64_t lost_before_ = 0;
  /// When the end comes at the latest; unset while nothing stops.
  std::optional<Instant> last_chance_;
  std::atomic<bool> stops_{false};
  /// Declared last: it uses all of the above.
  std::thread thread_;
};

/// The value of X-Rtpferry-Signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal (RFC 2104).
[[nodiscard]] std::string signature_of(std::string_view body, std::string_view secret);
/// Scheme, host and port of a URL.
[[nodiscard]] std::string shown_url(std::string_view url);

}  // namespace ferry::events
