// A page with the client in it, on a port of its own.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Site {
  readonly origin: string;
  close(): Promise<void>;
}

/** Serves `script` to every page; `policy` is their Content-Security-Policy. */
export async function serve(script: string, policy?: string): Promise<Site> {
  const server = createServer(({ url }, response) => {
    const [type, content] =
      url === '/stompbox.js'
        ? ['text/javascript', script]
        : ['text/html', '<!doctype html><title>Stompbox</title><script src="/stompbox.js"></script>'];
    const headers = { 'Content-Type': `${type}; charset=utf-8` };
    response.writeHead(200, policy === undefined ? headers : { ...headers, 'Content-Security-Policy': policy });
    response.end(content);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Chromium's arguments. --no-sandbox: root has none. The others: no traffic of its own. */
export const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
