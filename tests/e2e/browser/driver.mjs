// SPDX-License-Identifier: Apache-2.0
// Chromium for tests/e2e/browsers.py, webrtc.py and sip_browsers.py. Reads one JSON command a line from standard input and answers each by a
// line: {"id": 1, "page": "a", "do": "open"}, {"id": 2, "page": "a", "do": "call", "name": "offer", "with": {...}}.
// `call` runs a function of page.js. It ends when its input does.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const ORIGIN = 'http://localhost';  // a secure context, served from here
const script = readFileSync(new URL('page.js', import.meta.url), 'utf8');
const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
         '--autoplay-policy=no-user-gesture-required', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${process.argv[3]}`],
});
const pages = new Map();

// JsSIP as one script, made when the first page wants it.
let jssip;
async function bundled() {
  const { build } = await import('esbuild');
  const made = await build({ entryPoints: ['node_modules/jssip/lib/JsSIP.js'], bundle: true, format: 'iife', globalName: 'JsSIP', write: false, logLevel: 'error' });
  return made.outputFiles[0].text;
}

const actions = {
  // With `permitted` the page may use the microphone, so that its candidates show real addresses; else .local names.
  // With `sip` it has JsSIP.
  async open({ page: name, permitted, sip }) {
    const context = await browser.newContext();
    if (permitted) await context.grantPermissions(['microphone', 'camera'], { origin: ORIGIN });
    await context.route(`${ORIGIN}/**`, route => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>test</title>' }));
    if (sip) await context.addInitScript(jssip ??= `${await bundled()}\nwindow.JsSIP = JsSIP;`);
    await context.addInitScript(script);
    const page = await context.newPage();
    await page.goto(`${ORIGIN}/`);
    if (permitted) await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => true));
    pages.set(name, page);
    return browser.version();
  },
  async reload({ page: name }) {
    const page = pages.get(name);
    await page.reload();
    await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => true));
  },
  call: ({ page, name, with: input }) => pages.get(page).evaluate(([f, x]) => window.ferry[f](x), [name, input]),
  async close({ page: name }) {
    await pages.get(name).context().close();
    pages.delete(name);
  },
};

const say = line => process.stdout.write(JSON.stringify(line) + '\n');
say({ ready: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  actions[command.do](command).then(result => say({ id: command.id, result: result ?? null }),
                                    why => say({ id: command.id, error: String(why.message ?? why) }));
}
await browser.close();
