// SPDX-License-Identifier: Apache-2.0
// Brings closed recordings to their place: hashes, names, manifest, signature. Then has the work after the
// call done, and removes recordings that are too old or too many.
#pragma once

#include "recorder/after/after_call.hpp"
#include "recorder/finished.hpp"
#include "recorder/report.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace ferry {

/// A thread that finishes recordings, one after the other. `post`, `settle` and `totals` may be called on any
/// thread; only its own thread waits for the disk.
class Finisher {
 public:
  /// `settings` outlives it; `folder` is the recording directory. `run` starts hooks.
  Finisher(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, RecorderLog log,
           RunProgram run);
  /// Finishes everything that was posted.
  ~Finisher();
  Finisher(const Finisher&) = delete;
  Finisher& operator=(const Finisher&) = delete;

  /// Queues a recording.
  void post(FinishedRecording finished);
  /// The work after calls begins once everything posted so far is in its place. Call it once.
  void begin_work();
  /// Waits until everything posted so far is in its place.
  void settle_files();
  /// As `settle_files`, and waits until all work after calls is done or given up.
  void settle();
  /// Figures since the start, those of the work after calls included.
  [[nodiscard]] RecorderTotals totals() const;

 private:
  /// A recording that is in its place, for retention and quota.
  struct StoredRecording {
    /// The manifest is the last one.
    std::vector<std::string> files;
    std::uint64_t bytes = 0;
  };
  /// The thread's life.
  void work();
  void begin_work_if_due();
  /// Brings one recording to its place.
  void finish(FinishedRecording& finished);
  /// Deletes a recording that nobody wants.
  void discard(const FinishedRecording& finished);
  /// Logs a trouble; the first one also stands in the manifest.
  void note_trouble(FinishedRecording& finished, const std::string& what) const;
  /// The base that was wished for, or the usual one if no file can have that.
  [[nodiscard]] std::string usable_base(const FinishedRecording& finished) const;
  /// Notes in the spool where the files are going.
  void note_placing(FinishedRecording& finished);
  /// Hashes a file and moves it to its place.
  void place_file(FinishedRecording& finished, FinishedFile& file, StoredRecording& stored);
  /// Writes the signature of the manifest, if there is a key.
  void sign(FinishedRecording& finished, const std::string& text, StoredRecording& stored);
  /// Moves the manifest to its place. False: it could not.
  [[nodiscard]] bool place_manifest(FinishedRecording& finished, const std::string& text);
  /// The first name made of the base under which no file exists yet.
  [[nodiscard]] std::string free_base(const FinishedRecording& finished) const;
  /// Finds the recordings that are in their place already.
  void load_stored();
  /// Adds the recording of a manifest. Throws what the JSON library throws if it is no manifest.
  void load_one(const std::string& name);
  /// Removes what is too old or too much.
  void remove_surplus();
  void remove(std::multimap<std::int64_t, StoredRecording>::iterator which, std::string_view why);

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> folder_;
  RecorderLog log_;
  AfterCall after_;

  /// Guards everything down to `totals_`.
  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  std::deque<FinishedRecording> queue_;
  /// A recording was taken and is not in its place yet.
  bool is_busy_ = false;
  bool stop_ = false;
  /// How many were posted and taken since the start.
  std::size_t posted_ = 0;
  std::size_t taken_ = 0;
  /// The work after calls begins when so many were taken; unset: it has begun, or nobody asked yet.
  std::optional<std::size_t> begins_after_;
  RecorderTotals totals_;

  /// Recordings in their place, by their end in seconds since 1970. Only the thread uses it.
  std::multimap<std::int64_t, StoredRecording> stored_;
  std::uint64_t stored_bytes_ = 0;
  std::thread thread_;
};

}  // namespace ferry
