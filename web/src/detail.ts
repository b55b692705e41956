// SPDX-License-Identifier: Apache-2.0
// One call: what is wrong in a sentence and what to do, who hears whom, the charts, what happened, and the relay's own
// explanation. The row keeps the figures fresh; the explanation is asked for when the row changes, once in two seconds.
import { Charts, clock } from './charts.ts';
import { NeedsToken, NotThere, type Explanation, type Verdict, explain, show, timeline } from './api.ts';
import { fill, h, icon, say } from './dom.ts';
import { title } from './happening.ts';
import type { Happening, Trail } from './history.ts';
import { type Medium, type Party, type Row, type Way, codecs, duration, jitterGrade, jitterText, lossGrade, lossText, mosGrade, mosText, spaced, standingOf, wordOf } from './model.ts';

const EXPLAIN_EVERY = 2000;
const SPANS: readonly [string, number][] = [['5 min', 300_000], ['30 min', 1_800_000], ['Whole call', 0]];

const severityIcon = (severity: string) => icon(severity === 'fault' ? 'silent' : severity === 'note' ? 'note' : 'fine');

function figures(way: Way | undefined): HTMLElement {
  if (!way || way.loss === undefined) return h('span', { class: 'way-figures' });
  return h('span', { class: 'way-figures' },
    h('span', { class: `figure ${mosGrade(way.mos)}` }, h('span', { class: 'label' }, 'MOS '), h('b', {}, mosText(way.mos))),
    h('span', { class: `figure ${lossGrade(way.loss)}` }, h('b', {}, lossText(way.loss)), h('span', { class: 'label' }, ' lost')),
    h('span', { class: `figure ${jitterGrade(way.jitter)}` }, h('b', {}, jitterText(way.jitter)), h('span', { class: 'label' }, ' jitter')));
}

const HEARD: Record<string, string> = { all: 'hears all', some: 'hears a part', nothing: 'hears nothing' };

function place(title: string, name: string, lines: (string | null | undefined | false)[], extra = ''): HTMLElement {
  return h('div', { class: `place ${extra}` }, h('span', { class: 'role' }, title), h('span', { class: 'who' }, name), ...lines.filter(Boolean).map(line => h('span', { class: 'address' }, line as string)));
}

function hop(way: Way | undefined, words: string): HTMLElement {
  return h('div', { class: `hop ${way?.severity ?? 'none'}` }, figures(way), h('span', { class: 'line', 'aria-hidden': 'true' }, icon('arrow')), h('span', { class: 'hop-note' }, words));
}

function lane(from: Party, said: Medium, to: Party, heard: Medium): HTMLElement {
  const path = said.path === 'kernel' ? 'in the kernel' : said.path === 'user' ? 'in user space' : '';
  return h('li', { class: `lane ${heard.hears?.severity ?? 'none'}` },
    place(`${said.type} from`, from.label ?? from.name, [said.from ?? said.signalled ?? 'no address yet', said.codec && `${said.codec}${said.encrypted ? ', encrypted' : ''}`]),
    hop(said.says, said.says ? spaced(said.says.verdict) : ''),
    place('relay', said.relay ? `port ${said.relay.split(':').at(-1)}` : 'no port', [path, ...(heard.treated ?? [])], 'relay'),
    hop(heard.hears, heard.hears ? spaced(heard.hears.verdict) : ''),
    place(HEARD[heard.hears?.reception ?? ''] ?? 'listener', to.label ?? to.name, [heard.to ?? heard.signalled ?? 'no address yet'], heard.hears?.reception === 'nothing' ? 'deaf' : ''));
}

/** Of two parties each way is a lane; of more, each medium has a line. */
function ways(row: Row): HTMLElement {
  const [a, b] = row.parties;
  if (row.parties.length === 2 && a && b) {
    const lanes = a.medias.flatMap(medium => {
      const other = b.medias.find(each => each.media === medium.media);
      return other && !medium.rejected && !other.rejected ? [lane(a, medium, b, other), lane(b, other, a, medium)] : [];
    });
    if (lanes.length > 0) return h('ul', { class: 'lanes' }, ...lanes);
  }
  return h('ul', { class: 'lanes' }, ...row.parties.flatMap(party => party.medias.map(medium => h('li', { class: `lane parted ${medium.hears?.severity ?? 'none'}` },
    place(medium.type, party.label ?? party.name, [medium.to ?? medium.from ?? medium.signalled ?? 'no address yet', medium.codec]),
    hop(medium.says, `says: ${medium.says ? spaced(medium.says.verdict) : '–'}`), hop(medium.hears, `hears: ${medium.hears ? spaced(medium.hears.verdict) : '–'}`)))));
}

function verdict(each: Verdict): HTMLElement {
  const about = each.direction === 'from' ? `What ${each.leg} sends` : `What ${each.leg} hears`;
  return h('li', { class: `verdict ${each.severity}` },
    h('h4', {}, severityIcon(each.severity), h('span', {}, each.sentence || spaced(each.cause))),
    h('p', { class: 'about' }, `${about} (${each.type}) · `, h('code', {}, each.cause)),
    each.evidence.length > 0 ? h('ul', { class: 'evidence' }, ...each.evidence.map(line => h('li', {}, line))) : null,
    each.severity !== 'fine' && each.advice ? h('p', { class: 'advice' }, h('b', {}, 'What to do: '), each.advice) : null);
}

export class CallView {
  private charts: Charts | null = null;
  private row: Row | null = null;
  private callId = '';
  private trail: Trail | null = null;
  private asked = 0;
  private wanted = false;
  private isGone = false;
  private readonly head = h('div', { class: 'call-head' });
  private readonly lanes = h('div');
  private readonly happened = h('ol', { class: 'happened' });
  private readonly verdicts = h('div', { class: 'verdicts' });
  private readonly plots = h('div', { class: 'charts' });
  private readonly raw = h('pre', { class: 'raw', tabindex: '0', 'aria-label': 'all figures of the call as JSON' });
  private readonly title = h('h2', { class: 'call-title', tabindex: '-1' });
  private age: HTMLElement = h('span');
  private since: HTMLElement | null = null;

  /** `now` is the relay's clock, ms since 1970. */
  constructor(private readonly root: HTMLElement, private readonly now: () => number, private readonly failed: (why: unknown) => void) {}

  /** Shows a call. The row is missing if the list does not have the call (any more). */
  open(callId: string, row: Row | undefined, trail: Trail | undefined): void {
    this.close();
    this.callId = callId;
    this.asked = 0;
    this.isGone = false;
    say(this.title, callId);
    const spans = h('div', { class: 'spans', role: 'group', 'aria-label': 'time that the charts show' }, ...SPANS.map(([name, span]) =>
      h('button', { type: 'button', class: 'span', 'aria-pressed': String(span === 0), onclick: event => this.zoom(event.currentTarget as HTMLElement, span) }, name)));
    const details = h('details', { class: 'all' }, h('summary', {}, 'Everything the relay knows (JSON)'), this.raw);
    details.addEventListener('toggle', () => { if (details.open) void this.tellAll(); });
    fill(this.root,
      h('a', { class: 'back', href: '#/' }, icon('back'), 'All calls'),
      this.head,
      h('section', { class: 'panel', 'aria-labelledby': 'ways-title' }, h('h3', { id: 'ways-title' }, 'Who hears whom'), this.lanes),
      h('section', { class: 'panel', 'aria-labelledby': 'time-title' }, h('div', { class: 'panel-head' }, h('h3', { id: 'time-title' }, 'Timeline'), spans), this.plots,
        h('details', { class: 'log', open: true }, h('summary', {}, 'What happened'), this.happened)),
      h('section', { class: 'panel', 'aria-labelledby': 'why-title' }, h('h3', { id: 'why-title' }, 'The relay’s explanation'), this.verdicts),
      details);
    fill(this.verdicts, h('p', { class: 'quiet' }, 'Asking the relay …'));
    fill(this.raw);
    this.root.hidden = false;
    this.root.scrollTop = 0;
    this.charts = new Charts(this.plots);
    if (row && trail) this.begin(row, trail);
    else { fill(this.head, this.title, h('p', { class: 'quiet' }, 'This call is not in the list: it is over, or it was refused.')); fill(this.lanes); }
    void this.ask();
    this.title.focus({ preventScroll: true });
  }

  close(): void {
    this.charts?.destroy();
    this.charts = null;
    this.row = null;
    this.trail = null;
    this.callId = '';
    this.root.hidden = true;
    fill(this.root);
  }

  get shown(): string { return this.callId; }
  recolour(): void { this.charts?.recolour(); }

  /** Takes the newest row of the call; nothing if it has left the list. */
  update(row: Row | undefined, trail: Trail | undefined): void {
    const now = this.now();
    if (!this.callId) return;
    if (!row) {
      if (this.row && !this.isGone) {
        this.isGone = true;
        this.trail?.tell({ at_ms: now, type: 'call-end', text: '' });
        this.log();
        this.headline();
        void this.ask();
      }
      return;
    }
    this.isGone = false;
    if (row !== this.row && trail) this.row && this.trail === trail ? this.renew(row) : this.begin(row, trail);
    if (now - this.asked > EXPLAIN_EVERY && (this.wanted || row.severity !== 'fine')) void this.ask();
    this.draw();
  }

  tick(): void {
    if (!this.row) return;
    const now = this.now();
    if (!this.isGone) say(this.age, duration(now - this.row.begun_ms));
    if (this.since && this.row.since_ms !== undefined) say(this.since, duration(now - this.row.since_ms));
  }

  log(): void {
    const all: Happening[] = this.trail?.happenings ?? [];
    const items = [...all].reverse().slice(0, 40).map(each => h('li', { class: each.severity ?? '' }, h('time', {}, clock(each.at_ms)), h('b', {}, title(each.type)), h('span', {}, each.text)));
    if (this.row) items.push(h('li', {}, h('time', {}, clock(this.row.begun_ms)), h('b', {}, 'The call began')));
    fill(this.happened, ...items);
  }

  private begin(row: Row, trail: Trail): void {
    this.trail = trail;
    this.renew(row);
    void timeline(row.id).then(reply => {
      if (this.trail !== trail) return;
      trail.precede(reply.samples);
      this.draw();
      this.log();
    }, why => { if (!(why instanceof NotThere)) this.failed(why); });
    this.draw();
  }

  private renew(row: Row): void {
    this.row = row;
    this.wanted = true;
    this.headline();
    fill(this.lanes, ways(row));
    this.log();
  }

  private headline(): void {
    const now = this.now();
    const row = this.row;
    if (!row) return;
    const standing = standingOf(row);
    this.age = h('b', {}, duration(now - row.begun_ms));
    this.since = row.since_ms !== undefined && standing !== 'fine' ? h('b', {}, duration(now - row.since_ms)) : null;
    this.head.className = `call-head ${this.isGone ? 'gone' : standing}`;
    const fact = (name: string, ...value: (Node | string)[]) => h('div', {}, h('dt', {}, name), h('dd', {}, ...value));
    fill(this.head,
      h('p', { class: 'standing' }, this.isGone ? null : icon(standing), this.isGone ? 'this call is over' : wordOf(standing)),
      h('p', { class: 'sentence' }, row.sentence ?? (standing === 'fine' ? 'Everybody hears everybody.' : spaced(row.verdict))),
      row.advice && standing !== 'fine' ? h('p', { class: 'advice' }, h('b', {}, 'What to do: '), row.advice) : null,
      this.title,
      h('dl', { class: 'facts' }, this.since ? fact('Trouble for', this.since) : null, fact('Age', this.age), fact('Codec', codecs(row) || '–'),
        fact('State', row.deleting ? 'ending' : row.answered ? 'answered' : 'ringing'), row.recorded ? fact('Recording', 'on') : null));
  }

  private draw(): void {
    const now = this.now();
    if (this.charts && this.trail) this.charts.show(this.trail.samples, this.trail.happenings, this.isGone ? (this.trail.samples.at(-1)?.at_ms ?? now) : now);
  }

  private zoom(button: HTMLElement, span: number): void {
    for (const each of this.root.querySelectorAll('.span')) each.setAttribute('aria-pressed', String(each === button));
    this.charts?.zoom(span);
  }

  private async ask(): Promise<void> {
    const callId = this.callId;
    this.asked = this.now();
    this.wanted = false;
    try {
      const reply = await explain(callId);
      if (callId === this.callId) this.tell(reply);
    } catch (why) {
      if (callId !== this.callId) return;
      if (why instanceof NeedsToken) this.failed(why);
      else if (why instanceof NotThere) fill(this.verdicts, h('p', { class: 'quiet' }, 'The relay keeps no explanation of this call: it ended well.'));
    }
  }

  private tell(reply: Explanation): void {
    const rank = { fault: 0, note: 1, fine: 2 };
    const sorted = [...reply.verdicts].sort((a, b) => rank[a.severity] - rank[b.severity]);
    const open = new Set([...this.verdicts.querySelectorAll('details[open]')].map(each => each.className));
    const worse = sorted.filter(each => each.severity !== 'fine');
    const fine = sorted.filter(each => each.severity === 'fine');
    fill(this.verdicts,
      !this.row && reply.summary ? h('p', { class: 'sentence' }, reply.summary) : null,
      worse.length > 0 ? h('ul', {}, ...worse.map(verdict)) : null,
      reply.refused?.length ? h('ul', {}, ...reply.refused.map(each => h('li', { class: 'verdict fault' }, h('h4', {}, severityIcon('fault'), h('span', {}, each.sentence ?? each.text ?? '')),
        each.advice ? h('p', { class: 'advice' }, h('b', {}, 'What to do: '), each.advice) : null))) : null,
      fine.length > 0 ? h('details', { class: 'fine-ones', open: open.has('fine-ones') || worse.length === 0 }, h('summary', {}, `${fine.length} of ${sorted.length} directions are fine`), h('ul', {}, ...fine.map(verdict))) : null);
  }

  private async tellAll(): Promise<void> {
    try {
      this.raw.textContent = JSON.stringify(await show(this.callId), null, 2);
    } catch (why) {
      this.raw.textContent = why instanceof NotThere ? 'The call is over.' : String(why);
    }
  }
}
