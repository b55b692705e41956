// SPDX-License-Identifier: Apache-2.0
// The sentence at the top of the page. Pure.
import { type Calls, standingOf } from './model.ts';

/** What is wrong, in one sentence. */
export function headline(calls: Calls, match: string): { text: string; mood: 'silent' | 'broken' | 'fine' | 'empty' } {
  const rows = [...calls.rows.values()];
  const count = (standing: string) => rows.filter(row => standingOf(row) === standing).length;
  const silent = count('silent');
  const broken = count('broken') + count('fault');
  const all = match ? calls.found : calls.total;
  const of = `${all} ${match ? 'matching ' : ''}${all === 1 ? 'call' : 'calls'}`;
  if (all === 0) return { text: match ? 'No call matches.' : 'No calls right now.', mood: 'empty' };
  if (silent > 0 && broken > 0) return { text: `In ${silent} of ${of} somebody hears nothing, in ${broken} badly.`, mood: 'silent' };
  if (silent > 0) return { text: `In ${silent} of ${of} somebody hears nothing.`, mood: 'silent' };
  if (broken > 0) return { text: `In ${broken} of ${of} somebody hears badly.`, mood: 'broken' };
  return { text: all === 1 ? 'The only call is well.' : `All ${of} are well.`, mood: 'fine' };
}
