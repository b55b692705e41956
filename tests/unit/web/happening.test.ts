// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPES, severity, title, words } from '../../../web/src/happening.ts';

test('events have words', () => {
  assert.equal(words('media-start', { tag: 'alice', media: 1, kind: 'audio' }), 'audio of alice');
  assert.equal(words('latched', { tag: 'alice' }), 'alice');
  assert.equal(words('one-way', { state: 'bad', cause: 'never-sent', sentence: 'A hears nothing from B' }), 'A hears nothing from B');
  assert.equal(words('quality', { state: 'recovered', cause: 'broken-up', lasted: 34 }), 'over, after 34 s');
  assert.equal(words('call-end', { reason: 'final-timeout' }), 'final timeout');
  assert.equal(words('call-start', { tags: ['a'] }), '');
  assert.equal(title('one-way'), 'Nothing is heard');
  assert.equal(title('some-new-type'), 'some new type');
});

test('trouble that begins is painted as a fault, and its end is not', () => {
  assert.equal(severity('one-way', { state: 'bad' }), 'fault');
  assert.equal(severity('one-way', { state: 'recovered' }), 'fine');
  assert.equal(severity('call-start', {}), 'fine');
});

test('keys that parties press are not asked for', () => {
  assert.equal((TYPES as readonly string[]).includes('dtmf'), false);
});
