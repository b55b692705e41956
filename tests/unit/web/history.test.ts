// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Trail, Trails, bands, marks } from '../../../web/src/history.ts';
import { row } from './rows.ts';

test('a row that says the same adds a sample every five seconds only', () => {
  const trail = new Trail();
  for (let at = 0; at <= 10_000; at += 1000) trail.note(row(1), at);
  assert.deepEqual(trail.samples.map(each => each.at_ms), [0, 5000, 10_000]);
});

test('a figure that changed is noted at once, and a verdict that changed is told', () => {
  const trail = new Trail();
  trail.note(row(1), 0);
  trail.note(row(1, { figures: { mos: 3.1, loss: 12, jitter: 4 } }), 800);
  trail.note(row(1, { figures: { mos: 3.1, loss: 12, jitter: 4 }, severity: 'fault', verdict: 'broken-up' }), 1600);
  assert.deepEqual(trail.samples.map(each => each.loss), [0, 12, 12]);
  assert.deepEqual(trail.happenings, [{ at_ms: 1600, type: 'verdict', text: 'fine → broken-up', severity: 'fault' }]);
});

test('what the relay saw before goes in front, with its changes of verdict', () => {
  const trail = new Trail();
  trail.note(row(1, { verdict: 'broken-up', severity: 'fault' }), 9000);
  const sample = { loss: 0, jitter: 0, severity: 'fine' as const, verdict: 'fine' };
  trail.precede([{ ...sample, at_ms: 1000 }, { ...sample, at_ms: 5000, severity: 'fault', verdict: 'broken-up' }, { ...sample, at_ms: 9500 }]);
  assert.deepEqual(trail.samples.map(each => each.at_ms), [1000, 5000, 9000]);
  assert.deepEqual(trail.happenings.map(each => [each.at_ms, each.text]), [[5000, 'fine → broken-up']]);
});

test('bands join equal severities and leave out what is fine', () => {
  const sample = (at_ms: number, severity: 'fine' | 'note' | 'fault') => ({ at_ms, severity, loss: 0, jitter: 0, verdict: '' });
  assert.deepEqual(bands([sample(0, 'fine'), sample(1, 'fault'), sample(2, 'fault'), sample(3, 'note'), sample(4, 'fine')], 9),
    [{ from: 1, to: 3, severity: 'fault' }, { from: 3, to: 4, severity: 'note' }]);
  assert.deepEqual(bands([], 9), []);
});

test('an axis names limits that have room', () => {
  assert.deepEqual(marks(0, 12, [2, 10]), [0, 2, 10]);
  assert.deepEqual(marks(0, 104, [2, 10]), [0, 10, 100]);
  assert.deepEqual(marks(0, 60, [50]), [0, 50]);
  assert.deepEqual(marks(1, 4.6, [2.6]), [1, 2.6, 4]);
});

test('trails of calls that are long gone are forgotten', () => {
  const trails = new Trails();
  const first = trails.of(1, 0);
  trails.note([row(2)], 100_000);
  assert.equal(trails.of(1, 100_000), first);
  trails.note([row(2)], 800_000);
  assert.notEqual(trails.of(1, 800_000), first);
});
