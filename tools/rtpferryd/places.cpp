// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/places.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry {

namespace {

namespace fs = std::filesystem;
using Use = Place::Use;

/// True for a folder that an earlier start made as root, such as /run/rtpferry.
bool is_left_by_root(const fs::path& folder) {
  struct stat info {};
  return folder.filename() == "rtpferry" && lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
         info.st_uid == 0;
}

/// True for an empty folder of root, such as a new volume of a container: it was made to be given away.
bool is_roots_and_empty(const fs::path& folder) {
  struct stat info {};
  std::error_code error;
  return lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == 0 &&
         fs::is_empty(folder, error) && !error;
}

void give(const fs::path& folder, uid_t user, gid_t group) {
  if (lchown(folder.c_str(), user, group) != 0)
    throw std::runtime_error(fmt::format("chown {}: {}", folder.string(), std::strerror(errno)));
}

/// Gives away what an earlier start left as root below `folder`.
void give_all(const fs::path& folder, uid_t user, gid_t group) {
  give(folder, user, group);
  std::error_code error;
  for (const auto& each : fs::recursive_directory_iterator(folder, error)) {
    struct stat info {};
    if (lstat(each.path().c_str(), &info) == 0 && info.st_uid == 0) give(each.path(), user, group);
  }
}

/// Makes a folder. Each folder on the way that has to be made belongs to the user.
void make_and_give(const fs::path& folder, mode_t mode, uid_t user, gid_t group) {
  std::error_code error;
  if (folder.empty() || fs::exists(folder, error)) return;
  make_and_give(folder.parent_path(), mode, user, group);
  if (mkdir(folder.c_str(), mode) == 0) give(folder, user, group);
}

}  // namespace

std::string Place::folder() const {
  if (use == Use::kRecordings || use == Use::kState || use == Use::kPrompts) return path;
  const std::string parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

std::vector<Place> places_of(const Config& config,
                             const std::vector<rtpproxy::ListenSpec>& rtpproxy_sockets) {
  std::vector<Place> places;
  const auto add = [&](std::string_view option, const std::string& path, Use use) {
    if (!path.empty() && path != "none") places.push_back({std::string(option), path, use});
  };
  add("control-socket", config.control_socket, Use::kSocket);
  for (const std::string& path : config.listen_unix_ng) add("listen-unix-ng", path, Use::kSocket);
  for (const rtpproxy::ListenSpec& spec : rtpproxy_sockets) add("listen-rtpp", spec.path, Use::kSocket);
  add("pidfile", config.pid_file, Use::kPidFile);
  add("config-file", config.config_file, Use::kReadAgain);
  if (!config.listen_https.empty()) {
    add("https-cert", config.https_cert, Use::kReadAgain);
    add("https-key", config.https_key, Use::kReadAgain);
    add("https-client-ca", config.https_client_ca, Use::kReadAgain);
  }
  for (const std::string& target : config.rtpproxy_notify) {
    if (constexpr std::string_view kUnix = "unix:"; target.starts_with(kUnix))
      add("rtpp-notify", target.substr(kUnix.size()), Use::kConnected);
  }
  for (const std::string& folder : config.rtpproxy_prompts) add("rtpp-prompts", folder, Use::kPrompts);
  for (const std::string& folder : config.media_files) add("media-files", folder, Use::kPrompts);
  add("media-numbers", config.media_numbers, Use::kPrompts);
  add("codec-plugins", config.codec_plugins, Use::kPrompts);
  if (config.telemetry.homer.transport == HomerTransport::kTls)
    add("homer-ca", config.telemetry.homer.ca_file, Use::kReadOften);
  const events::MqttSettings& mqtt = config.events.mqtt;
  if (!mqtt.host.empty()) {
    add("mqtt-cafile", mqtt.ca_file, Use::kReadOften);
    add("mqtt-capath", mqtt.ca_path, Use::kPrompts);
    add("mqtt-certfile", mqtt.certificate, Use::kReadOften);
    add("mqtt-keyfile", mqtt.key, Use::kReadOften);
  }
  const bool has_webhook = !config.events.webhook.urls.empty();
  if (has_webhook) add("state-dir", config.recorder.state_directory, Use::kState);
  if (config.recorder.directory.empty()) return places;
  add("recording-dir", config.recorder.directory, Use::kRecordings);
  add("recording-spool", config.recorder.spool, Use::kRecordings);
  for (Place& place : places) {
    if (place.use == Use::kRecordings) place.mode = config.recorder.directory_mode;
  }
  // Work that an earlier configuration left there is logged and set aside.
  std::error_code error;
  const fs::path state = config.recorder.state_directory;
  if (!has_webhook && (config.recorder.has_work() || fs::exists(state / "after-call", error)))
    add("state-dir", state, Use::kState);
  add("recording-encryption-key", config.recorder.encryption_key, Use::kReadOften);
  add("recording-signing-key", config.recorder.signing_key, Use::kReadOften);
  return places;
}

void give_folders(const std::vector<Place>& places, uid_t user, gid_t group) {
  for (const Place& place : places) {
    if (place.is_read_only() || place.use == Use::kPidFile || place.use == Use::kConnected) continue;
    // A slash at the end does not belong to the name.
    const fs::path folder = (fs::path(place.folder()) / ".").lexically_normal().parent_path();
    make_and_give(folder, place.mode, user, group);
    if (geteuid() != 0) continue;
    if (place.use == Use::kState && is_left_by_root(folder)) give_all(folder, user, group);
    if (is_left_by_root(folder) || (place.use == Use::kRecordings && is_roots_and_empty(folder)))
      give(folder, user, group);
  }
}

std::string what_is_lacking(const Place& place) {
  const bool is_file = place.is_read_only() || place.use == Use::kConnected;
  const std::string there = is_file ? place.path : place.folder();
  const int wanted = !is_file                       ? W_OK | X_OK
                     : place.use == Use::kConnected ? W_OK
                     : place.use == Use::kPrompts   ? R_OK | X_OK
                                                    : R_OK;
  if (faccessat(AT_FDCWD, there.c_str(), wanted, AT_EACCESS) == 0 || errno == ENOENT) return {};
  return fmt::format("{}: '{}' cannot be {}: {}", place.option, there,
                     place.is_read_only() ? "read" : "written", std::strerror(errno));
}

}  // namespace ferry
