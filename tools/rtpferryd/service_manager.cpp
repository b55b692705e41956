// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/service_manager.hpp"

#include <chrono>
#include <string>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace ferry {

namespace {

// The variable stays in the environment, because more is told later. Programs that the launcher starts are
// not believed (NotifyAccess=main).
void tell(const std::string& state) { sd_notify(0, state.c_str()); }

}  // namespace

void ServiceManager::serving() const { tell("READY=1\nSTATUS=takes calls"); }

void ServiceManager::reloading(Instant now) const {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch());
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reads its configuration again", since.count()));
}

void ServiceManager::draining(std::size_t calls) const {
  tell(fmt::format("READY=1\nSTATUS=takes no new calls; {} went on when draining began", calls));
}

void ServiceManager::stopping(std::size_t calls) const {
  tell(fmt::format("STOPPING=1\nSTATUS=stops with {} calls", calls));
}

}  // namespace ferry
