// SPDX-License-Identifier: Apache-2.0
// The names that rtpengine gives its metrics, for dashboards and alerts that were made for it.
#pragma once

#include "control/protocol/ng/service.hpp"
#include "control/protocol/pages/metric_kind.hpp"
#include "control/value/value.hpp"

#include <span>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>

namespace ferry::metrics {

/// One series of rtpengine's, or several that differ by a label. Rows of one family stand together.
struct RtpengineRow {
  /// Name of the family with its prefix.
  std::string_view name;
  Kind kind = Kind::kCounter;
  /// `label=value` with commas between them; the value `*` is the name of the element that the figure is of.
  std::string_view labels;
  /// Where the figure is in the dictionary of `rtpengine_figures`: keys with `/` between them, `*` for each
  /// element of a list.
  std::string_view figure;
  std::string_view meaning;
};
/// All series, in the order of the page.
std::span<const RtpengineRow> rtpengine_rows();

/// Returns what the rows are read from: the dictionary of `statistics`, with `commands` (a list of name,
/// count and seconds) and `errors` of the NG service. No client is named in the part that the rows read
/// (CTL-8).
[[nodiscard]] Dict rtpengine_figures(const ng::NgService& ng);
/// Returns the families by the table. A row whose figure is not there is left out. Pure.
[[nodiscard]] std::vector<prometheus::MetricFamily> rtpengine_families(const Dict& figures);

}  // namespace ferry::metrics
