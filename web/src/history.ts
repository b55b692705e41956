// SPDX-License-Identifier: Apache-2.0
// What the page remembers of calls over time, for the charts. Pure.
import type { Row, Severity } from './model.ts';

export interface Sample {
  at_ms: number;
  mos?: number;
  loss: number;
  jitter: number;
  severity: Severity;
  verdict: string;
}

/** Something that happened to a call (GET /events), or a verdict that changed. */
export interface Happening { at_ms: number; type: string; text: string; severity?: Severity }

const SAMPLES = 1800;
const HAPPENINGS = 200;

export class Trail {
  samples: Sample[] = [];
  happenings: Happening[] = [];

  /** Adds what a row says now. Where nothing changed for less than five seconds, the row adds nothing. */
  note(row: Row, now: number): void {
    const last = this.samples.at(-1);
    const sample: Sample = { at_ms: now, loss: row.figures.loss, jitter: row.figures.jitter, severity: row.severity, verdict: row.verdict };
    if (row.figures.mos !== undefined) sample.mos = row.figures.mos;
    const same = last !== undefined && last.mos === sample.mos && last.loss === sample.loss && last.jitter === sample.jitter &&
      last.verdict === sample.verdict && last.severity === sample.severity;
    if (same && now - last.at_ms < 5000) return;
    if (last !== undefined && now <= last.at_ms) return;
    if (last !== undefined && last.verdict !== sample.verdict)
      this.tell({ at_ms: now, type: 'verdict', text: `${last.verdict} → ${sample.verdict}`, severity: sample.severity });
    this.samples.push(sample);
    if (this.samples.length > SAMPLES) this.samples.splice(0, this.samples.length - SAMPLES);
  }

  tell(happening: Happening): void {
    this.happenings.push(happening);
    if (this.happenings.length > HAPPENINGS) this.happenings.shift();
  }

  /** Puts what the relay has seen before the first own sample in front of it. */
  precede(earlier: Sample[]): void {
    const begin = this.samples[0]?.at_ms ?? Infinity;
    const older = earlier.filter(sample => sample.at_ms < begin);
    const changes: Happening[] = [];
    older.forEach((sample, i) => {
      const before = older[i - 1];
      if (before && before.verdict !== sample.verdict)
        changes.push({ at_ms: sample.at_ms, type: 'verdict', text: `${before.verdict} → ${sample.verdict}`, severity: sample.severity });
    });
    this.samples = [...older, ...this.samples];
    this.happenings = [...changes, ...this.happenings].sort((a, b) => a.at_ms - b.at_ms);
  }
}

/** Stretches of time with one severity, for the ground of the charts. Fine ones are left out. */
export function bands(samples: readonly Sample[], end: number): { from: number; to: number; severity: Severity }[] {
  const all: { from: number; to: number; severity: Severity }[] = [];
  samples.forEach((sample, i) => {
    const to = samples[i + 1]?.at_ms ?? end;
    const last = all.at(-1);
    if (last && last.severity === sample.severity && last.to === sample.at_ms) last.to = to;
    else all.push({ from: sample.at_ms, to, severity: sample.severity });
  });
  return all.filter(band => band.severity !== 'fine');
}

/** The values that an axis names: its low end, those limits that have room, and its high end if it is far from them. */
export function marks(low: number, high: number, limits: readonly number[]): number[] {
  const named = [low];
  for (const limit of limits) if (limit - named.at(-1)! >= (high - low) * 0.09) named.push(limit);
  const top = high > 100 ? 100 : Math.floor(high);
  return top - named.at(-1)! >= (high - low) * 0.3 ? [...named, top] : named;
}

/** The trails of calls, forgotten some time after the call has left the list. */
export class Trails {
  private readonly all = new Map<number, { trail: Trail; seen: number }>();

  of(id: number, now: number): Trail {
    let kept = this.all.get(id);
    if (!kept) this.all.set(id, (kept = { trail: new Trail(), seen: now }));
    kept.seen = now;
    return kept.trail;
  }

  note(rows: Iterable<Row>, now: number): void {
    for (const row of rows) this.of(row.id, now).note(row, now);
    for (const [id, kept] of this.all) if (now - kept.seen > 600_000) this.all.delete(id);
  }
}
