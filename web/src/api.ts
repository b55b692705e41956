// SPDX-License-Identifier: Apache-2.0
// Asks the relay. The token lives in sessionStorage, so it ends with the tab, and leaves this page only in the header
// that the API wants.
import type { Board } from './model.ts';
import type { Sample } from './history.ts';
import { TYPES } from './happening.ts';
import { EventReader, type ServerEvent } from './sse.ts';

const KEY = 'rtpferry-token';

export class NeedsToken extends Error {}
export class NotThere extends Error {}

export interface Verdict {
  leg: string;
  media: number;
  type: string;
  direction: 'from' | 'to';
  cause: string;
  severity: 'fine' | 'note' | 'fault';
  reception: 'all' | 'some' | 'nothing';
  sentence: string;
  evidence: string[];
  advice: string;
}
export interface RefusedRequest { sentence?: string; text?: string; reason?: string; advice?: string; count?: number }
export interface Explanation {
  call_id: string;
  state: string;
  severity: 'fine' | 'note' | 'fault';
  summary?: string;
  verdicts: Verdict[];
  refused?: RefusedRequest[];
  ended?: string;
}
export interface Statistics { drops?: Record<string, number>; refused_requests?: Record<string, number> }

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value: string) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

async function ask(path: string, options: RequestInit = {}): Promise<Response> {
  const secret = token.get();
  const headers: Record<string, string> = secret ? { Authorization: `Bearer ${secret}` } : {};
  const reply = await fetch(path, { cache: 'no-store', credentials: 'omit', redirect: 'error', headers, ...options });
  if (reply.status === 401) throw new NeedsToken();
  if (reply.status === 404) throw new NotThere(path);
  if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
  return reply;
}

async function json<T>(path: string): Promise<T> {
  return (await ask(path, { signal: AbortSignal.timeout(8000) })).json() as Promise<T>;
}

/** True if the API wants a token, which the page's own reply says (RFC 9110 §11.6.1), and none is kept. */
export async function lacksToken(): Promise<boolean> {
  if (token.get()) return false;
  const reply = await fetch('/', { method: 'HEAD', cache: 'no-store', credentials: 'omit' });
  return reply.headers.get('WWW-Authenticate')?.startsWith('Bearer') ?? false;
}

export function board(cursor: string, match: string, limit: number): Promise<Board> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (cursor) query.set('cursor', cursor);
  if (match) query.set('match', match);
  return json<Board>(`/api/v1/board?${query}`);
}
export const explain = (callId: string) => json<Explanation>(`/api/v1/explain/${encodeURIComponent(callId)}`);
export const show = (callId: string) => json<unknown>(`/api/v1/calls/${encodeURIComponent(callId)}`);
export const timeline = (id: number) => json<{ samples: Sample[] }>(`/api/v1/timeline/${id}`);
export const statistics = () => json<Statistics>('/api/v1/stats');

/**
 * Reads the stream of events until it breaks; goes on behind the event `after`. Throws `NotThere` if this relay has no
 * such stream.
 */
export async function events(after: string, take: (event: ServerEvent) => void, opened: () => void): Promise<void> {
  const secret = token.get();
  const headers: Record<string, string> = { Accept: 'text/event-stream' };
  if (secret) headers.Authorization = `Bearer ${secret}`;
  if (after) headers['Last-Event-ID'] = after;
  const reply = await ask(`/events?type=${TYPES.join(',')}`, { headers });
  if (!reply.body || !(reply.headers.get('Content-Type') ?? '').startsWith('text/event-stream')) throw new NotThere('/events');
  opened();
  const reader = new EventReader();
  const decoder = new TextDecoder();
  const body = reply.body.getReader();
  for (;;) {
    const { done, value } = await body.read();
    if (done) return;
    for (const event of reader.take(decoder.decode(value, { stream: true }))) take(event);
  }
}
