// SPDX-License-Identifier: Apache-2.0
// Opens files that requests name, below folders that an option allows (CTL-10).
#pragma once

#include "relay/base/file_descriptor.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ferry {

/// What `name` is below `folder`: an absolute name must begin with the folder, a relative one stays as it is.
/// Nothing if it is elsewhere. `folder` is absolute, without a slash at the end.
[[nodiscard]] std::optional<std::string_view> name_below(std::string_view folder,
                                                         std::string_view name) noexcept;

/// Opens the regular file `name` below `folder` for reading. It follows no link, leaves the folder by no way,
/// and never waits for a pipe or a device. A descriptor that is not open: there is none.
[[nodiscard]] FileDescriptor open_below(const std::string& folder, const std::string& name) noexcept;

}  // namespace ferry
