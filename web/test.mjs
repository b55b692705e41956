// SPDX-License-Identifier: Apache-2.0
// Checks the types of src/, then runs ../tests/unit/web/*.test.ts with Node's own runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';

const here = new URL('.', import.meta.url).pathname;
const tests = new URL('../tests/unit/web/', import.meta.url).pathname;
const types = spawnSync(process.execPath, [`${here}node_modules/typescript/bin/tsc`, '--noEmit', '-p', here], { stdio: 'inherit' });
const out = await mkdtemp(`${tmpdir()}/ferry-web-`);
const sources = (await readdir(tests)).filter(name => name.endsWith('.test.ts'));
await build({ entryPoints: sources.map(name => tests + name), bundle: true, platform: 'node', format: 'esm', outdir: out, outExtension: { '.js': '.mjs' }, logLevel: 'error' });
const ran = spawnSync(process.execPath, ['--test', ...sources.map(name => `${out}/${name.replace(/\.ts$/, '.mjs')}`)], { stdio: 'inherit' });
await rm(out, { recursive: true });
process.exit(types.status || ran.status || 0);
