// SPDX-License-Identifier: Apache-2.0
// Reads the lists of dictionaries that `mesh`, `create` and `transform` have
// (docs/reference/ng.md#conferences, docs/reference/ng.md#create). A later value of a key replaces the one
// before. Each function changes `request` only and never fails: a `WishList` says what is wrong with it.
// Pure; safe on any thread.
#pragma once

#include "control/request/request.hpp"
#include "control/value/value.hpp"

namespace ferry::ng::words {

/// Key `calls` of `mesh`: Call-IDs.
void calls_list(Request& request, const Value& value);
/// Key `tags` of `mesh`: `{from, to}`. A member without a list `to` means no flow.
void flows_list(Request& request, const Value& value);
/// Keys `media` and `medias`. `create` takes `{type, codecs}` from them, and `transform` `{id, type,
/// destination, codec}`. Which command it is does not count here, so the value is read both ways.
void medias_list(Request& request, const Value& value);

}  // namespace ferry::ng::words
