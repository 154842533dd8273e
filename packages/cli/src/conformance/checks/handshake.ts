// Section 2.1: connecting.

import type { Frame } from '@stompbox/protocol';
import { type Ask, type Bytes, heard, quiet, refusal, same, trip, works } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import { Departure, instead, NotAsked } from '../verdict.ts';

/** What CONNECTED says to these header lines. */
async function connected(ask: Ask, head: string, command = 'CONNECT'): Promise<Frame<'CONNECTED'>> {
  const line = await ask.line();
  line.say(`${command}\n${head}${ask.hello}\n\0`);
  return await heard(line, 'CONNECTED');
}

/** The first words of a connection, which must be refused. */
async function turnedAway(ask: Ask, ...bytes: readonly Bytes[]): Promise<Frame<'ERROR'>> {
  return await refusal(ask, await ask.line(), ...bytes);
}

/** The ERROR for these credentials, whether or not the connection ends with it. */
async function loginError(ask: Ask, login: string, passcode: string): Promise<Frame<'ERROR'>> {
  const line = await ask.line();
  line.say(`CONNECT\naccept-version:1.2\nhost:${ask.site.host}\nlogin:${login}\npasscode:${passcode}\n\n\0`);
  const next = await line.next();
  if (next.is === 'frame' && next.frame.is('CONNECTED')) throw new NotAsked('the broker lets anybody in');
  if (next.is === 'closed') throw new Departure('mute-close', 'the connection was closed without ERROR');
  if (next.is !== 'frame' || !next.frame.is('ERROR')) throw instead('ERROR', next);
  return next.frame;
}

const WRONG = 'wrong-7f3a-passcode';

export const HANDSHAKE: readonly Check[] = [
  {
    ids: ['N-01'],
    versions: ALL,
    async run(ask, version) {
      same('version', (await connected(ask, `accept-version:${version}\n`)).get('version') ?? '1.0', version);
    },
  },
  {
    ids: ['N-02'],
    versions: FROM_11,
    async run(ask, version) {
      same('version', (await connected(ask, `accept-version:${version}\n`, 'STOMP')).get('version'), version);
    },
  },
  {
    ids: ['N-04'],
    async run(ask) {
      await turnedAway(ask, `STOMP\n${ask.hello}\n\0`);
    },
  },
  {
    ids: ['N-05'],
    async run(ask) {
      same('version', (await connected(ask, '')).get('version') ?? '1.0', '1.0');
    },
  },
  {
    ids: ['N-06'],
    async run(ask) {
      same('version', (await connected(ask, 'accept-version:1.0,1.1,2.0\n')).get('version'), '1.1');
      same('version', (await connected(ask, 'accept-version:1.2,1.0,1.1\n')).get('version'), '1.2');
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:1.10\n${ask.hello}\n\0`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('CONNECTED')) {
        throw new Departure('accepted', '1.10 was taken for a version it is not');
      }
    },
  },
  {
    ids: ['N-07'],
    versions: FROM_11,
    async run(ask, version) {
      same('version', (await connected(ask, `accept-version:${version}\n`)).get('version'), version);
    },
  },
  {
    ids: ['N-09'],
    async run(ask) {
      same('version', (await connected(ask, 'accept-version:1.1, 1.2\n')).get('version'), '1.2');
    },
  },
  {
    ids: ['N-10', 'M-46'],
    async run(ask) {
      for (const versions of ['9.9', '', '1.2;1.1']) {
        const error = await turnedAway(ask, `CONNECT\naccept-version:${versions}\n${ask.hello}\n\0`);
        if (!error.headers.has('version')) throw new Departure('otherwise', 'the ERROR has no version header');
      }
    },
  },
  {
    ids: ['N-12', 'M-48'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.credentials}\n\0`);
      const next = await line.next();
      if (next.is === 'frame' && next.frame.is('CONNECTED')) return 'taken';
      if (next.is === 'frame' && next.frame.is('ERROR')) return 'refused with ERROR';
      throw instead('CONNECTED or ERROR', next);
    },
  },
  {
    ids: ['N-13'],
    async run(ask) {
      const error = await loginError(ask, ask.site.login ?? 'somebody', WRONG);
      const said = `${JSON.stringify([...error.headers])}${Buffer.from(error.body).toString('utf8')}`;
      if (said.includes(WRONG)) throw new Departure('otherwise', 'the ERROR repeats the passcode');
    },
  },
  {
    ids: ['N-14'],
    versions: ['1.0'],
    async run(ask) {
      const { headers } = await connected(ask, '');
      if (!headers.get('session')) throw new Departure('otherwise', 'CONNECTED has no session');
    },
  },
  {
    ids: ['N-15'],
    async run(ask) {
      const server = (await connected(ask, 'accept-version:1.2\n')).get('server');
      if (server === undefined) return 'the broker does not say who it is, as it may';
      if (!/^[^\s/]+(\/\S+)?( .*)?$/.test(server))
        throw new Departure('otherwise', `server is ${JSON.stringify(server)}`);
      return undefined;
    },
  },
  {
    ids: ['N-16'],
    async run(ask) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:1.2\nreceipt:hello\n${ask.hello}\n\0`);
      same('receipt-id', (await heard(line, 'CONNECTED')).get('receipt-id'), undefined);
      await quiet(line, 'after CONNECTED');
    },
  },
  {
    ids: ['N-17'],
    async run(ask) {
      const known = ask.site.login ?? 'somebody';
      const unknown = 'nobody-7f3a';
      const told = (error: Frame, login: string): string =>
        `${error.get('message')} ${Buffer.from(error.body).toString('utf8')}`.replaceAll(login, 'X');
      const wrongPasscode = told(await loginError(ask, known, WRONG), known);
      if (wrongPasscode !== told(await loginError(ask, unknown, WRONG), unknown)) {
        throw new Departure('otherwise', 'the ERROR tells an unknown user from a wrong passcode');
      }
      const head = `CONNECT\naccept-version:1.2\nhost:${ask.site.host}\nlogin:${known}\npasscode:${WRONG}\n\n\0`;
      await turnedAway(ask, head);
    },
  },
  {
    ids: ['N-18', 'M-43'],
    async run(ask) {
      await turnedAway(ask, `SEND\n${ask.to(ask.queue())}\nx\0`);
      await turnedAway(ask, 'SUBSCRIBE\nid:1\ndestination:/queue/x\n\n\0');
    },
  },
  {
    ids: ['N-18', 'M-45'],
    versions: FROM_11,
    async run(ask, version) {
      await refusal(ask, await ask.session(version), `CONNECT\naccept-version:${version}\n${ask.hello}\n\0`);
    },
  },
  {
    ids: ['W-13'],
    over: 'websocket',
    async run(ask) {
      await works(ask, await ask.session());
    },
  },
  {
    ids: ['S-10'],
    async run(ask) {
      const error = await turnedAway(ask, 'FOO\nno colon\\n\n\n\0');
      const message = error.get('message');
      if (!message || /\\[nrc]/.test(message)) throw new Departure('otherwise', 'its message is empty or escaped');
    },
  },
  {
    ids: ['S-01'],
    versions: ['1.0'],
    async run(ask, version) {
      const { headers } = await trip(ask, { version });
      if (!headers.get('message-id')) throw new Departure('otherwise', 'MESSAGE has no message-id');
      if (!headers.get('destination')) throw new Departure('otherwise', 'MESSAGE has no destination');
    },
  },
  {
    ids: ['F-07'],
    versions: ['1.0'],
    async run(ask, version) {
      same('subscription', (await trip(ask, { version })).get('subscription'), '1');
    },
  },
];
