// What happens with a recording once it is in its place: a program is run, a server is told, files are stored
// elsewhere. Nothing of it can hold a call or another recording up.
#pragma once

#include "recorder/files/folder.hpp"
#include "recorder/recorder.hpp"
#include "recorder/settings.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <curl/curl.h>
#include <sys/types.h>

namespace ferry {

/// A finished recording; names are below the recording directory.
struct StoredRecording {
  /// What log lines call it.
  std::string title;
  std::string manifest_name;
  std::vector<std::string> files;
  std::string manifest;  // its text
};

class AfterCall {
 public:
  /// `settings` outlives it.
  AfterCall(const RecorderSettings& settings, std::shared_ptr<const Folder> folder, Recorder::Log log);
  ~AfterCall();
  AfterCall(const AfterCall&) = delete;
  AfterCall& operator=(const AfterCall&) = delete;

  /// Any thread.
  void post(StoredRecording recording);
  /// Waits until everything is done or given up.
  void settle();
  void add_totals(RecorderTotals& totals) const;

 private:
  struct Task {
    enum class Kind : std::uint8_t { kHook, kNotify, kUpload };
    Kind kind = Kind::kHook;
    std::shared_ptr<const StoredRecording> recording;
    std::size_t next_file = 0;  // kUpload: those before it are stored
    unsigned tries = 0;
    std::chrono::steady_clock::time_point due;
  };
  struct Hook {
    pid_t process = 0;
    std::string title;  // of its recording
    std::chrono::steady_clock::time_point until;
    bool was_told = false;  // to end
  };
  void run();
  void look_after_hooks();
  [[nodiscard]] bool start_hook(const Task& task);
  /// True if it is done with, well or not.
  [[nodiscard]] bool attempt(Task& task);
  // Empty if the server took it.
  [[nodiscard]] std::string notify(const Task& task) const;
  [[nodiscard]] std::string upload(const std::string& name) const;
  [[nodiscard]] std::string upload_all(Task& task) const;
  /// Asked by libcurl while it transfers: true ends that.
  static int must_end(void* whose, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
  void give_up(const Task& task, const std::string& why);

  const RecorderSettings& settings_;
  std::shared_ptr<const Folder> folder_;
  Recorder::Log log_;
  mutable std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable settled_;
  std::deque<Task> tasks_;
  std::vector<Hook> hooks_;  // the thread's own
  bool is_busy_ = false;
  bool stop_ = false;
  std::chrono::steady_clock::time_point stop_at_;
  RecorderTotals totals_;
  std::thread thread_;
};

}  // namespace ferry
