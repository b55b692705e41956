// Sockets that accept streams of control protocols.
#pragma once

#include "control/protocol/event_loop.hpp"
#include "relay/base/address.hpp"

#include <string>

namespace ferry {

/// Listens on a Unix stream socket with mode 0660. Makes the directory if it is missing and replaces a socket
/// that nobody listens on; throws std::system_error for anything else. `accept` gets `self` as its last
/// argument.
StreamListener listen_on_path(event_base* base, const std::string& path, evconnlistener_cb accept,
                              void* self);

/// Listens on TCP; throws std::system_error with the address in the text.
StreamListener listen_on_tcp(event_base* base, const Endpoint& local, evconnlistener_cb accept, void* self);

/// Where a stream came from: its address, or loopback for a Unix socket, whose peer is this host.
IpAddress stream_source(const sockaddr* from, int size);

}  // namespace ferry
