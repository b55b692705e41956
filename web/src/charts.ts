// SPDX-License-Identifier: Apache-2.0
// MOS, loss and jitter of one call over time: three charts with one time axis and one cursor. The ground shows the
// verdict, dashed lines show what happened.
import uPlot from 'uplot';
import { fill, h } from './dom.ts';
import { type Happening, type Sample, bands, marks } from './history.ts';
import { jitterText, lossText, mosText } from './model.ts';

interface Kind {
  key: 'mos' | 'loss' | 'jitter';
  title: string;
  note: string;
  range: (most: number) => [number, number];
  /** Values at which the relay's verdict changes (docs/operations.md, thresholds). */
  limits: number[];
  text: (value: number | undefined) => string;
  worst: (values: number[]) => number;
  color: string;
}

const KINDS: readonly Kind[] = [
  { key: 'mos', title: 'MOS', note: 'below 2.6 is a fault', range: () => [1, 4.6], limits: [2.6], text: mosText, worst: values => Math.min(...values), color: '--chart-mos' },
  { key: 'loss', title: 'Loss', note: '2 % is a note, 10 % a fault', range: most => [0, Math.min(104, Math.max(12, most * 1.15))], limits: [2, 10], text: lossText, worst: values => Math.max(...values), color: '--chart-loss' },
  { key: 'jitter', title: 'Jitter', note: 'above 50 ms is a note', range: most => [0, Math.max(60, most * 1.15)], limits: [50], text: jitterText, worst: values => Math.max(...values), color: '--chart-jitter' },
];

/** A colour of the present theme, as a canvas takes it. */
function style(name: string): string {
  probe.style.color = `var(${name})`;
  if (!probe.isConnected) document.body.append(probe);
  return getComputedStyle(probe).color;
}
const probe = h('span', { hidden: true });
const clock = (ms: number) => new Date(ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
export { clock };

export class Charts {
  private plots: { kind: Kind; plot: uPlot; value: HTMLElement; figure: HTMLElement }[] = [];
  private samples: readonly Sample[] = [];
  private happenings: readonly Happening[] = [];
  private end = 0;
  /** The length of time that is shown, ms; 0 = the whole call. */
  private span = 0;
  private readonly resize: ResizeObserver;

  constructor(private readonly root: HTMLElement) {
    this.resize = new ResizeObserver(() => {
      for (const { plot } of this.plots) plot.setSize({ width: this.width(), height: plot.height });
    });
    this.build();
    this.resize.observe(root);
  }

  destroy(): void {
    this.resize.disconnect();
    for (const { plot } of this.plots) plot.destroy();
    this.plots = [];
  }

  /** Draws with the colours of the present theme. */
  recolour(): void {
    for (const { plot } of this.plots) plot.destroy();
    this.build();
    this.show(this.samples, this.happenings, this.end);
  }

  zoom(span: number): void {
    this.span = span;
    this.show(this.samples, this.happenings, this.end);
  }

  show(samples: readonly Sample[], happenings: readonly Happening[], end: number): void {
    this.samples = samples;
    this.happenings = happenings;
    this.end = end;
    const begin = this.span > 0 ? end - this.span : Math.min(samples[0]?.at_ms ?? end, end - 60_000);
    const times = samples.map(sample => sample.at_ms / 1000);
    for (const { kind, plot, value, figure } of this.plots) {
      const values = samples.map(sample => sample[kind.key] ?? null);
      plot.batch(() => {
        plot.setData([times, values], false);
        plot.setScale('x', { min: begin / 1000, max: end / 1000 });
      });
      const known = values.filter((each): each is number => each !== null);
      const now = kind.text(samples.at(-1)?.[kind.key]);
      const worst = known.length > 0 ? kind.text(kind.worst(known)) : '–';
      fill(value, h('b', {}, now), h('span', { class: 'worst' }, `worst ${worst}`));
      figure.setAttribute('aria-label', `${kind.title} over time: now ${now}, worst ${worst}; ${kind.note}`);
    }
  }

  private width(): number { return Math.max(220, this.root.clientWidth); }

  private build(): void {
    const sync = uPlot.sync('call');
    fill(this.root);
    this.plots = KINDS.map((kind, index) => {
      const value = h('span', { class: 'now' });
      const place = h('div', { class: 'plot' });
      const figure = h('figure', { class: 'chart', role: 'img' }, h('div', { class: 'chart-head' }, h('span', { class: 'chart-title' }, kind.title), value, h('span', { class: 'chart-note' }, kind.note)), place);
      this.root.append(figure);
      const plot = new uPlot(this.options(kind, sync, index === KINDS.length - 1), [[], []], place);
      sync.sub(plot);
      return { kind, plot, value, figure };
    });
  }

  private options(kind: Kind, sync: uPlot.SyncPubSub, hasTimes: boolean): uPlot.Options {
    const muted = style('--muted');
    const grid = { stroke: style('--grid'), width: 1 };
    const font = `11px ${getComputedStyle(document.documentElement).fontFamily}`;
    const line = style(kind.color);
    return {
      width: this.width(), height: hasTimes ? 118 : 92, padding: [6, 8, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: sync.key, setSeries: false }, drag: { x: false, y: false }, y: false, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (_, __, most) => kind.range(most ?? 0) } },
      axes: [
        { show: true, size: hasTimes ? 26 : 4, stroke: muted, grid, font, ticks: { show: false }, space: 70, values: hasTimes ? (_, ticks) => ticks.map(tick => clock(tick * 1000)) : () => [] },
        { size: 34, stroke: muted, grid, font, ticks: { show: false }, space: 26, splits: (_, __, low, high) => marks(low, high, kind.limits) },
      ],
      series: [{}, { stroke: line, width: 1.75, fill: style(`${kind.color}-ground`), fillTo: () => (kind.key === 'mos' ? 1 : 0), points: { show: (plot) => plot.data[0].length < 3, size: 6, fill: line }, spanGaps: false }],
      hooks: {
        drawClear: [plot => this.ground(plot)],
        draw: [plot => this.limits(plot, kind)],
        setCursor: [plot => this.read(plot, kind)],
      },
    };
  }

  /** The verdicts as the ground of a chart. */
  private ground(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const band of bands(this.samples, this.end)) {
      const from = plot.valToPos(band.from / 1000, 'x', true);
      const to = plot.valToPos(band.to / 1000, 'x', true);
      ctx.fillStyle = style(band.severity === 'fault' ? '--band-fault' : '--band-note');
      ctx.fillRect(from, bbox.top, Math.max(1, to - from), bbox.height);
    }
    ctx.restore();
  }

  private limits(plot: uPlot, kind: Kind): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.strokeStyle = style('--limit');
    for (const limit of kind.limits) {
      const y = Math.round(plot.valToPos(limit, 'y', true));
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.strokeStyle = style('--happening');
    for (const happening of this.happenings) {
      const x = Math.round(plot.valToPos(happening.at_ms / 1000, 'x', true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  /** Shows the value under the cursor in place of the newest one. */
  private read(plot: uPlot, kind: Kind): void {
    const own = this.plots.find(each => each.plot === plot);
    if (!own) return;
    const at = plot.cursor.idx;
    const sample = at === null || at === undefined ? undefined : this.samples[at];
    own.figure.classList.toggle('reading', sample !== undefined);
    if (!sample) {
      const bold = own.value.querySelector('b');
      if (bold) bold.textContent = kind.text(this.samples.at(-1)?.[kind.key]);
      return;
    }
    const bold = own.value.querySelector('b');
    if (bold) bold.textContent = `${kind.text(sample[kind.key])} at ${clock(sample.at_ms)}`;
  }
}
