// SPDX-License-Identifier: Apache-2.0
// Words for the events of the relay (GET /events, docs/operations.md). Pure.
import { duration, spaced } from './model.ts';

/** The types that the page follows. Keys that parties press are left out: they may be a PIN. */
export const TYPES = ['call-start', 'call-end', 'media-start', 'latched', 'one-way', 'timeout', 'quality', 'recording-start', 'recording-end', 'lost'] as const;

const TITLES: Record<string, string> = {
  'call-start': 'The call began', 'call-end': 'The call ended', 'media-start': 'First packet', latched: 'Source learned', 'one-way': 'Nothing is heard',
  timeout: 'No media: time-out', quality: 'Heard badly', 'recording-start': 'Recording began', 'recording-end': 'Recording ended', verdict: 'Verdict',
};
export const title = (type: string) => TITLES[type] ?? spaced(type);

export type Fields = Record<string, unknown>;

/** What an event says besides its type. */
export function words(type: string, fields: Fields): string {
  const text = (name: string) => (typeof fields[name] === 'string' ? (fields[name] as string) : '');
  if (fields['state'] === 'recovered') return typeof fields['lasted'] === 'number' ? `over, after ${duration(fields['lasted'] * 1000)}` : 'over';
  if (text('sentence')) return text('sentence');
  if (type === 'media-start' || type === 'latched') return [text('kind') && `${text('kind')} of`, text('tag')].filter(Boolean).join(' ');
  return spaced(text('reason') || text('cause') || text('by'));
}

/** The severity that its line is painted with. */
export function severity(type: string, fields: Fields): 'fine' | 'note' | 'fault' {
  if (type === 'timeout') return 'fault';
  return (type === 'one-way' || type === 'quality') && fields['state'] !== 'recovered' ? 'fault' : 'fine';
}
