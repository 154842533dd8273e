// What a RECEIPT is worth: the system calls of a broker, in their order.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@stompbox/client';
import { expect, test } from 'vitest';
import { brokers, folder, opened } from './process.ts';

const canTrace = process.platform === 'linux' && spawnSync('strace', ['-f', 'true']).status === 0;
const SENDS = 20;

const { start } = brokers();

test.skipIf(!canTrace)(
  'a RECEIPT is written to the socket after its message was written and flushed (needs strace)',
  async ({ onTestFinished }) => {
    const dir = folder(onTestFinished);
    const data = join(dir, 'data');
    mkdirSync(data);
    const trace = join(dir, 'trace');
    const calls = 'trace=openat,read,pwrite64,pwritev,writev,write,fdatasync';
    const under = ['strace', '-f', '-s', '1024', '-e', calls, '-o', trace];
    const broker = opened(await start(data, { under }));
    const connection = await connect(broker.url);
    for (let n = 0; n < SENDS; n++) {
      const message = { headers: { 'book-id': `number-${n}` } };
      if (n % 2 === 0) await connection.send('/queue/traced', 'body', message);
      else await connection.transaction((transaction) => transaction.send('/queue/traced', 'body', message));
    }
    await connection.close();
    await broker.stop();

    const steps: string[] = [];
    let pointing: string | undefined; // the descriptor whose writes are on the disk when they return (O_DSYNC)
    let slow: string | undefined; // the thread whose such write has not returned
    const files = new Set<string | undefined>();
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      const [, opened] = /openat\(.*data\.mdb.* = (\d+)$/.exec(line) ?? [];
      if (opened !== undefined) files.add(opened);
      if (opened !== undefined && line.includes('O_DSYNC')) pointing = opened;
      const [, call, fd] = /^\d+ +(pwrite64|pwritev|writev|write|fdatasync)\((\d+)/.exec(line) ?? [];
      if (/\bread\b.*\\nreceipt:/.test(line)) steps.push('asked');
      else if (call?.includes('write') && line.includes('"RECEIPT\\n')) steps.push('confirmed');
      else if (call?.includes('write') && files.has(fd)) {
        if (fd !== pointing) steps.push('written');
        else if (line.endsWith('<unfinished ...>')) slow = /^\d+ /.exec(line)?.[0];
        else steps.push('pointed');
      } else if (slow !== undefined && line.startsWith(slow) && /<\.\.\. pwrite.* resumed/.test(line))
        steps.push('pointed');
      else if (/\bfdatasync\b.* = 0$/.test(line)) steps.push('flushed'); // it has returned
    }
    const story = steps.join(' ').replace(/written( written)*/g, 'written');
    const perSend = story.split('asked').slice(1);
    expect(perSend).toHaveLength(SENDS);
    for (const one of perSend) expect(one).toMatch(/^ written flushed pointed confirmed/);
  },
);
