// SPDX-License-Identifier: Apache-2.0
// The recorder of the daemon: names recordings, gives each one a tap and a writer, and hands finished ones
// on.
//
// A recording goes through four hands:
// 1. `RecordingTap` runs on a worker's thread and copies each packet into a queue. It never waits.
// 2. `RecordingHandle` is control's end. It turns what happens to the call into commands for the writer.
// 3. `Writer` is a thread. It makes files out of packets and commands (`RecordingJob`).
// 4. `Finisher` is another thread. It hashes, names and signs the closed files, and then starts the work
//    after the call.
//
// The end of a recording has two steps. `end` closes the tap: nothing that arrives later is kept. `finish`
// comes when the tap is detached from every worker, so that its counts are final; only then the writer may
// close the files.
//
// Names: a request, the operator's pattern and the Call-ID all come from outside. Whatever would leave the
// recording directory or touch the spool is refused, with a line in the log, and the next best name is taken
// (CTL-10). A recording is never lost for its name.
#include "recorder/recorder.hpp"

#include "recorder/after/finisher.hpp"
#include "recorder/after/leftovers.hpp"
#include "recorder/files/names.hpp"
#include "recorder/finished.hpp"
#include "recorder/writer.hpp"
#include "relay/base/random.hpp"

#include <array>
#include <atomic>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

namespace {

/// The worker's side of one recording: counters and a copy, nothing that waits.
class RecordingTap final : public PacketTap {
 public:
  RecordingTap(std::uint64_t recording, Writer& writer, const RecorderSettings& settings, RecordingForm form)
      : recording_(recording),
        writer_(writer),
        rtcp_(settings.rtcp),
        egress_(settings.egress && form == RecordingForm::kCall) {}

  void on_packet(const TapPacket& packet) noexcept override {
    // A pause holds from the moment it is asked for: nothing of it reaches a queue (REC-3).
    if (paused.load(std::memory_order_relaxed) || closed.load(std::memory_order_relaxed)) return;
    if (packet.is_rtcp && !rtcp_) return;
    const QueuedPacket queued{.recording = recording_,
                              .transport = packet.transport,
                              .media = packet.media,
                              .from = packet.from,
                              .to = packet.to,
                              .at = packet.received_at,
                              .size = static_cast<std::uint32_t>(packet.size),
                              .is_rtcp = packet.is_rtcp,
                              .port = packet.port};
    // The worker may have come with a number that no queue was made for.
    if (packet.worker >= writer_.queues() || !writer_.queue(packet.worker).push(queued, packet.datagram))
      lost.fetch_add(1, std::memory_order_relaxed);
  }
  void on_lost(TransportId, std::uint32_t packets) noexcept override {
    kernel_lost.fetch_add(packets, std::memory_order_relaxed);
  }
  [[nodiscard]] bool wants_egress() const noexcept override { return egress_; }

  // Control sets the first two, the worker counts the last two.
  std::atomic<bool> paused{false};
  std::atomic<bool> closed{false};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> kernel_lost{0};

 private:
  std::uint64_t recording_;
  Writer& writer_;
  bool rtcp_;
  bool egress_;
};

class RecorderImpl;

// Control's side of one recording.
class RecordingHandle final : public CallRecording {
 public:
  RecordingHandle(RecorderImpl& recorder, Writer& writer, std::uint64_t number, RecordingPlan plan);
  ~RecordingHandle() override;
  PacketTap& tap() override { return tap_; }
  void describe(RecordedCall call) override;
  void note_sdp(unsigned number, std::string_view kind, std::string_view body) override;
  void pause(bool on, std::string_view asked_by) override;
  [[nodiscard]] bool is_paused() const override { return tap_.paused; }
  void discard() override { discards_ = true; }
  void end(std::string_view reason) override;
  void finish() override;
  [[nodiscard]] std::vector<std::string> packet_files() const override;
  [[nodiscard]] std::string status() const override {
    const nlohmann::json status = {{"id", plan_.id},
                                   {"base", base_path_},
                                   {"state", is_paused() ? "paused" : "recording"},
                                   {"packets_lost", tap_.lost.load()},
                                   {"kernel_copies_lost", tap_.kernel_lost.load()}};
    return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }

 private:
  RecorderImpl& recorder_;
  Writer& writer_;
  std::uint64_t number_;
  RecordingPlan plan_;
  std::string base_path_;
  RecordingTap tap_;
  RecordedCall described_;
  bool discards_ = false;
  std::string reason_;
  RecordingTime end_;
  bool is_over_ = false;
  bool is_finished_ = false;
};

// The order of the members matters: writers use the finisher, so they end first.
class RecorderImpl final : public Recorder {
 public:
  RecorderImpl(RecorderSettings settings, std::shared_ptr<const Folder> folder,
               std::shared_ptr<const Folder> spool, const FileRights& rights, unsigned workers, Log log,
               Clock clock, RunProgram run)
      : settings_(std::move(settings)),
        folder_(std::move(folder)),
        run_folder_(claim_spool(spool, rights)),
        log_(std::move(log)),
        clock_(std::move(clock)),
        finisher_(settings_, folder_, log_, std::move(run)) {
    // Recordings of an earlier process are finished before new ones start, so that they keep their names.
    finish_leftovers(spool, run_folder_.name, rights, [this](FinishedRecording finished) {
      const std::string_view what = finished.is_placing ? "was not in its place yet: it is brought there"
                                                        : "was interrupted: what there is of it is kept";
      log_(RecorderLogLevel::kWarning, fmt::format("{} {}", finished.title(), what));
      finisher_.post(std::move(finished));
    });
    finisher_.begin_work();
    // The bound is for all queues together: one for each pair of a worker and a writer.
    const std::size_t share = settings_.queue_bytes / (std::size_t{workers} * settings_.writers);
    for (unsigned i = 0; i < settings_.writers; ++i) {
      writers_.push_back(std::make_unique<Writer>(
          settings_, run_folder_.folder, workers, share,
          [this](FinishedRecording finished) { finisher_.post(std::move(finished)); },
          [this](const std::string& line) { log_(RecorderLogLevel::kWarning, line); }, clock_));
    }
  }
  ~RecorderImpl() override {
    // Writers end what is still being recorded, then the files are brought to their place. Work after the
    // call (hooks, uploads) is left to the next process, which finds its entries.
    writers_.clear();
    finisher_.settle_files();
    release_spool(run_folder_);
  }
  RecorderImpl(const RecorderImpl&) = delete;
  RecorderImpl& operator=(const RecorderImpl&) = delete;

  std::unique_ptr<CallRecording> start(const RecordingOrder& order) override {
    const RecordingTime at = clock_();
    RecordingPlan plan;
    plan.id = random_hex(16);
    plan.call_id = order.call_id;
    plan.form = order.form;
    // Only recordings of calls follow the operator's pattern; rtpproxy's clients expect its names.
    plan.base = order.form == RecordingForm::kCall ? base_of(order, plan.id, at) : rtpproxy_base(order);
    if (order.form == RecordingForm::kPcapSingle && !order.file.empty())
      plan.ending = order.file.ends_with(".pcap") ? ".pcap" : "";
    plan.start = at;
    // Recordings are spread over the writers in turn; one recording has one writer for its life.
    Writer& writer = *writers_[started_ % writers_.size()];
    ++started_;
    log_(RecorderLogLevel::kInfo,
         fmt::format("call {}: recording {} started by {}, to {}", in_quotes(order.call_id), plan.id,
                     order.asked_by, in_quotes(folder_->path_of(plan.base))));
    return std::make_unique<RecordingHandle>(*this, writer, started_, std::move(plan));
  }
  [[nodiscard]] bool records_all() const override { return settings_.all_calls; }

  [[nodiscard]] RecorderTotals totals() const override {
    RecorderTotals totals = finisher_.totals();
    totals.started = started_;
    totals.packets_lost = lost_;
    for (const auto& writer : writers_) {
      totals.active += writer->recordings();
      for (unsigned i = 0; i < writer->queues(); ++i) {
        totals.queue_peak_bytes = std::max<std::uint64_t>(totals.queue_peak_bytes, writer->queue(i).peak());
        totals.queue_bytes = writer->queue(i).capacity();
      }
      if (const std::string trouble = writer->trouble(); !trouble.empty()) totals.trouble = trouble;
    }
    return totals;
  }
  // Writers first: they hand their recordings to the finisher.
  void settle() override {
    for (const auto& writer : writers_) writer->settle();
    finisher_.settle();
  }

  [[nodiscard]] const RecorderSettings& settings() const { return settings_; }
  [[nodiscard]] const Folder& folder() const { return *folder_; }
  void count_lost(std::uint64_t packets) { lost_ += packets; }
  [[nodiscard]] RecordingTime now() const { return clock_(); }
  void log(const std::string& line) const { log_(RecorderLogLevel::kInfo, line); }

 private:
  /// Names as rtpproxy gives them: `CALL-ID=TAG` and what tells directions apart, or the name that the
  /// request asked for.
  static std::string rtpproxy_base(const RecordingOrder& order) {
    constexpr std::size_t kLongest = 90;  // of each part: the whole stays below 200 octets
    if (order.file.empty())
      return safe_name(order.call_id, kLongest) + "=" + safe_name(order.tag, kLongest) + order.suffix;
    std::string_view name = order.file;
    if (order.form == RecordingForm::kPcapSingle && name.ends_with(".pcap")) name.remove_suffix(5);
    return safe_name(name);
  }

  /// A path of a request without the recording directory in front of it.
  std::string_view below(std::string_view path) const {
    const std::string inside = folder_->path() + "/";
    if (path.starts_with(inside)) path.remove_prefix(inside.size());
    return path;
  }

  /// Why a recording cannot be at that path below the directory; empty if it can.
  std::string fault_of_target(std::string_view path) const {
    if (!settings_.spool.empty()) {
      const std::string_view spool = below(settings_.spool);
      if (path.starts_with(spool) && (path.size() == spool.size() || path[spool.size()] == '/'))
        return "is in the spool";
    }
    return fault_of_recording_path(path);
  }

  /// The path that a request asks for, without its ending. Nothing if it asks for none, or for one that
  /// cannot be.
  std::optional<std::string> wished_base(const RecordingOrder& order) const {
    if (order.file.empty()) return std::nullopt;
    std::string_view path = below(order.file);
    // The ending follows from what is in the file, not from the request.
    const auto dot = path.rfind('.');
    if (dot != std::string_view::npos && dot > path.rfind('/') + 1 && path.size() - dot <= 5)
      path = path.substr(0, dot);
    const std::string fault = fault_of_target(path);
    if (fault.empty()) return std::string(path);
    log_(RecorderLogLevel::kWarning, fmt::format("call {}: recording path {} {}: the usual name is used",
                                                 in_quotes(order.call_id), in_quotes(order.file), fault));
    return std::nullopt;
  }

  /// The folder that a request asks for, with a slash behind it; empty: the recording directory itself.
  std::string wished_directory(const RecordingOrder& order) const {
    if (order.directory.empty()) return {};
    std::string_view directory = below(order.directory);
    while (directory.ends_with('/')) directory.remove_suffix(1);
    if (directory == folder_->path()) return {};
    const std::string fault = fault_of_target(directory);
    if (fault.empty()) return std::string(directory) + "/";
    log_(RecorderLogLevel::kWarning,
         fmt::format("call {}: recording directory {} {}: the usual one is used", in_quotes(order.call_id),
                     in_quotes(order.directory), fault));
    return {};
  }

  /// Chooses where the files go, below the recording directory: where the request wants them, else by its
  /// pattern, else by the operator's pattern. The last resort is Call-ID and id.
  std::string base_of(const RecordingOrder& order, const std::string& id, const RecordingTime& at) const {
    if (auto wished = wished_base(order)) return std::move(*wished);
    const NameParts parts{order.call_id, {}, id, at.wall};
    const auto filled = [&](std::string_view pattern) {
      std::string base = fill_pattern(pattern, parts);
      // The id makes the name unique, whatever the pattern.
      if (base.find(id) == std::string::npos) base += "-" + id;
      return base;
    };
    std::string base = filled(order.pattern.empty() ? settings_.pattern : order.pattern);
    if (const std::string fault = fault_of_target(base); !fault.empty()) {
      log_(RecorderLogLevel::kWarning,
           fmt::format("call {}: the name {} by the recording pattern {}: {} is used",
                       in_quotes(order.call_id), in_quotes(base), fault,
                       order.pattern.empty() ? "a plain one" : "the usual one"));
      base = order.pattern.empty() ? filled("%c-%r") : filled(settings_.pattern);
      if (!fault_of_target(base).empty()) base = filled("%c-%r");
    }
    return wished_directory(order) + base;
  }

  RecorderSettings settings_;
  std::shared_ptr<const Folder> folder_;
  ClaimedSpool run_folder_;
  Log log_;
  Clock clock_;
  Finisher finisher_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::uint64_t started_ = 0;
  std::uint64_t lost_ = 0;
};

RecordingHandle::RecordingHandle(RecorderImpl& recorder, Writer& writer, std::uint64_t number,
                                 RecordingPlan plan)
    : recorder_(recorder),
      writer_(writer),
      number_(number),
      plan_(plan),
      base_path_(recorder.folder().path_of(plan.base)),
      tap_(number, writer, recorder.settings(), plan_.form) {
  writer_.post({number_, plan.start, WriterCommand::Start{std::move(plan)}});
}

RecordingHandle::~RecordingHandle() {
  // The call went without ending its recording. What was recorded is kept.
  if (is_finished_) return;
  end("the call is gone");
  finish();
}

void RecordingHandle::describe(RecordedCall call) {
  // Told after each message of the call; most change nothing that a recorder cares about.
  if (call == described_) return;
  described_ = call;
  writer_.post({number_, recorder_.now(), WriterCommand::Describe{std::move(call)}});
}

void RecordingHandle::note_sdp(unsigned number, std::string_view kind, std::string_view body) {
  writer_.post({number_, recorder_.now(), WriterCommand::Body{number, std::string(kind), std::string(body)}});
}

void RecordingHandle::pause(bool on, std::string_view asked_by) {
  // The tap stops first, then the writer is told: nothing of the pause reaches a queue (REC-3).
  if (tap_.paused.exchange(on) == on) return;
  writer_.post({number_, recorder_.now(), WriterCommand::Pause{on}});
  recorder_.log(fmt::format("call {}: recording {} {} by {}", in_quotes(plan_.call_id), plan_.id,
                            on ? "paused" : "resumed", asked_by));
}

void RecordingHandle::end(std::string_view reason) {
  if (is_over_) return;
  is_over_ = true;
  tap_.closed = true;
  end_ = recorder_.now();
  reason_ = reason;
  recorder_.log(fmt::format("call {}: recording {} ended: {}", in_quotes(plan_.call_id), plan_.id, reason));
}

void RecordingHandle::finish() {
  // The tap is attached nowhere any more, so its counts are final.
  is_finished_ = true;
  recorder_.count_lost(tap_.lost);
  writer_.post({number_, end_,
                WriterCommand::Finish{reason_, {tap_.lost.load(), tap_.kernel_lost.load()}, discards_}});
}

std::vector<std::string> RecordingHandle::packet_files() const {
  const RecorderSettings& settings = recorder_.settings();
  if (!settings.packets) return {};
  if (!settings.packets_by_party) return {base_path_ + ".pcap"};
  std::vector<std::string> files;
  for (const RecordedParty& party : described_.parties) {
    // Files of parties that have not spoken yet are named too: they will be there.
    if (!party.excluded) files.push_back(fmt::format("{}-{}.pcap", base_path_, party.number));
  }
  return files;
}

}  // namespace

RecordingTime Recorder::system_time() {
  return {std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()),
          std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
}

Result<std::unique_ptr<Recorder>, std::string> Recorder::make(const RecorderSettings& settings,
                                                              unsigned workers, Log log, Clock clock,
                                                              RunProgram run) {
  // The spool lies below the recording directory by default, so that finished files need only be renamed.
  const FileRights rights{settings.file_mode, settings.directory_mode, settings.owner, settings.group};
  auto folder = Folder::open(settings.directory, rights);
  if (!folder) return fail(folder.error());
  auto spool = Folder::open(settings.spool.empty() ? settings.directory + "/.spool" : settings.spool, rights);
  if (!spool) return fail(spool.error());
  try {
    return std::make_unique<RecorderImpl>(settings, *folder, *spool, rights, workers, std::move(log),
                                          std::move(clock), std::move(run));
  } catch (const std::exception& e) {
    return fail(std::string(e.what()));
  }
}

}  // namespace ferry
