// SPDX-License-Identifier: Apache-2.0
// Accepts the connections of one listening socket, and pauses if the process has no descriptor left (CTL-12).
#pragma once

#include "control/protocol/event_loop.hpp"
#include "relay/base/file_descriptor.hpp"

#include <functional>

#include <sys/socket.h>

namespace ferry {

/// A descriptor that is kept in reserve for the operator: `rtpferryctl` must get a connection when all other
/// descriptors are used up. Control thread only.
class SpareDescriptor {
 public:
  SpareDescriptor() { take(); }
  /// Frees the descriptor, so that one connection can be accepted. False if it was freed already.
  bool give();
  /// Reserves a descriptor again if it was given and one can be had; else does nothing.
  void take();

 private:
  FileDescriptor held_;
};

/// Accepts at most `kPerTurn` connections before the event loop serves other work. Control thread only.
class Acceptor {
 public:
  static constexpr int kPerTurn = 16;
  /// How long the acceptor waits after a connection for which there was no descriptor or no memory.
  static constexpr timeval kPause{1, 0};

  /// Receives a new connection, which it owns from then on, and the address of the peer.
  using OnAccept = std::function<void(FileDescriptor connection, const sockaddr* from, socklen_t size)>;
  /// Called with `errno` each time a pause begins.
  using OnShortage = std::function<void(int error)>;

  /// `listening` is bound and in the state of listening. `spare` lets this listener accept a connection when
  /// descriptors ran out; null = it has no reserve. Throws std::bad_alloc if an event cannot be made.
  Acceptor(event_base* base, FileDescriptor listening, SpareDescriptor* spare, OnAccept on_accept,
           OnShortage on_shortage);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  /// Descriptor of the listening socket. The acceptor keeps it.
  [[nodiscard]] int descriptor() const { return listening_.get(); }

 private:
  void take_some();
  /// Accepts one connection. False if none waits, or if a pause has begun.
  bool take_one();

  FileDescriptor listening_;
  SpareDescriptor* spare_;
  OnAccept on_accept_;
  OnShortage on_shortage_;
  Event readable_;
  Event resume_;
};

}  // namespace ferry
