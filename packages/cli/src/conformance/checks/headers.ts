// Sections 1.2 and 1.3: header lines and their escapes.

import type { Version } from '@stompbox/protocol';
import { type Ask, heard, refusal, same, subscribe, trip } from '../ask.ts';
import { ALL, type Check, FROM_11 } from '../check.ts';
import { Departure } from '../verdict.ts';

/** A SEND with these header lines must be refused. */
async function refused(ask: Ask, version: Version, head: string | Uint8Array): Promise<void> {
  await refusal(ask, await ask.session(version), `SEND\n${ask.to(ask.queue())}`, head, '\n\nx\0');
}

/** A SEND with this header line arrives with this header. */
async function arrives(
  ask: Ask,
  version: Version,
  line: string,
  [name, value]: readonly [string, string],
): Promise<void> {
  same(JSON.stringify(name), (await trip(ask, { version, head: `${line}\n` })).get(name), value);
}

/** The line of a MESSAGE as it was written. */
async function written(ask: Ask, version: Version, line: string, due: string): Promise<void> {
  const queue = ask.queue();
  const session = await ask.session(version);
  await subscribe(ask, session, queue);
  session.say(`SEND\n${ask.to(queue)}${line}\n\nx\0`);
  await heard(session, 'MESSAGE');
  if (!session.raw.includes(`\n${due}\n`)) {
    throw new Departure('otherwise', `MESSAGE does not hold the line ${JSON.stringify(due)}`);
  }
}

export const HEADERS: readonly Check[] = [
  { ids: ['C-20'], versions: FROM_11, run: (ask, version) => arrives(ask, version, 'a\\cb:v', ['a:b', 'v']) },
  { ids: ['C-21', 'M-07'], versions: ALL, run: (ask, version) => refused(ask, version, 'foo') },
  { ids: ['C-22', 'M-09'], versions: ALL, run: (ask, version) => refused(ask, version, ':v') },
  { ids: ['C-23'], versions: FROM_11, run: (ask, version) => arrives(ask, version, 'foo:', ['foo', '']) },
  { ids: ['C-24'], versions: ['1.0'], run: (ask, version) => arrives(ask, version, 'foo:', ['foo', '']) },
  { ids: ['C-25'], versions: ['1.0'], run: (ask, version) => arrives(ask, version, 'foo:a:b', ['foo', 'a:b']) },
  { ids: ['C-26'], versions: FROM_11, run: (ask, version) => written(ask, version, 'foo:a\\cb', 'foo:a\\cb') },
  { ids: ['C-27'], versions: FROM_11, run: (ask, version) => arrives(ask, version, 'foo:a:b', ['foo', 'a:b']) },
  {
    ids: ['C-28'],
    versions: FROM_11,
    async run(ask, version) {
      await arrives(ask, version, 'foo: bar ', ['foo', ' bar ']);
      await arrives(ask, version, 'baz :v', ['baz ', 'v']);
    },
  },
  {
    ids: ['C-29'],
    versions: ['1.0'],
    async run(ask, version) {
      same('foo', (await trip(ask, { version, reader: '1.2', head: 'foo:  bar \n' })).get('foo'), 'bar ');
    },
  },
  { ids: ['C-30'], versions: ['1.0'], run: (ask, version) => written(ask, version, 'foo:bar', 'foo:bar') },
  {
    ids: ['C-31'],
    versions: FROM_11,
    async run(ask, version) {
      await arrives(ask, version, 'foo:World\nfoo:Hello', ['foo', 'World']);
      const other = ask.queue('second');
      const message = await trip(ask, { version, head: `destination:${other}\n` });
      if (message.get('destination') === other) throw new Departure('otherwise', 'the second destination is told');
    },
  },
  {
    ids: ['C-32', 'M-32'],
    versions: ALL,
    async run(ask, version) {
      const head = `SEND\n${ask.to(ask.queue())}`;
      await refusal(ask, await ask.session(version), `${head}content-length:4\ncontent-length:2\n\nabcd\0`);
    },
  },
  {
    ids: ['C-33'],
    versions: FROM_11,
    async run(ask, version) {
      const { headers } = await trip(ask, { version, head: 'foo:1\nbar:2\n' });
      const names = [...headers].map(([name]) => name);
      if (new Set(names).size < names.length) throw new Departure('otherwise', 'a header is repeated');
      if (names.indexOf('foo') < names.indexOf('message-id')) {
        throw new Departure('otherwise', 'headers of the producer come before those of the protocol');
      }
    },
  },
  { ids: ['C-35', 'M-21'], versions: ALL, run: (ask, version) => refused(ask, version, 'foo:a\0b') },
  {
    ids: ['C-36'],
    versions: FROM_11,
    async run(ask, version) {
      const line = await ask.line();
      line.say(`CONNECT\naccept-version:${version}\n${ask.hello}x-odd:a\\tb\\\n\n\0`);
      await heard(line, 'CONNECTED');
    },
  },
  {
    ids: ['C-37', 'M-18'],
    versions: ['1.0'],
    async run(ask, version) {
      same('foo', (await trip(ask, { version, head: 'foo:a\\nb\n' })).get('foo'), 'a\\nb');
    },
  },
  {
    ids: ['C-38'],
    versions: FROM_11,
    run: (ask, version) => arrives(ask, version, 'foo:a\\cb\\nc\\\\d', ['foo', 'a:b\nc\\d']),
  },
  { ids: ['C-39'], run: (ask, version) => arrives(ask, version, 'foo:a\\rb', ['foo', 'a\rb']) },
  { ids: ['C-40', 'M-16'], versions: ['1.1'], run: (ask, version) => refused(ask, version, 'foo:a\\rb') },
  {
    ids: ['C-41', 'M-14', 'M-15'],
    versions: FROM_11,
    async run(ask, version) {
      for (const undefinedOne of ['a\\tb', 'a\\Nb', 'a\\0b', 'ab\\'])
        await refused(ask, version, `foo:${undefinedOne}`);
    },
  },
  {
    ids: ['C-42', 'M-17'],
    versions: FROM_11,
    async run(ask, version) {
      await arrives(ask, version, 'foo:a\\\\nb', ['foo', 'a\\nb']);
      await arrives(ask, version, 'foo:\\\\\\\\c', ['foo', '\\\\c']);
    },
  },
  {
    ids: ['C-45', 'M-81'],
    versions: ['1.0'],
    async run(ask, reader) {
      const { headers } = await trip(ask, { reader, head: 'foo:a\\nplanted\\ctrue\n' });
      if (headers.has('planted')) throw new Departure('accepted', 'a 1.2 producer planted a header with \\n');
      same('foo', headers.get('foo'), 'a planted:true');
    },
  },
  {
    ids: ['C-66', 'M-24'],
    versions: FROM_11,
    async run(ask, version) {
      await arrives(ask, version, 'gr\u00fcn:\u00e9', ['gr\u00fcn', '\u00e9']);
      await refused(ask, version, Buffer.from('foo:\xff\xfe', 'latin1'));
    },
  },
  {
    ids: ['F-03', 'M-80'],
    versions: FROM_11,
    async run(ask, version) {
      const planted = ['subscription', 'ack', 'redelivered'];
      const head = planted.map((name) => `${name}:evil\n`).join('');
      const { headers } = await trip(ask, { version, head: `${head}mine:yes\n` });
      same('mine', headers.get('mine'), 'yes');
      const found = planted.filter((name) => headers.getAll(name).includes('evil'));
      if (found.length > 0) throw new Departure('accepted', `the producer's ${found.join(', ')} came through`);
      const line = await ask.session(version);
      const queue = ask.queue();
      await subscribe(ask, line, queue);
      line.say(`SEND\n${ask.to(queue)}message-id:evil\n\nx\0`);
      const next = await line.next(); // a MESSAGE with an id of the broker's, or ERROR
      if (next.is === 'frame' && next.frame.headers.getAll('message-id').includes('evil')) {
        throw new Departure('accepted', "the producer's message-id came through");
      }
    },
  },
];
