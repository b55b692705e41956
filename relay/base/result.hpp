// Result of an operation that can fail on input: a value or an error, never an exception.
#pragma once

#include <tl/expected.hpp>

namespace ferry {

template <class T, class E>
using Result = tl::expected<T, E>;

/// Makes the failing alternative of a Result.
template <class E>
auto fail(E error) {
  return tl::unexpected<E>(std::move(error));
}

}  // namespace ferry
