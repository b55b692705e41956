// SPDX-License-Identifier: Apache-2.0
// Joins the parts: asks for the board, listens to events, follows the address (#/ is the list, #/call/ID one call), and
// takes keys.
//
// Where the relay has GET /events, each event brings a fresh board at once, and the board is asked for every second
// besides. Otherwise it is asked for every 0.6 s. A reply has only rows that are news.
import * as api from './api.ts';
import { CallView } from './detail.ts';
import { by, fill, h, icon, say } from './dom.ts';
import { FleetView } from './fleet.ts';
import { type Fields, severity, title, words } from './happening.ts';
import { Trails } from './history.ts';
import { CallList, linkTo } from './list.ts';
import { type Board, Calls, duration } from './model.ts';

const POLL = 600;
const POLL_WITH_EVENTS = 1000;
const POLL_HIDDEN = 10_000;
const PAUSE = 150;
/** Least time between two boards, however many events come. */
const GAP = 400;
const LIMITS = [300, 500] as const;

const calls = new Calls();
const trails = new Trails();
const fleet = new FleetView();
const now = () => Date.now() + calls.skew;
const list = new CallList(by('groups'), by('empty'));
const view = new CallView(by('call'), now, failed);

let match = '';
let limit: number = LIMITS[0];
let hasEvents = false;
let lastEvent = '';
let answeredAt = 0;
let askedAt = 0;
let isAsking = false;
let isWanted = false;
let timer = 0;
let dueAt = 0;

// ---- asking

function failed(why: unknown): void {
  if (why instanceof api.NeedsToken) askForToken(api.token.get() !== '');
}

/** Asks for a board after so many ms; an earlier date that was set already stays. */
function soon(delay: number): void {
  if (isAsking) { isWanted ||= delay <= GAP; return; }
  if (timer !== 0 && dueAt <= Date.now() + delay) return;
  clearTimeout(timer);
  dueAt = Date.now() + delay;
  timer = window.setTimeout(() => void refresh(), delay);
}

async function refresh(): Promise<void> {
  isAsking = true;
  timer = 0;
  isWanted = false;
  askedAt = Date.now();
  let delay = document.hidden ? POLL_HIDDEN : hasEvents ? POLL_WITH_EVENTS : POLL;
  const asked = { match, limit };
  let board: Board | null = null;
  try {
    board = await api.board(calls.cursor, match, limit);
  } catch (why) {
    if (why instanceof api.NeedsToken) { isAsking = false; failed(why); return; }
    delay = Math.max(delay, 2000);
  }
  isAsking = false;
  if (board && (asked.match !== match || asked.limit !== limit)) { soon(0); return; }
  soon(isWanted ? PAUSE : delay);
  if (board) take(board);
  status();
}

function take(board: Board): void {
  const changed = calls.take(board, Date.now());
  answeredAt = Date.now();
  if (calls.cursor === '' && calls.total > 0) soon(PAUSE);
  trails.note(calls.rows.values(), now());
  list.show(calls, changed, now());
  fleet.take(board, calls, match);
  update();
}

/** Shows what follows from the list. */
function update(): void {
  const callId = wanted();
  const row = callId ? calls.byCallId(callId) : undefined;
  view.update(row, row && trails.of(row.id, now()));
  by('more').hidden = calls.order.length >= calls.found;
  say(by('more-text'), `The worst ${calls.order.length} of ${calls.found} calls are shown.`);
  by('more-button').hidden = limit === LIMITS[1];
}

// ---- events

async function listen(): Promise<void> {
  let wait = 1000;
  for (;;) {
    try {
      await api.events(lastEvent, hear, () => { hasEvents = true; wait = 1000; status(); });
    } catch (why) {
      if (why instanceof api.NotThere) { hasEvents = false; status(); return; }
      if (why instanceof api.NeedsToken) return;
    }
    hasEvents = false;
    status();
    await new Promise(done => setTimeout(done, wait));
    wait = Math.min(wait * 2, 15_000);
  }
}

function hear(event: { id: string; type: string; data: string }): void {
  lastEvent = event.id;
  soon(Math.max(60, GAP - (Date.now() - askedAt)));
  let told: Fields;
  try { told = JSON.parse(event.data) as Fields; } catch { return; }
  const callId = told['call-id'];
  const row = typeof callId === 'string' ? calls.byCallId(callId) : undefined;
  if (!row) return;
  const text = words(event.type, told);
  const time = typeof told['time'] === 'string' ? Date.parse(told['time']) : NaN;
  trails.of(row.id, now()).tell({ at_ms: Number.isNaN(time) ? now() : time, type: event.type, text, severity: severity(event.type, told) });
  if (view.shown === row.call_id) { view.log(); say(by('spoken'), `${title(event.type)}: ${text}`); }
}

// ---- what is shown

/** The Call-ID that the address names; empty = the list. */
function wanted(): string {
  const match = /^#\/call\/(.+)$/.exec(location.hash);
  if (!match) return '';
  try { return decodeURIComponent(match[1]!); } catch { return ''; }
}

function route(): void {
  const callId = wanted();
  document.body.classList.toggle('looking', callId !== '');
  list.choose(callId);
  if (!callId) { view.close(); return; }
  const row = calls.byCallId(callId);
  view.open(callId, row, row && trails.of(row.id, now()));
}

function status(): void {
  const old = Date.now() - answeredAt;
  const isLost = answeredAt > 0 && old > 4000 && !document.hidden;
  by('status').dataset['state'] = isLost ? 'lost' : hasEvents ? 'live' : 'polling';
  say(by('status-text'), answeredAt === 0 ? 'connecting' : isLost ? `no answer for ${duration(old)}` : hasEvents ? 'live' : 'live, by polling');
}

function askForToken(wasWrong: boolean): void {
  const dialog = by<HTMLDialogElement>('token');
  say(by('token-error'), wasWrong ? 'The relay refuses this token.' : '');
  by('token-error').hidden = !wasWrong;
  api.token.clear();
  by('token-input').setAttribute('aria-invalid', String(wasWrong));
  if (!dialog.open) dialog.showModal();
}

function begin(): void {
  void refresh();
  void listen();
  const ask = () => void api.statistics().then(reply => fleet.explain(reply), () => undefined);
  ask();
  setInterval(() => { if (!document.hidden) ask(); }, 10_000);
}

// ---- the theme

type Theme = 'auto' | 'light' | 'dark';
const THEMES: readonly Theme[] = ['auto', 'light', 'dark'];
const darkens = matchMedia('(prefers-color-scheme: dark)');

function theme(): Theme {
  const kept = localStorage.getItem('rtpferry-theme');
  return THEMES.find(each => each === kept) ?? 'auto';
}

function paint(): void {
  const isDark = theme() === 'dark' || (theme() === 'auto' && darkens.matches);
  document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
  const button = by('theme');
  fill(button, icon(isDark ? 'moon' : 'sun'), h('span', { class: 'unseen' }, `Colours: ${theme() === 'auto' ? 'as the system' : theme()}. Change them`));
  view.recolour();
}

function nextTheme(): void {
  localStorage.setItem('rtpferry-theme', THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]!);
  paint();
}

// ---- keys

function help(): void {
  const dialog = by<HTMLDialogElement>('help');
  dialog.open ? dialog.close() : dialog.showModal();
}

const KEYS: Record<string, () => void> = {
  j: () => list.move(1), ArrowDown: () => list.move(1),
  k: () => list.move(-1), ArrowUp: () => list.move(-1),
  '/': () => by('search').focus(),
  t: nextTheme, '?': help,
  // The worst call, wherever one is.
  w: () => { const row = calls.rows.get(calls.order[0]!); if (row) location.hash = linkTo(row.call_id); },
};

function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  const isTyping = target.matches('input, textarea');
  if (document.querySelector('dialog[open]')) return;
  if (event.key === 'Escape') {
    if (isTyping) { target.blur(); return; }
    const callId = wanted();
    location.hash = '#/';
    document.querySelector<HTMLElement>(`a.call[data-call="${CSS.escape(callId)}"]`)?.focus();
    return;
  }
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.startsWith('Arrow') && target.closest('#call')) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

// ---- the beginning

let typing = 0;
by<HTMLInputElement>('search').addEventListener('input', event => {
  clearTimeout(typing);
  typing = window.setTimeout(() => {
    match = (event.target as HTMLInputElement).value.trim();
    calls.clear();
    soon(0);
  }, 150);
});
by('more-button').addEventListener('click', () => { limit = LIMITS[1]; calls.cursor = ''; soon(0); });
by('theme').addEventListener('click', nextTheme);
by('help-button').addEventListener('click', help);
by('help-close').addEventListener('click', help);
by('token-form').addEventListener('submit', event => {
  event.preventDefault();
  const input = by<HTMLInputElement>('token-input');
  api.token.set(input.value.trim());
  input.value = '';
  by<HTMLDialogElement>('token').close();
  begin();
});
by('token').addEventListener('cancel', event => event.preventDefault());
darkens.addEventListener('change', paint);
addEventListener('hashchange', route);
addEventListener('keydown', onKey);
document.addEventListener('visibilitychange', () => { if (!document.hidden) soon(0); });
setInterval(() => { list.tick(now()); view.tick(); status(); }, 1000);

paint();
status();
route();
api.lacksToken().then(lacks => (lacks ? askForToken(false) : begin()), () => begin());
