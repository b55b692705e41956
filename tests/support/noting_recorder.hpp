// SPDX-License-Identifier: Apache-2.0
// A recorder that writes down what it is told, and no file.
#pragma once

#include "relay/core/recording.hpp"

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ferry::test {

/// What one recording was told.
struct RecordingTold {
  RecordingOrder order;
  RecordedCall call;
  std::vector<std::string> bodies;
  std::string ended;
  bool is_paused = false;
  bool is_discarded = false;
  bool is_finished = false;
};

class NotedRecording final : public CallRecording {
 public:
  explicit NotedRecording(RecordingTold& told) : told_(told) {}
  PacketTap& tap() override { return tap_; }
  void describe(RecordedCall call) override { told_.call = std::move(call); }
  void note_sdp(unsigned number, std::string_view kind, std::string_view) override {
    told_.bodies.push_back(fmt::format("{} {}", number, kind));
  }
  void pause(bool on, std::string_view) override { told_.is_paused = on; }
  [[nodiscard]] bool is_paused() const override { return told_.is_paused; }
  void discard() override { told_.is_discarded = true; }
  void end(std::string_view reason) override { told_.ended = reason; }
  void finish() override { told_.is_finished = true; }
  [[nodiscard]] std::vector<std::string> packet_files() const override { return {"/rec/c.pcap"}; }
  [[nodiscard]] std::string status() const override { return "{}"; }

 private:
  struct Tap final : PacketTap {
    void on_packet(const TapPacket&) noexcept override {}
    void on_lost(TransportId, std::uint32_t) noexcept override {}
  };
  RecordingTold& told_;
  Tap tap_;
};

class NotingRecorder final : public CallRecorder {
 public:
  std::unique_ptr<CallRecording> start(const RecordingOrder& order) override {
    RecordingTold& made = told_.emplace_back();
    made.order = order;
    return std::make_unique<NotedRecording>(made);
  }
  [[nodiscard]] bool records_all() const override { return records_all_; }
  std::list<RecordingTold> told_;
  bool records_all_ = false;
};

}  // namespace ferry::test
