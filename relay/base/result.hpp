// SPDX-License-Identifier: Apache-2.0
// The result of an operation that bad input can make fail: a value or an error, never an exception.
#pragma once

#include <tl/expected.hpp>

namespace ferry {

/// Holds a `T`, or an `E` that says what was wrong; mostly a one-byte enum with a `to_string`.
template <class T, class E>
using Result = tl::expected<T, E>;

/// Makes a failed Result: `return fail(RtpParseError::kTooShort);`.
template <class E>
auto fail(E error) {
  return tl::unexpected<E>(std::move(error));
}

}  // namespace ferry
