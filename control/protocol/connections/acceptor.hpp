// A listening socket: takes connections, and waits where descriptors ran out (CTL-12).
#pragma once

#include "control/protocol/event_loop.hpp"
#include "relay/base/file_descriptor.hpp"

#include <functional>

#include <sys/socket.h>

namespace ferry {

/// A descriptor that is kept free for the operator: `rtpferryctl` has to get in when all others are used up.
class SpareDescriptor {
 public:
  SpareDescriptor() { take(); }
  /// Frees it; false if it is in use already.
  bool give();
  /// Holds one again, if there is one to be had.
  void take();

 private:
  FileDescriptor held_;
};

/// Control thread only. At most `kPerTurn` connections are taken before the loop goes on to other work.
class Acceptor {
 public:
  static constexpr int kPerTurn = 16;
  /// So long nothing is accepted when no descriptor (or no memory) was left.
  static constexpr timeval kPause{1, 0};

  /// Owns a new connection, and is told its peer.
  using OnAccept = std::function<void(FileDescriptor connection, const sockaddr* from, socklen_t size)>;
  /// Called with the error each time that a pause begins.
  using OnShortage = std::function<void(int error)>;

  /// `listening` is bound and listens. `spare` serves for this listener when descriptors ran out; null =
  /// none.
  Acceptor(event_base* base, FileDescriptor listening, SpareDescriptor* spare, OnAccept on_accept,
           OnShortage on_shortage);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  [[nodiscard]] int descriptor() const { return listening_.get(); }

 private:
  void take_some();
  /// One connection; false if there is none, or none can be taken now.
  bool take_one();

  FileDescriptor listening_;
  SpareDescriptor* spare_;
  OnAccept on_accept_;
  OnShortage on_shortage_;
  Event readable_;
  Event resume_;
};

}  // namespace ferry
