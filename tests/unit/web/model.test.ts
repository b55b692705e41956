// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Calls, codecs, duration, jitterGrade, lossGrade, lossText, mosGrade, mosText, short, standingOf } from '../../../web/src/model.ts';
import { board, row } from './rows.ts';

test('a call stands as rtpferryctl list --sort=severity ranks it', () => {
  assert.equal(standingOf({ severity: 'fault', hears: 'nothing' }), 'silent');
  assert.equal(standingOf({ severity: 'fault', hears: 'some' }), 'broken');
  assert.equal(standingOf({ severity: 'fault', hears: 'all' }), 'fault');
  assert.equal(standingOf({ severity: 'note', hears: 'some' }), 'lossy');
  assert.equal(standingOf({ severity: 'note', hears: 'nothing' }), 'note');
  assert.equal(standingOf({ severity: 'fine', hears: 'all' }), 'fine');
});

test('a board with news alone leaves the other rows as they are', () => {
  const calls = new Calls();
  calls.take(board([1, 2], [row(1), row(2)]), 4000);
  assert.equal(calls.skew, 1000);
  const kept = calls.rows.get(1);
  calls.take(board([2, 1], [row(2, { severity: 'fault', hears: 'some' })], 'x-2'), 4000);
  assert.deepEqual(calls.order, [2, 1]);
  assert.equal(calls.rows.get(1), kept);
  assert.equal(calls.cursor, 'x-2');
  assert.deepEqual(calls.groups().map(group => [group.standing, group.rows.length]), [['broken', 1], ['fine', 1]]);
});

test('calls that left the order are forgotten', () => {
  const calls = new Calls();
  calls.take(board([1, 2], [row(1), row(2)]), 4000);
  calls.take(board([2], []), 4000);
  assert.deepEqual([...calls.rows.keys()], [2]);
});

test('a call that is no news to the relay and unknown here makes the page ask for all', () => {
  const calls = new Calls();
  calls.take(board([1, 2], [row(1)]), 4000);
  assert.deepEqual(calls.order, [1]);
  assert.equal(calls.cursor, '');
});

test('a call is found by its Call-ID', () => {
  const calls = new Calls();
  calls.take(board([1, 2], [row(1), row(2)]), 4000);
  assert.equal(calls.byCallId('call-2')?.id, 2);
  assert.equal(calls.byCallId('call-9'), undefined);
});

test('times and numbers are written for people', () => {
  assert.deepEqual([0, 59_999, 60_000, 245_000, 600_000, 3_599_000, 3_600_000, 7_800_000, 273_600_000].map(duration), ['0 s', '59 s', '1 min 00 s', '4 min 05 s', '10 min', '59 min', '1 h 00 min', '2 h 10 min', '3 d 4 h']);
  assert.deepEqual([0, 950, 1234, 12_345, 123_456, 4_560_000].map(short), ['0', '950', '1.23 k', '12.3 k', '123 k', '4.56 M']);
  assert.deepEqual([mosText(4.41), mosText(undefined), lossText(0.04), lossText(12.4), lossText(undefined)], ['4.4', '–', '0.0 %', '12 %', '–']);
});

test('figures are graded by the thresholds of the relay', () => {
  assert.deepEqual([undefined, 4.4, 3.5, 2.5].map(mosGrade), ['none', 'good', 'fair', 'bad']);
  assert.deepEqual([undefined, 1.9, 2, 10].map(lossGrade), ['none', 'good', 'fair', 'bad']);
  assert.deepEqual([undefined, 50, 51].map(jitterGrade), ['none', 'good', 'fair']);
});

test('codecs are named once, and not those of declined media', () => {
  const medium = (codec: string, rejected = false) => ({ media: 1, type: 'audio', codec, rejected });
  const parties = [{ name: 'A', medias: [medium('PCMA'), medium('VP8', true)] }, { name: 'B', medias: [medium('PCMA'), medium('opus')] }];
  assert.equal(codecs(row(1, { parties })), 'PCMA + opus');
});
