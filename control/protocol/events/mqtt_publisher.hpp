// SPDX-License-Identifier: Apache-2.0
// Publishes events and reports to an MQTT broker.
#pragma once

#include "control/events/event_stream.hpp"
#include "control/events/settings.hpp"
#include "control/protocol/events/tally.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <thread>

struct mosquitto;

namespace ferry::events {

/// What became of messages. Any thread may read.
struct MqttCounts {
  /// Messages that the broker has taken; with quality of service 0, that were sent.
  std::atomic<std::uint64_t> published{0};
  /// Messages that were given up: too much waited for the broker, they were too large, or it ended the
  /// connection whenever it got them.
  std::uint64_t dropped = 0;
};

/// Says in a sentence why these settings cannot work, such as a certificate that cannot be read; empty if
/// they can. Reads files.
[[nodiscard]] std::string fault_of(const MqttSettings& settings);
/// Says in a sentence what is unsafe about these settings; empty if nothing is.
[[nodiscard]] std::string warning_about(const MqttSettings& settings);

/// A client of one broker. libmosquitto has a thread of its own for it, which connects, and connects again
/// with growing pauses up to a minute. Messages that the broker did not acknowledge are sent again. Control
/// thread only, except for the counts.
class MqttPublisher final : public EventSubscriber {
 public:
  /// The most messages that wait for the broker, and the most that libmosquitto has at a time.
  static constexpr std::size_t kMostWaiting = 10'000;
  static constexpr int kMostUnderWay = 500;
  /// The most octets that wait for the broker.
  static constexpr std::size_t kMostOctets = 64 * 1024 * 1024;
  /// So many connections end in a row, within `kShortLife` and before the broker took anything. What was
  /// under way is dropped then, because one of these messages may be the reason.
  static constexpr int kMostShortLives = 3;
  static constexpr Duration kShortLife = std::chrono::seconds(5);

  /// Begins to connect. Throws std::runtime_error with a sentence if the settings cannot work (`fault_of`).
  explicit MqttPublisher(MqttSettings settings);
  /// Gives messages a second to leave.
  ~MqttPublisher() override;
  MqttPublisher(const MqttPublisher&) = delete;
  MqttPublisher& operator=(const MqttPublisher&) = delete;

  /// Publishes the event at `TOPIC/events/TYPE`.
  void on_event(const Event& event) override;
  /// True if new reports would be of use: the broker is there, and has got the last ones.
  [[nodiscard]] bool wants_reports() const { return is_connected_ && reports_waiting_ == 0; }
  /// Publishes a report, a JSON document, at `TOPIC`.
  void report(std::string document);
  /// Hands on messages that wait. To be called every 100 ms or so.
  void go_on();
  [[nodiscard]] bool is_connected() const { return is_connected_.load(); }
  [[nodiscard]] const MqttCounts& counts() const { return counts_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  /// The largest message, in octets.
  [[nodiscard]] std::size_t largest() const { return settings_.largest; }

 private:
  struct Message {
    std::string topic;
    std::string payload;
    bool is_report = false;
    [[nodiscard]] std::size_t octets() const { return topic.size() + payload.size() + sizeof(Message); }
  };
  void connect();
  void add(Message message);
  /// Takes the oldest message out of those that wait.
  void pop();
  void note_dropped(std::uint64_t messages);
  /// Logs that there has been no connection for some seconds.
  void tell_of_absence(Instant now);
  /// Drops what is under way, and begins anew.
  void start_over();
  /// Ends the client on a thread of its own. False if that takes longer than `most`.
  bool retire(Duration most);
  // On the thread of libmosquitto.
  void on_connect(int code);
  void on_disconnect(int code);
  void note_failure(std::string_view why);

  MqttSettings settings_;
  mosquitto* client_ = nullptr;
  std::deque<Message> waiting_;
  std::size_t waiting_octets_ = 0;
  std::size_t reports_waiting_ = 0;
  MqttCounts counts_;
  Tally drops_;
  std::atomic<bool> is_connected_{false};
  std::atomic<int> under_way_{0};
  /// Connections in a row that ended before the broker took anything.
  std::atomic<int> short_lives_{0};
  /// A client may still be ending on a thread of its own.
  bool has_left_client_ = false;
  /// There is no connection, and that was logged.
  std::atomic<bool> is_failing_{false};
  std::atomic<bool> is_failure_told_{false};
  /// When control first saw that there is none; unset while there is one.
  Instant away_since_{};
  /// Connects for the first time.
  std::thread begin_;
  // Of the thread of libmosquitto alone, from here on.
  /// That the broker takes events was logged once.
  bool was_told_ = false;
  Instant connected_at_{};
  Tally failures_;
};

}  // namespace ferry::events
