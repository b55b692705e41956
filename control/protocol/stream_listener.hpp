// SPDX-License-Identifier: Apache-2.0
// Opens the sockets that accept streams of control protocols.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/file_descriptor.hpp"

#include <string>

#include <sys/socket.h>

namespace ferry {

/// Listens on a Unix stream socket. Its file has `mode` from the moment that it exists, whatever the umask
/// is. Makes the folder if it is missing, closed to those whom `mode` keeps out, and replaces a socket that
/// nobody listens on. Throws std::system_error for anything else.
FileDescriptor listen_on_path(const std::string& path, unsigned mode = 0660);

/// Listens on TCP. Throws std::system_error with the address in its text.
FileDescriptor listen_on_tcp(const Endpoint& local);

/// Returns where a stream came from: its address, or loopback for a Unix socket, whose peer is this host.
IpAddress stream_source(const sockaddr* from, int size);

}  // namespace ferry
