#include "recorder/after/after_call.hpp"

#include "recorder/after/digest.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ferry {

namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t kMaxTasks = 100'000;
constexpr auto kHookPoll = 50ms;
constexpr auto kHookGrace = 5s;
/// How long the end of the daemon waits for what is left to do.
constexpr auto kStopTime = 5s;
constexpr long kConnectSeconds = 10;
constexpr long kTransferSeconds = 300;
constexpr uid_t kNobody = 65534;

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct CloseFile {
  void operator()(FILE* file) const { fclose(file); }
};
using Curl = std::unique_ptr<CURL, FreeCurl>;
using Headers = std::unique_ptr<curl_slist, FreeList>;

/// Certificates are checked (the default), redirects are not followed, nothing waits for ever (CTL-9).
Curl make_request(const std::string& url, const Headers& headers, curl_xferinfo_callback must_end,
                  const void* whose) {
  Curl handle(curl_easy_init());
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, kTransferSeconds);
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFOFUNCTION, must_end);
  curl_easy_setopt(handle.get(), CURLOPT_XFERINFODATA, whose);
  curl_easy_setopt(
      handle.get(), CURLOPT_WRITEFUNCTION,
      +[](char*, std::size_t size, std::size_t count, void*) { return size * count; });
  return handle;
}

/// Empty if the server took it.
std::string perform(CURL* handle) {
  const CURLcode code = curl_easy_perform(handle);
  if (code != CURLE_OK) return curl_easy_strerror(code);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 300 ? std::string() : fmt::format("HTTP status {}", status);
}

void add(Headers& headers, const std::string& line) {
  headers.reset(curl_slist_append(headers.release(), line.c_str()));
}

/// RFC 3986: everything but unreserved characters and the slashes between parts.
std::string escape_path(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    text += plain ? std::string(1, c)
                  : fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return text;
}

}  // namespace

AfterCall::AfterCall(const RecorderSettings& settings, std::shared_ptr<const Folder> folder,
                     Recorder::Log log)
    : settings_(settings), folder_(std::move(folder)), log_(std::move(log)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "rec-after");
}

AfterCall::~AfterCall() {
  {
    const std::lock_guard guard(lock_);
    stop_ = true;
    stop_at_ = steady_clock::now() + kStopTime;
  }
  wake_.notify_one();
  thread_.join();
  if (!tasks_.empty())
    log_(RecorderLogLevel::kWarning,
         fmt::format("{} hooks, notifications and uploads were left undone", tasks_.size()));
  curl_global_cleanup();
}

void AfterCall::post(StoredRecording recording) {
  const auto shared = std::make_shared<const StoredRecording>(std::move(recording));
  const std::lock_guard guard(lock_);
  const auto add_task = [&](Task::Kind kind) {
    if (tasks_.size() < kMaxTasks) tasks_.push_back({kind, shared, 0, 0, steady_clock::now()});
  };
  if (!settings_.hook.empty()) add_task(Task::Kind::kHook);
  if (!settings_.upload.endpoint.empty()) add_task(Task::Kind::kUpload);
  if (!settings_.notify_url.empty()) add_task(Task::Kind::kNotify);
  wake_.notify_one();
}

void AfterCall::settle() {
  std::unique_lock guard(lock_);
  settled_.wait(guard, [this] { return tasks_.empty() && !is_busy_; });
}

void AfterCall::add_totals(RecorderTotals& totals) const {
  const std::lock_guard guard(lock_);
  totals.hooks_run += totals_.hooks_run;
  totals.hooks_failed += totals_.hooks_failed;
  totals.notifications_failed += totals_.notifications_failed;
  totals.uploads_failed += totals_.uploads_failed;
}

void AfterCall::run() {
  while (true) {
    Task task;
    bool has_one = false;
    {
      std::unique_lock guard(lock_);
      is_busy_ = !hooks_.empty();
      if (!is_busy_) settled_.notify_all();
      const auto now = steady_clock::now();
      const bool is_late = stop_ && now >= stop_at_;
      if (is_late && hooks_.empty()) return;
      if (is_late) {
        for (Hook& hook : hooks_) hook.until = std::min(hook.until, stop_at_);
      }
      const bool may_hook = hooks_.size() < settings_.hook_limit;
      const auto due = std::ranges::find_if(tasks_, [&](const Task& each) {
        return (each.due <= now || stop_) && !(stop_ && each.tries > 0) &&
               (each.kind != Task::Kind::kHook || may_hook);
      });
      if (due != tasks_.end() && !is_late) {
        task = std::move(*due);
        tasks_.erase(due);
        has_one = is_busy_ = true;
      } else if (stop_ && hooks_.empty()) {
        return;
      } else if (!hooks_.empty()) {
        wake_.wait_for(guard, kHookPoll);
      } else if (tasks_.empty()) {
        wake_.wait(guard);
      } else {
        wake_.wait_until(guard, std::ranges::min_element(tasks_, {}, &Task::due)->due);
      }
    }
    look_after_hooks();
    if (has_one && !attempt(task)) {
      const std::lock_guard guard(lock_);
      tasks_.push_back(std::move(task));
    }
  }
}

void AfterCall::look_after_hooks() {
  const auto now = steady_clock::now();
  std::erase_if(hooks_, [&](Hook& hook) {
    int status = 0;
    if (waitpid(hook.process, &status, WNOHANG) == hook.process) {
      const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (!good)
        log_(RecorderLogLevel::kWarning,
             fmt::format("{}: the hook ended with {}", hook.title,
                         WIFEXITED(status) ? fmt::format("status {}", WEXITSTATUS(status))
                                           : fmt::format("signal {}", WTERMSIG(status))));
      const std::lock_guard guard(lock_);
      totals_.hooks_failed += good ? 0 : 1;
      return true;
    }
    if (now >= hook.until) {
      // Its whole group: what it started ends with it.
      kill(-hook.process, hook.was_told ? SIGKILL : SIGTERM);
      hook.was_told = true;
      hook.until = now + kHookGrace;
    }
    return false;
  });
}

bool AfterCall::start_hook(const Task& task) {
  const std::string path = folder_->path_of(task.recording->manifest_name);
  // What the daemon may do beyond an ordinary user is not handed on.
  std::vector<std::string> words = {"setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all"};
  if (geteuid() == 0) {
    const uid_t user = settings_.owner.value_or(kNobody);
    words.push_back(fmt::format("--reuid={}", user));
    words.push_back(fmt::format("--regid={}", settings_.group.value_or(user)));
    words.emplace_back("--clear-groups");
  }
  words.insert(words.end(), {"--", settings_.hook, path});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  std::array<char*, 2> environment = {search.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  pid_t process = 0;
  const int wrong =
      posix_spawnp(&process, "setpriv", &files, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (wrong != 0) {
    give_up(task, fmt::format("cannot run the hook: {}", strerror(wrong)));
    return true;
  }
  hooks_.push_back({process, task.recording->title, steady_clock::now() + settings_.hook_timeout, false});
  const std::lock_guard guard(lock_);
  ++totals_.hooks_run;
  return true;
}

int AfterCall::must_end(void* whose, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& self = *static_cast<const AfterCall*>(whose);
  const std::lock_guard guard(self.lock_);
  return self.stop_ && steady_clock::now() >= self.stop_at_ ? 1 : 0;
}

std::string AfterCall::notify(const Task& task) const {
  Headers headers;
  add(headers, "Content-Type: application/json");
  add(headers, "Expect:");
  const Curl handle = make_request(settings_.notify_url, headers, &must_end, this);
  curl_easy_setopt(handle.get(), CURLOPT_POST, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(task.recording->manifest.size()));
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, task.recording->manifest.data());
  return perform(handle.get());
}

std::string AfterCall::upload_all(Task& task) const {
  const auto& files = task.recording->files;
  for (; task.next_file < files.size(); ++task.next_file) {
    if (std::string wrong = upload(files[task.next_file]); !wrong.empty()) return wrong;
  }
  if (!settings_.upload.keeps_files) {
    for (const std::string& each : files) folder_->remove(each);
  }
  return {};
}

std::string AfterCall::upload(const std::string& name) const {
  const UploadSettings& to = settings_.upload;
  const auto file = folder_->open_file(name);
  if (!file) return fmt::format("cannot read {}: {}", folder_->path_of(name), strerror(file.error()));
  const auto digest = digest_file(file->get(), {});
  if (!digest) return strerror(digest.error());
  Headers headers;
  // The signature covers what is stored (AWS Signature Version 4).
  add(headers, "x-amz-content-sha256: " + digest->sha256);
  add(headers, "Expect:");
  const std::string key = to.prefix + name;
  const Curl handle =
      make_request(fmt::format("{}/{}/{}", to.endpoint, escape_path(to.bucket), escape_path(key)), headers,
                   &must_end, this);
  const std::unique_ptr<FILE, CloseFile> stream(fdopen(dup(file->get()), "r"));
  rewind(stream.get());
  curl_easy_setopt(handle.get(), CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_READDATA, stream.get());
  curl_easy_setopt(
      handle.get(), CURLOPT_READFUNCTION, +[](char* into, std::size_t size, std::size_t count, void* from) {
        return fread(into, size, count, static_cast<FILE*>(from));
      });
  curl_easy_setopt(handle.get(), CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(digest->size));
  curl_easy_setopt(handle.get(), CURLOPT_AWS_SIGV4, fmt::format("aws:amz:{}:s3", to.region).c_str());
  curl_easy_setopt(handle.get(), CURLOPT_USERPWD, fmt::format("{}:{}", to.access_key, to.secret_key).c_str());
  return perform(handle.get());
}

void AfterCall::give_up(const Task& task, const std::string& why) {
  static constexpr std::array<std::string_view, 3> kNames = {"hook", "notification", "upload"};
  log_(RecorderLogLevel::kWarning, fmt::format("{}: {} given up: {}", task.recording->title,
                                               kNames[static_cast<std::size_t>(task.kind)], why));
  const std::lock_guard guard(lock_);
  if (task.kind == Task::Kind::kHook) ++totals_.hooks_failed;
  if (task.kind == Task::Kind::kNotify) ++totals_.notifications_failed;
  if (task.kind == Task::Kind::kUpload) ++totals_.uploads_failed;
}

bool AfterCall::attempt(Task& task) {
  if (task.kind == Task::Kind::kHook) return start_hook(task);
  const std::string wrong = task.kind == Task::Kind::kNotify ? notify(task) : upload_all(task);
  if (wrong.empty()) return true;
  ++task.tries;
  if (task.tries >= settings_.notify_tries) {
    give_up(task, wrong);
    return true;
  }
  task.due = steady_clock::now() + std::chrono::seconds(1u << std::min(task.tries - 1, 8u));
  return false;
}

}  // namespace ferry
