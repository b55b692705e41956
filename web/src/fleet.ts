// SPDX-License-Identifier: Apache-2.0
// The totals of the whole relay, and the sentence at the top.
import { by, fill, say } from './dom.ts';
import type { Statistics } from './api.ts';
import { headline } from './headline.ts';
import { type Board, type Calls, short, spaced } from './model.ts';

const POINTS = 120;

interface Reading { at: number; packets: number; kernel: number; dropped: number; rejected: number }

export class FleetView {
  private last: Reading | null = null;
  private first: Reading | null = null;
  private readonly trend: number[] = [];
  private reason = '';

  take(board: Board, calls: Calls, match: string): void {
    const { text, mood } = headline(calls, match);
    say(by('headline'), text);
    by('summary').dataset['mood'] = mood;
    document.title = mood === 'silent' || mood === 'broken' ? `! ${text}` : `rtpferry: ${text}`;
    say(by('software'), `${location.host} · ${board.fleet.software}${board.fleet.draining ? ' · draining' : ''}`);
    say(by('calls-total'), short(board.total));
    const reading = { at: board.at_ms, packets: board.fleet.packets, kernel: board.fleet.kernel_packets, dropped: board.fleet.dropped, rejected: board.fleet.rejected_calls };
    this.first ??= reading;
    say(by('rejected'), short(reading.rejected));
    const fresh = reading.rejected - this.first.rejected;
    say(by('rejected-note'), fresh > 0 ? `${fresh} since you look` : 'since the start');
    this.rates(reading);
  }

  /** Names the reason for which most packets are dropped. */
  explain(statistics: Statistics): void {
    const [worst] = Object.entries(statistics.drops ?? {}).sort((a, b) => b[1] - a[1]);
    this.reason = worst ? `mostly ${spaced(worst[0])}` : 'none so far';
    say(by('drops-note'), this.reason);
    const [refusal] = Object.entries(statistics.refused_requests ?? {}).filter(([name]) => name !== 'kept' && name !== 'bytes').sort((a, b) => b[1] - a[1]);
    if (refusal) by('rejected-note').title = `most requests were refused for: ${spaced(refusal[0])}`;
  }

  private rates(reading: Reading): void {
    const last = this.last;
    if (last === null || reading.packets < last.packets) { this.last = reading; return; }
    const seconds = (reading.at - last.at) / 1000;
    if (seconds < 0.9) return;
    this.last = reading;
    const packets = reading.packets - last.packets;
    say(by('packets'), short(packets / seconds));
    say(by('kernel'), packets > 0 ? `${Math.round((100 * (reading.kernel - last.kernel)) / packets)} %` : '–');
    const drops = (reading.dropped - last.dropped) / seconds;
    say(by('drops'), short(drops));
    by('drops').closest('div')!.classList.toggle('raised', packets > 0 && drops * seconds > packets * 0.02 && drops > 1);
    this.trend.push(packets / seconds);
    if (this.trend.length > POINTS) this.trend.shift();
    this.draw();
  }

  /** The packets of the last minutes as a line behind their number. */
  private draw(): void {
    if (this.trend.length < 3) return;
    const most = Math.max(1, ...this.trend);
    const points = this.trend.map((value, i) => `${((i + POINTS - this.trend.length) / (POINTS - 1)) * 100},${28 - (value / most) * 26}`);
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    line.setAttribute('points', points.join(' '));
    fill(by('packets-trend'), line);
  }
}

