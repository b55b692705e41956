// SPDX-License-Identifier: Apache-2.0
// Recording of calls, as signalling asks for it (docs/reference/ng.md#recording).
#pragma once

#include "control/session/observer.hpp"
#include "control/session/services.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Starts, pauses and ends recordings for requests and events, and makes them follow the plans of their
/// calls. Without a recorder every command succeeds and nothing happens. Control thread only. Borrows.
class Recordings final : public CallObserver {
 public:
  explicit Recordings(const Services& services) : services_(services) {}

  void on_planned(Call& call) override { follow(call); }
  void on_dtmf(Call& call, Leg& leg, const DtmfEvent& event) override;
  void on_ending(Call& call, EndReason reason, const Clock& clock) override;
  void on_settled() override { finish_ended(); }

  // Commands. Each succeeds if the call exists.
  Result<void, RequestError> start(const Request& request);
  Result<void, RequestError> stop(const Request& request);
  Result<void, RequestError> pause(const Request& request);

  /// Reads whether the message asks for a recording, for its end, or for its party to be left out. To be
  /// called before the plans are made.
  void read_message(Call& call, Leg& sender, const Request& request);
  /// Notes the body of a message that was taken. Returns the paths of the files that packets of the call are
  /// recorded to; empty if there are none.
  std::vector<std::string> note_message(Call& call, const Leg& sender, std::string_view kind,
                                        const std::string& body);
  /// Records the call if it is not recorded yet. False without a recorder.
  bool record(Call& call, std::string_view asked_by) {
    const bool is_recorded = begin(call, nullptr, asked_by);
    if (is_recorded) follow(call);
    return is_recorded;
  }
  /// Records new ports, and tells the recorder whose they are. Called when the plans of the call changed.
  void follow(Call& call);
  /// Handles a digit that a party pressed, if digits of that party control the recording.
  void on_digit(Call& call, Leg& leg, char digit);
  /// Ends the recording. Its files are closed once the workers have let go of it.
  void end(Call& call, std::string_view reason);
  /// Does the same for a recording that no call has any more.
  void finish_later(std::unique_ptr<CallRecording> recording) { ended_.push_back(std::move(recording)); }
  /// True if recordings have ended whose files are not closed yet.
  [[nodiscard]] bool has_ended() const { return !ended_.empty(); }
  /// Closes the files of ended recordings. The workers must have let go of them, so call it after a fence.
  void finish_ended();
  /// Gives `call` the recording of `other`, which becomes part of it. If both have one, that of `other` ends.
  void merge(Call& call, Call& other);

 private:
  Result<Call*, RequestError> find_call(const Request& request);
  /// Starts a recording if there is none. False without a recorder.
  bool begin(Call& call, const Request* request, std::string_view asked_by);
  /// The parties and streams of the call, for the recorder.
  [[nodiscard]] RecordedCall describe(const Call& call) const;

  const Services& services_;
  std::vector<std::unique_ptr<CallRecording>> ended_;
};

}  // namespace ferry
