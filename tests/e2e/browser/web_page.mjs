// SPDX-License-Identifier: Apache-2.0
// Chromium for tests/e2e/web_page.py: looks at the relay's web page as an operator does. Reads one JSON command a line
// from standard input and answers each by a line, as driver.mjs does.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [executablePath, address] = process.argv.slice(2);
const axe = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling', '--disable-renderer-backgrounding'],
});
const pages = new Map();
const link = call => `a.call[data-call=${JSON.stringify(call)}]`;

const actions = {
  /** Opens the page. `token` is typed where the page asks for it. axe-core needs a page without its policy. */
  async open({ page: name, width = 1440, height = 900, scheme = 'light', touch = false, scale = 1, token, hash = '', bypassCSP = false }) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, hasTouch: touch, isMobile: touch, deviceScaleFactor: scale, bypassCSP });
    context.setDefaultTimeout(60000);    // a busy machine
    const page = await context.newPage();
    const seen = { complaints: [], hosts: new Set(), tokens: [] };
    page.on('console', message => { if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text()); });
    page.on('pageerror', error => seen.complaints.push(String(error)));
    page.on('dialog', dialog => { seen.complaints.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
    page.on('request', request => seen.hosts.add(new URL(request.url()).host));
    pages.set(name, { page, seen });
    await page.goto(`${address}/${hash}`, { timeout: 90000 });
    if (token !== undefined) {
      await page.locator('#token[open]').waitFor();
      await page.fill('#token-input', token);
      await page.keyboard.press('Enter');
    }
    return true;
  },
  /** Waits until the headline matches. */
  async headline({ page: name, like, timeout = 60000 }) {
    const { page } = pages.get(name);
    await page.waitForFunction(text => new RegExp(text).test(document.getElementById('headline').textContent), like, { timeout });
    return page.textContent('#headline');
  },
  text: ({ page: name, selector }) => pages.get(name).page.locator(selector).first().innerText(),
  count: ({ page: name, selector }) => pages.get(name).page.locator(selector).count(),
  wait: ({ page: name, selector, state = 'visible', timeout = 60000 }) => pages.get(name).page.locator(selector).first().waitFor({ state, timeout }).then(() => true),
  click: ({ page: name, selector }) => pages.get(name).page.locator(selector).first().click().then(() => true),
  fill: ({ page: name, selector, text }) => pages.get(name).page.fill(selector, text).then(() => true),
  press: ({ page: name, key }) => pages.get(name).page.keyboard.press(key).then(() => true),
  hash: ({ page: name, to }) => pages.get(name).page.evaluate(hash => { location.hash = hash; }, to).then(() => true),
  focused: ({ page: name }) => pages.get(name).page.evaluate(() => document.activeElement?.dataset.call ?? document.activeElement?.id ?? ''),
  /** Waits for a call to come or to go; answers when it did. */
  appears: ({ page: name, call }) => pages.get(name).page.locator(link(call)).waitFor({ state: 'attached' }).then(() => true),
  vanishes: ({ page: name, call }) => pages.get(name).page.locator(link(call)).waitFor({ state: 'detached' }).then(() => true),
  /** Looks at the worst call as somebody would who was called at night: the first one in the list. */
  async worst({ page: name }) {
    const { page } = pages.get(name);
    const first = page.locator('a.call').first();
    const call = await first.getAttribute('data-call');
    const sentence = await first.innerText();
    await first.click();
    await page.locator('.verdict').first().waitFor();
    return { call, sentence, clicks: 1, title: await page.textContent('.call-title'), view: await page.locator('#call').innerText() };
  },
  /** What axe-core finds, as rule and place. Lines of calls that are well are all alike: it looks at five of them. */
  async axe({ page: name }) {
    const { page } = pages.get(name);
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run({ include: [document], exclude: [['.group.fine li:nth-child(n+6)']] }, { resultTypes: ['violations'] }));
    return found.violations.flatMap(each => each.nodes.map(node => `${each.id}: ${node.target.join(' ')}`));
  },
  async shot({ page: name, file, full = false }) {
    const { page } = pages.get(name);
    await page.mouse.move(0, 0);
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: file, fullPage: full });
    return true;
  },
  /** True if the page is wider than its window. */
  overflows: ({ page: name }) => pages.get(name).page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
  complaints: ({ page: name }) => pages.get(name).seen.complaints,
  hosts: ({ page: name }) => [...pages.get(name).seen.hosts],
  storage: ({ page: name }) => pages.get(name).page.evaluate(() => ({ session: Object.keys(sessionStorage), local: Object.values(localStorage), cookies: document.cookie, token: sessionStorage.getItem('rtpferry-token') })),
  async close({ page: name }) {
    await pages.get(name).page.context().close();
    pages.delete(name);
    return true;
  },
};

const say = line => process.stdout.write(JSON.stringify(line) + '\n');
say({ ready: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  Promise.resolve().then(() => actions[command.do](command)).then(result => say({ id: command.id, result: result ?? null }), why => say({ id: command.id, error: String(why.message ?? why) }));
}
await browser.close();
