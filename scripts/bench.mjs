// npm run bench: the benchmarks, on a fresh clone too.
//
//   npm run bench                       all of them
//   npm run bench -- codec              one of them
//   npm run bench -- --rounds 3         fewer rounds, for a first look
//   npm run bench -- --messages N       how long the queue of `capacity` is; 10000000 for the claim
//   npm run bench -- --json FILE        every single figure, for other programs
//   npm run bench -- --write            puts the tables of what ran into bench/README.md
//   npm run bench -- --no-build         measures what was built last, whatever the sources say now

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { ensure, Failure, root } from './ensure.mjs';

const NAMES = ['codec', 'client', 'broker', 'durable', 'capacity'];
const README = join(root, 'bench/README.md');
const TABLES = /(?<=<!-- tables -->\n).*(?=<!-- \/tables -->)/s;

try {
  const { names, rounds, messages, json, write, build } = options();
  if (build) ensure();
  const { machine, sections } = await load('harness');
  const found = { machine: machine(), results: [] };
  for (const name of names) {
    const { run } = await load(`${name}.bench`);
    found.results.push(await run({ progress, ...(rounds && { rounds }), ...(messages && { messages }) }));
  }
  progress('');
  const texts = sections(found);
  console.log([...texts.values()].join('\n\n'));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(found, null, 2)}\n`);
  if (write) writeFileSync(README, withSections(readFileSync(README, 'utf8'), texts));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** What did not run keeps the section that it has. */
function withSections(readme, texts) {
  return readme.replace(TABLES, (tables) => {
    const kept = tables.split(/^(?=### )/m).map((text) => [/^### (.*)/.exec(text)?.[1], text.trim()]);
    const all = new Map([...kept.filter(([title]) => title !== undefined), ...texts]);
    return `\n${[...all.values()].join('\n\n')}\n\n`;
  });
}

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        messages: { type: 'string' },
        json: { type: 'string' },
        write: { type: 'boolean', default: false },
        'no-build': { type: 'boolean', default: false },
      },
    });
    const stranger = positionals.find((name) => !NAMES.includes(name));
    if (stranger !== undefined) throw new Failure(`there is no benchmark ${stranger}; there are ${NAMES.join(', ')}`);
    const rounds = atLeast(1, 'rounds', values.rounds);
    const messages = atLeast(1_000_000, 'messages', values.messages);
    return {
      ...values,
      build: !values['no-build'],
      rounds,
      messages,
      names: positionals.length > 0 ? positionals : NAMES,
    };
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(error.message);
  }
}

function atLeast(least, name, given) {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (!(Number.isInteger(value) && value >= least))
    throw new Failure(`--${name} takes a number from ${least} on, not ${given}`);
  return value;
}

function load(name) {
  return import(pathToFileURL(join(root, `bench/${name}.mjs`)));
}

/** One line that is overwritten, where somebody is watching. */
function progress(what) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}
