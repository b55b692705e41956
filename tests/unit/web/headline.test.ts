// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headline } from '../../../web/src/headline.ts';
import { Calls } from '../../../web/src/model.ts';
import { board, row } from './rows.ts';

const of = (...rows: ReturnType<typeof row>[]) => {
  const calls = new Calls();
  calls.take(board(rows.map(each => each.id), rows), 0);
  return calls;
};
const silent = { severity: 'fault', hears: 'nothing' } as const;
const broken = { severity: 'fault', hears: 'some' } as const;

test('the headline says what is wrong', () => {
  assert.equal(headline(of(), '').text, 'No calls right now.');
  assert.equal(headline(of(), 'x').text, 'No call matches.');
  assert.equal(headline(of(row(1)), '').text, 'The only call is well.');
  assert.equal(headline(of(row(1), row(2)), '').text, 'All 2 calls are well.');
  assert.equal(headline(of(row(1, silent), row(2)), '').text, 'In 1 of 2 calls somebody hears nothing.');
  assert.equal(headline(of(row(1, broken), row(2)), 'x').text, 'In 1 of 2 matching calls somebody hears badly.');
  assert.equal(headline(of(row(1, broken), row(2, silent)), '').text, 'In 1 of 2 calls somebody hears nothing, in 1 badly.');
});
