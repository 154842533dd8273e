import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkDataFile } from '../../src/store/data-file.ts';
import { lmdbStore } from '../../src/store/lmdb.ts';
import { changeAt } from './history.ts';
import { Model, stateOf } from './model.ts';
import { type Program, program } from './process.ts';
import { folder, random } from './support.ts';

const KILLS = Number(process.env.STOMPBOX_KILLS ?? 20);
const SEED = Number(process.env.STOMPBOX_SEED ?? Date.now() % 1e6);
const AT_A_TIME = 8;

let writer: Program;
beforeAll(async () => {
  writer = await program('writer');
});
afterAll(() => writer.remove());

test(`every confirmed change is there after kill -9, and no half one (${KILLS} kills, STOMPBOX_SEED=${SEED})`, async ({
  onTestFinished,
}) => {
  const dir = folder(onTestFinished);
  const dice = random(SEED);
  const model = new Model();
  let kept = 0; // changes in the model
  for (let kill = 0; kill < KILLS; kill++) {
    const child = writer.start(dir, SEED, kept, 'Infinity', AT_A_TIME);
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const ended = once(child, 'exit');
    let confirmed = kept;
    let opened: () => void = () => {};
    const open = new Promise<void>((resolve) => {
      opened = resolve;
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === '<') opened();
      else confirmed = Math.max(confirmed, Number(line.slice(1)) + 1);
    });
    await Promise.race([open, ended]);
    await sleep(dice(120));
    child.kill('SIGKILL');
    const [code, signal] = await ended;
    expect({ code, signal, errors }).toEqual({ code: null, signal: 'SIGKILL', errors: '' });

    checkDataFile(join(dir, 'data.mdb'));
    const store = await lmdbStore({ dir });
    try {
      const found = JSON.stringify(stateOf(store));
      while (kept < confirmed) model.apply(changeAt(SEED, kept++));
      // What was under way when the axe fell is there, or not; but in order, and each of them whole.
      const mostKept = confirmed + 2 * AT_A_TIME;
      while (JSON.stringify(model.state) !== found && kept < mostKept) model.apply(changeAt(SEED, kept++));
      expect(JSON.stringify(model.state) === found, `kill ${kill}: ${confirmed} confirmed, none of ${kept} fits`).toBe(
        true,
      );
    } finally {
      await store.close();
    }
  }
  expect(kept).toBeGreaterThan(KILLS);
}, 120_000);

const canTrace = process.platform === 'linux' && spawnSync('strace', ['-f', 'true']).status === 0;
test.skipIf(!canTrace)(
  'a commit resolves after its pages and then the page that points at them are on the disk',
  async ({ onTestFinished }) => {
    const dir = folder(onTestFinished);
    const data = join(dir, 'data');
    mkdirSync(data);
    const trace = join(dir, 'trace');
    const calls = 'trace=openat,pwrite64,pwritev,writev,fdatasync,write';
    const args = ['-f', '-s', '16', '-e', calls, '-o', trace, process.execPath, writer.file, data, '1', '0', '20', '1'];
    const { status, stderr } = spawnSync('strace', args, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });

    const steps: string[] = [];
    let syncing: string | undefined; // the descriptor whose writes are on the disk when they return
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      if (/openat\(.*data\.mdb.*O_DSYNC/.test(line)) syncing = /= (\d+)$/.exec(line)?.[1];
      const [, call, fd] = /^\d+ +(?:<\.\.\. )?(pwrite64|pwritev|writev|fdatasync|write)\((\d+)/.exec(line) ?? [];
      if (call === 'fdatasync') steps.push('flushed');
      else if (call !== undefined && call !== 'write') steps.push(fd === syncing ? 'pointed' : 'written');
      else if (fd === '1' && line.includes('"=')) steps.push('confirmed');
    }
    const story = steps.join(' ').replace(/written( written)*/g, 'written');
    const perCommit = story.slice(0, story.lastIndexOf('confirmed')).split('confirmed').slice(1);
    expect(perCommit).toEqual(perCommit.map(() => ' written flushed pointed '));
    expect(perCommit.length).toBeGreaterThan(15);
  },
);
