// SPDX-License-Identifier: Apache-2.0
// The list of calls, worst first. A call in trouble has a card with its sentence, any other one a line. Elements are
// kept by the number of the call: what did not change is not touched, and the focus stays.
import { fill, h, icon, say, unseen } from './dom.ts';
import { type Calls, type Row, type Standing, codecs, duration, endpoint, jitterGrade, jitterText, lossGrade, lossText, mosGrade, mosText, standingOf, titleOf, wordOf } from './model.ts';

export const linkTo = (callId: string) => `#/call/${encodeURIComponent(callId)}`;

interface Item { element: HTMLLIElement; link: HTMLAnchorElement; row: Row; age: HTMLElement; since: HTMLElement | null }
interface Group { element: HTMLElement; count: HTMLElement; list: HTMLUListElement; marked: boolean }

function figure(label: string, text: string, grade: string): HTMLElement {
  return h('span', { class: `figure ${label.toLowerCase()} ${grade}` }, h('span', { class: 'label' }, `${label} `), h('b', {}, text));
}

function way(row: Row): HTMLElement {
  const [a, b, ...more] = row.parties;
  const party = (index: number, name: string | undefined) =>
    h('span', { class: 'party' }, h('span', { class: 'name' }, name ?? '?'), ' ', h('span', { class: 'address' }, endpoint(row.parties[index]?.medias[0])));
  if (!a) return h('span', { class: 'way' }, 'no party yet');
  return h('span', { class: 'way' }, party(0, a.label ?? a.name), b ? h('span', { class: 'between', 'aria-hidden': 'true' }, '⇄') : null,
    b ? party(1, b.label ?? b.name) : null, more.length > 0 ? h('span', { class: 'more' }, `+ ${more.length} more`) : null);
}

/** Lines in trouble are sorted as the relay does; the others by age, so that they stand still. */
const isStill = (standing: Standing) => standing === 'fine' || standing === 'note';

export class CallList {
  private readonly items = new Map<number, Item>();
  private readonly groups = new Map<Standing, Group>();
  private chosen = '';

  constructor(private readonly root: HTMLElement, private readonly empty: HTMLElement) {}

  /** Shows the calls. `changed` are the rows that are news. */
  show(calls: Calls, changed: readonly Row[], now: number): void {
    const news = new Set(changed.map(row => row.id));
    for (const [id, item] of this.items) {
      if (!calls.rows.has(id)) { item.element.remove(); this.items.delete(id); }
    }
    const focused = document.activeElement;
    const groups = calls.groups();
    for (const [standing, group] of this.groups) {
      if (!groups.some(each => each.standing === standing)) { group.element.remove(); this.groups.delete(standing); }
    }
    let before: Element | null = null;
    for (const { standing, rows } of groups) {
      const group = this.group(standing);
      if (group.element.previousElementSibling !== before || group.element.parentElement !== this.root)
        before ? before.after(group.element) : this.root.prepend(group.element);
      before = group.element;
      say(group.count, String(rows.length));
      if (isStill(standing)) rows.sort((a, b) => a.id - b.id);
      let last: Element | null = null;
      for (const row of rows) {
        const item = this.item(row, news.has(row.id), now);
        if (item.element.parentElement !== group.list || item.element.previousElementSibling !== last)
          last ? last.after(item.element) : group.list.prepend(item.element);
        last = item.element;
      }
    }
    this.empty.hidden = calls.order.length > 0;
    this.root.parentElement!.classList.toggle('is-empty', calls.order.length === 0);
    if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected && this.root.contains(focused)) focused.focus({ preventScroll: true });
  }

  /** Renews the times that pass by themselves. `now` is the relay's clock. */
  tick(now: number): void {
    for (const item of this.items.values()) {
      say(item.age, duration(now - item.row.begun_ms));
      if (item.since && item.row.since_ms !== undefined) say(item.since, `for ${duration(now - item.row.since_ms)}`);
    }
  }

  /** Marks the call that is looked at; empty = none. */
  choose(callId: string): void {
    this.chosen = callId;
    for (const item of this.items.values()) this.mark(item);
  }

  /** Moves the focus by so many calls. Returns the link that has it then. */
  move(step: number): HTMLAnchorElement | undefined {
    const links = [...this.root.querySelectorAll<HTMLAnchorElement>('a.call')];
    if (links.length === 0) return undefined;
    let at = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (at < 0) at = links.findIndex(link => link.getAttribute('aria-current') === 'true');
    const link = at < 0 ? links[0]! : links[Math.min(links.length - 1, Math.max(0, at + step))]!;
    link.focus();
    link.scrollIntoView({ block: 'nearest' });
    return link;
  }

  private mark(item: Item): void {
    if (item.row.call_id === this.chosen) item.link.setAttribute('aria-current', 'true');
    else item.link.removeAttribute('aria-current');
  }

  private group(standing: Standing): Group {
    const there = this.groups.get(standing);
    if (there) return there;
    const count = h('span', { class: 'count' });
    const list = h('ul', { class: 'calls' });
    const id = `group-${standing}`;
    const element = h('section', { class: `group ${standing}`, 'aria-labelledby': id }, h('h2', { id }, icon(standing), h('span', {}, titleOf(standing)), ' ', count), list);
    const group = { element, count, list, marked: false };
    this.groups.set(standing, group);
    return group;
  }

  private item(row: Row, isNews: boolean, now: number): Item {
    let item = this.items.get(row.id);
    if (item && !isNews) return item;
    const standing = standingOf(row);
    if (!item) {
      const link = h('a', { class: 'call' });
      const element = h('li', {}, link);
      item = { element, link, row, age: h('span'), since: null };
      this.items.set(row.id, item);
    }
    item.row = row;
    item.link.className = `call ${standing}`;
    item.link.href = linkTo(row.call_id);
    item.link.dataset['call'] = row.call_id;
    item.age = h('b', {}, duration(now - row.begun_ms));
    // Many sentences say the time themselves.
    const isTold = row.sentence?.includes(' since ') ?? false;
    item.since = row.since_ms !== undefined && standing !== 'fine' && !isTold ? h('span', { class: 'since' }, `for ${duration(now - row.since_ms)}`) : null;
    const state = row.deleting ? 'ending' : row.answered ? '' : 'ringing';
    fill(item.link,
      standing === 'fine' ? null : h('span', { class: 'headline' }, h('span', { class: 'badge' }, icon(standing), wordOf(standing)),
        h('span', { class: 'sentence' }, row.sentence ?? row.verdict), item.since),
      h('span', { class: 'id' }, standing === 'fine' ? unseen('fine: ') : null, row.call_id, state ? h('span', { class: 'state' }, state) : null,
        row.recorded ? h('span', { class: 'state recorded' }, 'recorded') : null),
      way(row),
      h('span', { class: 'codec' }, codecs(row) || '–'),
      figure('MOS', mosText(row.figures.mos), mosGrade(row.figures.mos)),
      figure('Loss', lossText(row.figures.loss), lossGrade(row.figures.loss)),
      figure('Jitter', jitterText(row.figures.jitter), jitterGrade(row.figures.jitter)),
      h('span', { class: 'figure age' }, h('span', { class: 'label' }, 'Age '), item.age));
    this.mark(item);
    return item;
  }
}
