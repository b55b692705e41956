// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventReader } from '../../../web/src/sse.ts';

test('events come out whole, however small the pieces are', () => {
  const stream = 'id: 7\nevent: one-way\ndata: {"a":1}\n\n: still here\n\nid: 8\ndata: x\ndata: y\n\n';
  for (let size = 1; size < 9; ++size) {
    const reader = new EventReader();
    const events = [];
    for (let at = 0; at < stream.length; at += size) events.push(...reader.take(stream.slice(at, at + size)));
    assert.deepEqual(events, [{ id: '7', type: 'one-way', data: '{"a":1}' }, { id: '8', type: 'message', data: 'x\ny' }]);
  }
});

test('lines may end as on other systems, and an event without data is none', () => {
  const reader = new EventReader();
  assert.deepEqual(reader.take('event: a\r\n\r\ndata:b\r\n\r\n'), [{ id: '', type: 'message', data: 'b' }]);
});
