// Ports for servers that cannot be told "any free one".

import { createServer } from 'node:net';

// Below 32768, where Linux starts to hand out ports to outgoing connections: between our look and the server's bind,
// no connection of another test can take one of these.
const FIRST = 20_000;
const COUNT = 12_000;
const TRIES = 200;

/** Different ports on 127.0.0.1 that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries++) {
    if (tries === TRIES)
      throw new Error(`no ${count} free ports in ${FIRST} to ${FIRST + COUNT - 1} after ${TRIES} tries`);
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
