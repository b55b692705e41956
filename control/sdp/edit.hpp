// Edits of the finished SDP text that a request asks for (NG reference, key `sdp-attr`).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ferry::sdp {

/// One edit of attribute lines. A pattern matches an attribute by its name, by `name:tag` (up to the first
/// blank) or by the whole text after "a=".
struct AttributeEdit {
  enum class Kind : std::uint8_t { kAdd, kAddLine, kRemove, kSubstitute };
  Kind kind = Kind::kAdd;
  /// Media type, or empty for the session level.
  std::string section;
  /// kAdd: text after "a="; kAddLine: a whole line; else the pattern.
  std::string text;
  std::string replacement;
};
using AttributeEdits = std::vector<AttributeEdit>;

/// True for the media types that `sdp-attr` and `sdp-media-remove` know.
[[nodiscard]] bool is_known_media_type(std::string_view type) noexcept;

/// The body with all edits done: removals and substitutions on what is there, additions at the end of each
/// section of the type. Additions with control characters are left out.
[[nodiscard]] std::string apply(const AttributeEdits& edits, std::string_view body);

}  // namespace ferry::sdp
