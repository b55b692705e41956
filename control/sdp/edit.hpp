// SPDX-License-Identifier: Apache-2.0
// Carries out the edits of the finished SDP that a request asks for (docs/reference/ng.md#sdp-attr). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// One edit of attribute lines. A pattern matches an attribute by its name, by `name:tag` (up to the first
/// blank), or by the whole text behind "a=".
struct AttributeEdit {
  enum class Kind : std::uint8_t { kAdd, kAddLine, kRemove, kSubstitute };
  Kind kind = Kind::kAdd;
  /// Media type of the sections to edit; empty = the session level.
  std::string section;
  /// Text behind "a=" for kAdd, a whole line for kAddLine, else the pattern.
  std::string text;
  /// Text behind "a=" for kSubstitute; else empty.
  std::string replacement;
};
/// Edits in the order of the request.
using AttributeEdits = std::vector<AttributeEdit>;

/// True for the media types that `sdp-attr` and `sdp-media-remove` accept.
[[nodiscard]] bool is_known_media_type(std::string_view type) noexcept;

/// Returns the body with all edits done. Removals and substitutions see only the lines that are there;
/// additions come at the end of each section of the type. Additions with control characters are left out.
[[nodiscard]] std::string apply(const AttributeEdits& edits, std::string_view body);

}  // namespace ferry::sdp
