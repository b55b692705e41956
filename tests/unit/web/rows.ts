// SPDX-License-Identifier: Apache-2.0
// Rows and boards for tests.
import type { Board, Row } from '../../../web/src/model.ts';

export function row(id: number, changes: Partial<Row> = {}): Row {
  return { id, call_id: `call-${id}`, begun_ms: 1000, answered: true, deleting: false, recorded: false, severity: 'fine', hears: 'all', verdict: 'fine',
    bad: false, figures: { mos: 4.4, loss: 0, jitter: 0 }, parties: [], ...changes };
}
export function board(order: number[], calls: Row[], cursor = 'x-1'): Board {
  return { cursor, at_ms: 5000, total: order.length, found: order.length, order, calls,
    fleet: { hear_nothing: 0, hear_some: 0, packets: 0, kernel_packets: 0, bytes: 0, dropped: 0, rejected_calls: 0, draining: false, software: 'test' } };
}
