// Recording of calls as signalling asks for it (NG reference, sections 9.8, 10 and 16).
#pragma once

#include "control/session/manager.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace ferry {

/// One request's, or one event's, hand on recordings. Without a recorder every command is fine and nothing
/// happens.
class Recordings {
 public:
  explicit Recordings(SessionManager& manager) : manager_(manager) {}

  // Commands.
  Result<Dict, RequestError> start(const Request& request);
  Result<Dict, RequestError> stop(const Request& request);
  Result<Dict, RequestError> pause(const Request& request);

  /// Whether the message asks for a recording, for its end or for its party to be left out. Before the plans
  /// are made.
  void read_message(Call& call, Leg& sender, const Request& request);
  /// A message was taken: its body is noted, and the reply shows where packets are written.
  void note_message(Call& call, const Leg& sender, std::string_view kind, const std::string& body,
                    Dict& reply);
  /// Records the call, if it is not recorded yet. False without a recorder.
  bool record(Call& call, std::string_view asked_by) {
    const bool is_recorded = begin(call, nullptr, asked_by);
    if (is_recorded) follow(call);
    return is_recorded;
  }
  /// The plans of the call changed: new ports are recorded, and the recorder knows whose they are.
  void follow(Call& call);
  /// A party pressed a key: digits that control the recording.
  void on_digit(Call& call, Leg& leg, char digit);
  /// The recording is over; its files are closed once the workers let go of it.
  void end(Call& call, std::string_view reason);
  /// `other` becomes part of `call`, which has one recording.
  void merge(Call& call, Call& other);

 private:
  Result<Call*, RequestError> find_call(const Request& request);
  /// Starts it if there is none. False: there is no recorder.
  bool begin(Call& call, const Request* request, std::string_view asked_by);
  void detach(Call& call);
  [[nodiscard]] RecordedCall describe(const Call& call) const;

  SessionManager& manager_;
};

}  // namespace ferry
