// A broker as a process of its own: `broker <data directory> <URL to listen on> <limits as JSON>`.
// What fails inside goes to stderr.
//
// Lines on stdout: first where it listens, or why it does not; then an answer to each line on stdin. `inspect` shows what
// is there, `stop` closes it in order. It goes when its stdin ends, so it never outlives whoever started it.

import { argv, exit, stderr, stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline';
import { createBroker } from '@stompbox/broker';

const [data = '', url = '', limits = '{}'] = argv.slice(2);

function say(what: unknown): Promise<void> {
  return new Promise((resolve) => stdout.write(`${JSON.stringify(what)}\n`, () => resolve()));
}

const lines = createInterface({ input: stdin });
lines.on('close', () => exit(0));
try {
  const broker = await createBroker({
    data,
    listen: [url],
    limits: JSON.parse(limits),
    onFault: (error) => void stderr.write(`${error}\n`),
  });
  lines.on('line', async (line) => {
    const { inspect } = broker;
    if (line === 'inspect') await say({ queues: inspect.queues(), bytes: inspect.bytes });
    if (line !== 'stop') return;
    await broker.close();
    exit(0);
  });
  await say({ url: broker.urls[0] });
} catch (error) {
  const { name, message, code } = error as Error & { code?: unknown };
  await say({ refused: { name, message, code } });
  exit(1);
}
