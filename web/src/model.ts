// SPDX-License-Identifier: Apache-2.0
// What the relay tells of calls (GET /api/v1/board), and what the page makes of it. Pure: no browser in here.

export type Severity = 'fine' | 'note' | 'fault';
export type Reception = 'all' | 'some' | 'nothing';

export interface Figures { mos?: number; loss: number; jitter: number }

/** One direction of one party's medium, as `explain` judges it. */
export interface Way extends Partial<Figures> { verdict: string; severity: Severity; reception: Reception }

export interface Medium {
  media: number;
  type: string;
  codec?: string;
  /** Who forwards it: "kernel", "user", or "" while nobody does. */
  path?: string;
  /** Addresses: of the SDP, where packets come from and go to, and the relay's own. */
  signalled?: string;
  from?: string;
  to?: string;
  relay?: string;
  rejected?: boolean;
  encrypted?: boolean;
  treated?: string[];
  says?: Way;
  hears?: Way;
}

export interface Party { name: string; label?: string; medias: Medium[] }

export interface Row {
  id: number;
  call_id: string;
  begun_ms: number;
  answered: boolean;
  deleting: boolean;
  recorded: boolean;
  severity: Severity;
  hears: Reception;
  verdict: string;
  bad: boolean;
  since_ms?: number;
  sentence?: string;
  advice?: string;
  figures: Figures;
  parties: Party[];
}

export interface Fleet {
  hear_nothing: number;
  hear_some: number;
  packets: number;
  kernel_packets: number;
  bytes: number;
  dropped: number;
  rejected_calls: number;
  draining: boolean;
  software: string;
}

export interface Board {
  cursor: string;
  at_ms: number;
  total: number;
  found: number;
  order: number[];
  calls: Row[];
  fleet: Fleet;
}

/** How bad a call is, in the words of the list; the worst first. */
export type Standing = 'silent' | 'broken' | 'fault' | 'lossy' | 'note' | 'fine';

export interface StandingRow { standing: Standing; title: string; word: string }

export const STANDINGS: readonly StandingRow[] = [
  { standing: 'silent', title: 'Somebody hears nothing', word: 'hears nothing' },
  { standing: 'broken', title: 'Somebody hears badly', word: 'hears badly' },
  { standing: 'fault', title: 'Something else is wrong', word: 'fault' },
  { standing: 'lossy', title: 'A little is missing', word: 'a little missing' },
  { standing: 'note', title: 'Quiet for a reason', word: 'note' },
  { standing: 'fine', title: 'Everybody hears everybody', word: 'fine' },
];

/** The order is that of `rtpferryctl list --sort=severity`. */
export function standingOf(row: Pick<Row, 'severity' | 'hears'>): Standing {
  if (row.severity === 'fault') return row.hears === 'nothing' ? 'silent' : row.hears === 'some' ? 'broken' : 'fault';
  if (row.severity === 'note') return row.hears === 'some' ? 'lossy' : 'note';
  return 'fine';
}

export function titleOf(standing: Standing): string {
  return STANDINGS.find(each => each.standing === standing)!.title;
}

export function wordOf(standing: Standing): string {
  return STANDINGS.find(each => each.standing === standing)!.word;
}

/** The calls that the page knows, kept up to date by one board after the other. */
export class Calls {
  readonly rows = new Map<number, Row>();
  order: number[] = [];
  total = 0;
  found = 0;
  /** The cursor for the next request; empty = ask for all. */
  cursor = '';
  /** The clock of the relay minus that of this browser, ms. */
  skew = 0;

  /** Takes a board. Returns the rows that are new or changed. */
  take(board: Board, now: number): Row[] {
    this.skew = board.at_ms - now;
    for (const row of board.calls) this.rows.set(row.id, row);
    const there = new Set(board.order);
    for (const id of this.rows.keys()) if (!there.has(id)) this.rows.delete(id);
    this.order = board.order.filter(id => this.rows.has(id));
    this.total = board.total;
    this.found = board.found;
    // A call that left the list and came back may be no news to the relay, and is unknown here: ask for all.
    this.cursor = this.order.length === board.order.length ? board.cursor : '';
    return board.calls;
  }

  /** Forgets everything, as when another search begins. */
  clear(): void {
    this.rows.clear();
    this.order = [];
    this.cursor = '';
  }

  byCallId(id: string): Row | undefined {
    for (const row of this.rows.values()) if (row.call_id === id) return row;
    return undefined;
  }

  /** The calls by standing, worst first, in the relay's order; without empty groups. */
  groups(): { standing: Standing; rows: Row[] }[] {
    const byStanding = new Map<Standing, Row[]>(STANDINGS.map(each => [each.standing, []]));
    for (const id of this.order) {
      const row = this.rows.get(id)!;
      byStanding.get(standingOf(row))!.push(row);
    }
    return STANDINGS.map(({ standing }) => ({ standing, rows: byStanding.get(standing)! })).filter(group => group.rows.length > 0);
  }
}

/** The time that a call or a trouble has lasted: "8 s", "4 min 05 s", "12 min", "2 h 10 min", "3 d 4 h". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** A number with a unit of thousands, in three digits: 950, 12.3 k, 4.56 M. */
export function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  const [divisor, unit] = value < 1e6 ? [1e3, 'k'] : value < 1e9 ? [1e6, 'M'] : [1e9, 'G'];
  const scaled = value / divisor;
  return `${scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)} ${unit}`;
}

export const mosText = (mos: number | undefined) => (mos === undefined ? '–' : mos.toFixed(1));
export const lossText = (loss: number | undefined) => (loss === undefined ? '–' : loss >= 10 ? `${Math.round(loss)} %` : `${loss.toFixed(1)} %`);
export const jitterText = (jitter: number | undefined) => (jitter === undefined ? '–' : `${Math.round(jitter)} ms`);

/** How good a MOS is: below 2.6 is a fault (docs/operations.md), below 3.6 many are dissatisfied (G.107, R of 70). */
export function mosGrade(mos: number | undefined): 'none' | 'good' | 'fair' | 'bad' {
  if (mos === undefined) return 'none';
  return mos < 2.6 ? 'bad' : mos < 3.6 ? 'fair' : 'good';
}
export function lossGrade(loss: number | undefined): 'none' | 'good' | 'fair' | 'bad' {
  if (loss === undefined) return 'none';
  return loss >= 10 ? 'bad' : loss >= 2 ? 'fair' : 'good';
}
export function jitterGrade(jitter: number | undefined): 'none' | 'good' | 'fair' {
  if (jitter === undefined) return 'none';
  return jitter > 50 ? 'fair' : 'good';
}

/** The codecs of a call's media, each once: "PCMA", "opus + VP8". */
export function codecs(row: Row): string {
  const all = row.parties.flatMap(party => party.medias).filter(medium => !medium.rejected && medium.codec).map(medium => medium.codec!);
  return [...new Set(all)].join(' + ');
}

/** The addresses between which a call goes: where packets go to, else what the SDP says. */
export function endpoint(medium: Medium | undefined): string {
  return medium?.to ?? medium?.from ?? medium?.signalled ?? '';
}

/** A verdict's name as words: "source-refused" is "source refused". */
export const spaced = (name: string) => name.replaceAll('-', ' ');
