// Brings closed recordings to their place: hashes, names, manifest, signature; then tells whoever is to know,
// and removes what is too old or too much.
#pragma once

#include "recorder/after/after_call.hpp"
#include "recorder/finished.hpp"
#include "recorder/recorder.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace ferry {

/// `post`, `settle` and `totals` on any thread; the disk is waited for on its own.
class Finisher {
 public:
  /// `settings` outlives it.
  Finisher(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, Recorder::Log log,
           RunProgram run);
  ~Finisher();
  Finisher(const Finisher&) = delete;
  Finisher& operator=(const Finisher&) = delete;

  void post(FinishedRecording finished);
  /// Work after calls begins once everything posted so far is in its place. Once.
  void begin_work();
  /// Waits until everything posted so far is in its place.
  void settle_files();
  /// And until who wanted to know of it was told or given up.
  void settle();
  [[nodiscard]] RecorderTotals totals() const;

 private:
  /// A recording that is in its place, for retention.
  struct Kept {
    std::vector<std::string> files;  // the manifest last
    std::uint64_t bytes = 0;
  };
  void work();
  void begin_work_if_due();
  void finish(FinishedRecording& finished);
  void discard(const FinishedRecording& finished);
  void note_trouble(FinishedRecording& finished, const std::string& what) const;
  [[nodiscard]] std::string usable_base(const FinishedRecording& finished) const;
  void note_placing(FinishedRecording& finished);
  void place_file(FinishedRecording& finished, FinishedFile& file, Kept& kept);
  void sign(FinishedRecording& finished, const std::string& text, Kept& kept);
  [[nodiscard]] bool place_manifest(FinishedRecording& finished, const std::string& text);
  /// The first common name under which no file exists yet.
  [[nodiscard]] std::string free_base(const FinishedRecording& finished) const;
  void load_kept();
  /// Throws what the JSON library throws if it is no manifest.
  void load_one(const std::string& name);
  void remove_surplus();
  void remove(std::multimap<std::int64_t, Kept>::iterator which, std::string_view why);

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> folder_;
  Recorder::Log log_;
  AfterCall after_;

  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  std::deque<FinishedRecording> queue_;
  bool is_busy_ = false;
  bool stop_ = false;
  std::size_t posted_ = 0;
  std::size_t taken_ = 0;
  std::optional<std::size_t> begins_after_;  // when so many were taken
  RecorderTotals totals_;

  std::multimap<std::int64_t, Kept> kept_;  // by end, unix seconds
  std::uint64_t kept_bytes_ = 0;
  std::thread thread_;
};

}  // namespace ferry
