// What the HTTP listeners show besides the NG protocol: health, metrics, and the operator's reading commands.
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/http/metrics.hpp"
#include "control/protocol/ng/http_server.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry::http {

/// Reads only. Control thread only.
class Pages {
 public:
  Pages(cli::CliService& cli, const metrics::Metrics& metrics, SessionManager& manager)
      : cli_(cli), metrics_(metrics), manager_(manager) {}
  /// `target` is the request's path with its query, percent-encoded. Nothing if there is no such page.
  [[nodiscard]] std::optional<ng::HttpPage> get(std::string_view target) const;

 private:
  cli::CliService& cli_;
  const metrics::Metrics& metrics_;
  SessionManager& manager_;
};

}  // namespace ferry::http
