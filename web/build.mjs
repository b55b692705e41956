// SPDX-License-Identifier: Apache-2.0
// Builds dist/ from src/ and uPlot. `--out FOLDER` writes to another folder. The files hold no time and no path, so that
// the same sources give the same octets.
import { build } from 'esbuild';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';

const here = new URL('.', import.meta.url).pathname;
const at = process.argv.indexOf('--out');
const out = at < 0 ? `${here}dist` : process.argv[at + 1];
const uplot = JSON.parse(await readFile(`${here}node_modules/uplot/package.json`, 'utf8'));
const banner = `/*! The web page of rtpferryd, built from web/src (see web/README.md). Apache-2.0. With uPlot ${uplot.version}, MIT, (c) Leon Sorokin. */`;

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const options = { absWorkingDir: here, bundle: true, minify: true, legalComments: 'none', target: ['chrome123', 'firefox121', 'safari17.5'], charset: 'utf8' };
await build({ ...options, entryPoints: ['src/main.ts'], format: 'esm', outfile: `${out}/app.js`, banner: { js: banner } });
const library = await readFile(`${here}node_modules/uplot/dist/uPlot.min.css`, 'utf8');
const own = await readFile(`${here}src/app.css`, 'utf8');
const css = await build({ ...options, stdin: { contents: `${library}\n${own}`, loader: 'css', resolveDir: `${here}src` }, write: false, outfile: `${out}/app.css`, banner: { css: banner } });
await writeFile(`${out}/app.css`, css.outputFiles[0].contents);
for (const name of ['index.html', 'icon.svg']) await cp(`${here}src/${name}`, `${out}/${name}`);
