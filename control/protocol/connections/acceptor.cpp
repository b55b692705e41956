// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/connections/acceptor.hpp"

#include <cerrno>
#include <new>

#include <netinet/in.h>

namespace ferry {

namespace {

/// True for errors by which the kernel says that descriptors or memory ran out. The connection stays in the
/// kernel's queue.
bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

bool SpareDescriptor::give() {
  if (!held_) return false;
  held_.reset();
  return true;
}

void SpareDescriptor::take() {
  // A socket of this kind needs no file.
  if (!held_) held_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

Acceptor::Acceptor(event_base* base, FileDescriptor listening, SpareDescriptor* spare, OnAccept on_accept,
                   OnShortage on_shortage)
    : listening_(std::move(listening)),
      spare_(spare),
      on_accept_(std::move(on_accept)),
      on_shortage_(std::move(on_shortage)),
      readable_(event_new(
          base, listening_.get(), EV_READ | EV_PERSIST,
          [](evutil_socket_t, short, void* self) { static_cast<Acceptor*>(self)->take_some(); }, this)),
      resume_(evtimer_new(
          base,
          [](evutil_socket_t, short, void* self) {
            event_add(static_cast<Acceptor*>(self)->readable_.get(), nullptr);
          },
          this)) {
  if (!readable_ || !resume_ || event_add(readable_.get(), nullptr) != 0) throw std::bad_alloc();
}

void Acceptor::take_some() {
  for (int taken = 0; taken < kPerTurn && take_one(); ++taken) {
  }
}

bool Acceptor::take_one() {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  const auto accept_one = [&] {
    return accept4(listening_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  };
  int fd = accept_one();
  if (fd < 0 && is_shortage(errno) && spare_ != nullptr && spare_->give()) fd = accept_one();
  if (fd >= 0) {
    on_accept_(FileDescriptor(fd), reinterpret_cast<const sockaddr*>(&from), size);
    return true;
  }
  const int error = errno;
  // Any other error concerns one connection, which is gone.
  if (!is_shortage(error)) return error != EAGAIN && error != EWOULDBLOCK;
  event_del(readable_.get());
  event_add(resume_.get(), &kPause);
  on_shortage_(error);
  return false;
}

}  // namespace ferry
