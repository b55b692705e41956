// SPDX-License-Identifier: Apache-2.0
// Owning pointers for libevent's objects.
#pragma once

#include <memory>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

namespace ferry {

/// Deleter for std::unique_ptr that calls the C function `kFree`.
template <auto kFree>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

/// An event loop. Must outlive the events that belong to it.
using EventBase = std::unique_ptr<event_base, FreeWith<event_base_free>>;
/// One event or timer. Destroying it removes it from its loop.
using Event = std::unique_ptr<event, FreeWith<event_free>>;

}  // namespace ferry
