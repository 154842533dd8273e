// Conformance 8.4, and the floods of 8.3, through real sockets: whatever a client does,
// the broker holds no more than its limits say, and everybody else goes on.

import { readFile } from 'node:fs/promises';
import { type MemoryPair, memoryPair } from '@stompbox/transport';
import { type RawClient, turn } from 'testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { ackOf, bye, fill, next, type Place, passing, place, queueNames, theError, told, until } from './support.ts';

const KIB = 1024;
const MIB = KIB * KIB;

const open: Place[] = [];
async function at(options: Parameters<typeof place>[0] = {}): Promise<Place> {
  const here = await place(options);
  open.push(here);
  return here;
}
afterEach(async () => {
  for (const here of open.splice(0)) await here.close();
});

const queue = (here: Place, name: string) => here.broker.inspect.queues().find((one) => one.name === name);

describe('8.3: floods of frames end at a limit', () => {
  const numbered = (frame: (i: number) => string, n = 1_000) => Array.from({ length: n }, (_, i) => frame(i)).join('');

  for (const [id, says, first, flood, error] of [
    ['M-73', '10^6 BEGINs', '', numbered((i) => `BEGIN\ntransaction:${i}\n\n\0`), /maxTransactions/],
    [
      'M-73',
      'one transaction with 10^7 SENDs',
      'BEGIN\ntransaction:t\n\n\0',
      numbered(() => 'SEND\ndestination:/queue/t\ntransaction:t\n\n\0'),
      /maxTransactionFrames/,
    ],
    [
      'M-73',
      'one transaction of 1 GiB',
      'BEGIN\ntransaction:t\n\n\0',
      `SEND\ndestination:/queue/t\ntransaction:t\n\n${'x'.repeat(MIB)}\0`,
      /maxTransactionBytes/,
    ],
    [
      'M-77',
      '10^6 SUBSCRIBEs',
      '',
      numbered((i) => `SUBSCRIBE\nid:${i}\ndestination:/queue/${i}\n\n\0`, 1_100),
      /maxSubscriptions/,
    ],
    [
      'M-77',
      '10^6 SUBSCRIBEs to topics',
      '',
      numbered((i) => `SUBSCRIBE\nid:${i}\ndestination:/topic/a.*.${i}\n\n\0`, 1_100),
      /maxSubscriptions/,
    ],
    [
      'M-95',
      '10^5 temporary queues',
      '',
      numbered((i) => `SUBSCRIBE\nid:${i}\ndestination:/temp-queue/${i}\n\n\0`),
      /maxTempQueues/,
    ],
    [
      'M-95',
      '10^5 reply addresses',
      '',
      numbered((i) => `SEND\ndestination:/topic/x\nreply-to:/temp-queue/${i}\n\n\0`),
      /maxTempQueues/,
    ],
    [
      'M-93',
      'an endless SEND to a queue without a consumer',
      '',
      numbered(() => 'SEND\ndestination:/queue/full\n\nx\0'),
      /maxQueueMessages/,
    ],
    [
      'M-93',
      'an endless SEND of large bodies',
      '',
      `SEND\ndestination:/queue/full\n\n${'x'.repeat(300 * KIB)}\0`,
      /maxQueueBytes/,
    ],
  ] as const) {
    test(`${id}: ${says}`, async () => {
      const here = await at({ limits: { maxQueueMessages: 5_000, maxQueueBytes: 8 * MIB } });
      for (const url of [here.tcp, here.ws]) {
        const client = await here.connected('1.2', { url });
        await client.write(first);
        const sent = await client.flood(flood, 64 * MIB);
        theError(await client.end(), error);
        expect(sent).toBeLessThan(60 * MIB);
        await here.clock.advance(1_000); // lingerMs
        await here.greets();
      }
      const kept = queue(here, 'full');
      if (id === 'M-93') expect(kept?.waiting).toBeGreaterThan(0);
      else expect(queueNames(here)).toEqual(['bystander']);
      expect(kept?.waiting ?? 0).toBeLessThanOrEqual(5_000);
      expect(here.broker.inspect.bytes).toBeLessThanOrEqual(8 * MIB);
      await here.unharmed();
    });
  }

  test('M-93: all that was confirmed before the queue was full is in it', async () => {
    const here = await at({ limits: { maxQueueMessages: 100 } });
    const client = await here.connected();
    for (let i = 0; i < 200; i++) await client.write(`SEND\ndestination:/queue/full\nreceipt:${i}\n\n${i}\0`);
    const error = theError(await client.end(), /\/queue\/full.*maxQueueMessages/);
    expect(error.headers.get('receipt-id')).toBe('100');
    expect(client.frames.filter(({ command }) => command === 'RECEIPT').length).toBe(100);
    expect(queue(here, 'full')).toMatchObject({ waiting: 100 });
    await here.unharmed();
  });

  test('M-93: many queues together end at maxMemoryBytes, and at maxQueues', async () => {
    const here = await at({ limits: { maxMemoryBytes: 4 * MIB, maxQueues: 200 } });
    for (const [body, error] of [
      ['x'.repeat(100 * KIB), /maxMemoryBytes/],
      ['', /maxQueues/],
    ] as const) {
      const client = await here.connected();
      const name = body === '' ? 'small' : 'large';
      for (let i = 0; i < 300 && !client.over; i++)
        await client.write(`SEND\ndestination:/queue/${name}.${i}\n\n${body}\0`);
      theError(await client.end(), error);
      await here.clock.advance(1_000); // lingerMs
      expect(here.broker.inspect.bytes).toBeLessThanOrEqual(4 * MIB);
      expect(queueNames(here).length).toBeLessThanOrEqual(200);
    }
    const reader = await here.connected();
    for (const name of queueNames(here).filter((one) => one !== 'bystander'))
      await reader.write(`SUBSCRIBE\nid:${name}\ndestination:/queue/${name}\n\n\0`);
    await until(() => here.broker.inspect.bytes === 0, 'all to be read');
    await bye(reader);
    expect(queueNames(here)).toEqual(['bystander']);
    await here.unharmed();
  });

  test('M-95: a queue that is empty and has no consumer is gone, and so is a topic', async () => {
    const here = await at({ limits: { maxQueues: 10 } });
    const client = await here.connected();
    for (let i = 0; i < 1_000; i++) {
      await client.write(
        `SEND\ndestination:/topic/t${i}\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/q${i}\n\n\0SEND\ndestination:/queue/q${i}\n\n\0`,
      );
      await next(client, 'MESSAGE');
      await client.write('UNSUBSCRIBE\nid:1\n\n\0');
    }
    await told(client, 'SEND', 'destination:/topic/x\n');
    expect(queueNames(here)).toEqual(['bystander']);
    await bye(client);
    await here.unharmed();
  });
});

describe('8.4: who does not read is not waited for with memory', () => {
  const limits = { maxOutputBytes: 64 * KIB, producersWaitAboveBytes: MIB };
  const message = (destination: string) => (i: number) =>
    `SEND\ndestination:${destination}\n\n${i} ${'x'.repeat(KIB)}\0`;
  const MOST = 64 * KIB; // messages of 1 KiB

  for (const ack of ['auto', 'client-individual']) {
    test(`M-90: a queue subscriber that never reads slows its producer, and loses nothing (${ack})`, async () => {
      const here = await at({ limits });
      const lazy = await here.connected();
      await told(lazy, 'SUBSCRIBE', `id:1\ndestination:/queue/slow\nack:${ack}\nprefetch-count:65535\n`);
      lazy.pause();
      const producer = await here.connected();
      const sent = await fill(producer, message('/queue/slow'), MOST);
      expect(sent).toBeLessThan(MOST);
      expect(here.broker.inspect.bytes).toBeLessThan(2 * MIB);
      await here.greets();
      let read = 0;
      lazy.resume();
      while (read < sent) {
        const one = await next(lazy, 'MESSAGE');
        expect(one.body.startsWith(`${read++} `)).toBe(true);
        if (ack !== 'auto') void lazy.write(`ACK\n${ackOf(one)}\n\0`);
      }
      await bye(producer, lazy);
      expect(queueNames(here)).toEqual(['bystander']);
      await here.unharmed();
    });
  }

  test('M-90: a topic subscriber that never reads is given up after a grace, and the others miss nothing', async () => {
    const here = await at({ limits });
    const [lazy, keen] = [await here.connected(), await here.connected()];
    for (const client of [lazy, keen]) await told(client, 'SUBSCRIBE', 'id:1\ndestination:/topic/slow\n');
    lazy.pause();
    const producer = await here.connected();
    const sent = await fill(producer, message('/topic/slow'), MOST);
    expect(sent).toBeLessThan(MOST); // it waits
    expect(here.broker.inspect.bytes).toBeLessThan(4 * MIB);
    await here.greets(); // nobody else does
    await passing(here, () => here.broker.stats().connections === 3, 60_000); // slowConsumerGraceMs, then lingerMs
    await told(producer, 'SEND', 'destination:/topic/slow\n', 'last');
    await until(() => keen.frames.some(({ body }) => body === 'last'), 'the last message', 20_000);
    const bodies = keen.frames.filter(({ command }) => command === 'MESSAGE');
    expect(bodies.length).toBe(sent + 1);
    lazy.reset();
    await bye(producer, keen);
    await here.unharmed();
  });

  test('M-90: topic backlogs together stay below maxMemoryBytes', async () => {
    const here = await at({ limits: { ...limits, maxMemoryBytes: 4 * MIB, producersWaitAboveBytes: 2 * MIB } });
    const lazy: RawClient[] = [];
    const producers: RawClient[] = [];
    for (let i = 0; i < 6; i++) {
      const client = await here.connected();
      await told(client, 'SUBSCRIBE', `id:1\ndestination:/topic/slow.${i}\n`);
      client.pause();
      lazy.push(client);
      producers.push(await here.connected());
    }
    for (let i = 0; i < 6; i++) {
      await fill(producers[i] as RawClient, message(`/topic/slow.${i}`), MOST / 2);
      expect(here.broker.inspect.bytes).toBeLessThan(5 * MIB);
    }
    for (const client of [...lazy, ...producers]) client.reset();
    await until(() => here.broker.inspect.bytes === 0, 'it to be let go');
    await passing(here, () => here.broker.stats().connections === 1, 60_000);
    await here.unharmed();
  });

  test('M-91: who never ACKs gets no more than the prefetch', async () => {
    const here = await at();
    const producer = await here.connected();
    for (let i = 0; i < 1_500; i++) void producer.write(`SEND\ndestination:/queue/p\n\n${i}\0`);
    await told(producer, 'SEND', 'destination:/queue/p\n');
    for (const [headers, prefetch] of [
      ['prefetch-count:5\n', 5],
      ['activemq.prefetchSize:7\n', 7],
      ['', 1_000],
    ] as const) {
      const client = await here.connected();
      await client.write(`SUBSCRIBE\nid:1\ndestination:/queue/p\nack:client\n${headers}\n\0`);
      await client.take(prefetch);
      await told(client, 'SEND', 'destination:/topic/x\n'); // and nothing came before this
      expect(queue(here, 'p')).toMatchObject({ unsettled: prefetch, waiting: 1_501 - prefetch });
      client.reset();
      await until(() => queue(here, 'p')?.unsettled === 0, 'them to go back');
    }
    await bye(producer);
    await here.unharmed();
  });

  test('M-91: a topic subscriber that never ACKs is given up at maxMemoryBytes, and nobody else', async () => {
    const here = await at({ limits: { ...limits, maxMemoryBytes: 8 * MIB } });
    const [hog, keen] = [await here.connected(), await here.connected()];
    await told(hog, 'SUBSCRIBE', 'id:1\ndestination:/topic/slow\nack:client\nprefetch-count:65535\n');
    await told(keen, 'SUBSCRIBE', 'id:1\ndestination:/topic/slow\n');
    const producer = await here.connected();
    let most = 0;
    const sent = await fill(
      producer,
      (i) => {
        most = Math.max(most, here.broker.inspect.bytes);
        return message('/topic/slow')(i);
      },
      16 * KIB,
    );
    theError(await hog.end(), /maxMemoryBytes/);
    expect(most).toBeLessThan(9 * MIB);
    expect(sent).toBe(16 * KIB);
    await until(
      () => keen.frames.filter(({ command }) => command === 'MESSAGE').length === sent,
      'the other to get all',
    );
    await bye(producer, keen);
    expect(here.broker.inspect.bytes).toBe(0);
    await here.unharmed();
  });

  for (const transport of ['tcp', 'ws'] as const) {
    test(`M-92: SENDs with receipts that nobody reads are not read either (${transport})`, async () => {
      const here = await at({ limits });
      const client = await here.connected('1.2', { url: here[transport] });
      client.pause();
      const name = (i: number) => `${i}-${'r'.repeat(KIB)}`;
      const sent = await fill(client, (i) => `SEND\ndestination:/topic/x\nreceipt:${name(i)}\n\n\0`, MOST);
      expect(sent).toBeLessThan(MOST);
      await here.greets();
      client.resume();
      for (let i = 0; i < sent; i++) expect((await next(client, 'RECEIPT')).headers.get('receipt-id')).toBe(name(i));
      await bye(client);
      await here.unharmed();
    });
  }
});

describe('8.4: time and chance', () => {
  test('M-94: a message that is nacked each time becomes a dead letter after maxDeliveries, and says why', async () => {
    const here = await at({ limits: { maxDeliveries: 4 } });
    const consumers = [await here.connected(), await here.connected()];
    await told(consumers[0] as RawClient, 'SEND', 'destination:/queue/poison\n', 'poison');
    let deliveries = 0;
    for (const client of consumers) {
      const { frames } = client;
      client.socket.on('data', () => {
        for (const frame of frames.splice(0).filter(({ command }) => command === 'MESSAGE')) {
          deliveries++;
          void client.write(`NACK\n${ackOf(frame)}\n\0`);
        }
      });
      await client.write('SUBSCRIBE\nid:1\ndestination:/queue/poison\nack:client-individual\n\n\0');
    }
    await until(() => queueNames(here).includes('dlq.poison'), 'the dead letter');
    expect(deliveries).toBe(4);
    expect(queue(here, 'poison')).toMatchObject({ waiting: 0, unsettled: 0 });
    for (const client of consumers) client.finish();
    const reader = await here.connected();
    await reader.write('SUBSCRIBE\nid:1\ndestination:/queue/dlq.poison\n\n\0');
    const { headers, body } = await next(reader, 'MESSAGE');
    expect([body, headers.get('original-destination'), headers.get('dead-letter-reason')]).toEqual([
      'poison',
      '/queue/poison',
      'redeliveries',
    ]);
    await bye(reader);
    await here.unharmed();
    expect(queueNames(here)).toEqual(['bystander']);
  });

  test('M-96: thousands who come and are cut off leave no socket, timer, queue or subscription', async () => {
    const here = await at();
    const sockets = () => process.getActiveResourcesInfo().filter((name) => /TCPSocketWrap/.test(name)).length;
    const before = sockets();
    const stages = [
      '',
      'CONN',
      'CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1000,1000\n\n\0',
      'CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/storm\nack:client\n\n\0BEGIN\ntransaction:t\n\n\0',
      'CONNECT\naccept-version:1.2\nhost:h\n\n\0SUBSCRIBE\nid:1\ndestination:/temp-queue/x\n\n\0SEND\ndestination:/temp-queue/x\n\nhalf',
    ];
    for (let round = 0; round < 40; round++) {
      const crowd = await Promise.all(
        Array.from({ length: 50 }, (_, i) => here.dial(i % 10 === 9 ? here.ws : here.tcp)),
      );
      crowd.forEach((client, i) => void client.write(stages[i % stages.length] ?? ''));
      if (round % 2 === 0) await turn();
      for (const client of crowd) client.reset();
    }
    await until(() => here.broker.stats().connections === 1 && sockets() <= before, 'the storm to be over');
    expect(queueNames(here)).toEqual(['bystander']);
    await here.unharmed();
  });

  test('M-97: a cut cable is found by heart-beats, and what was unsettled goes to somebody else', async () => {
    const here = await at();
    const pair: MemoryPair = memoryPair();
    here.broker.serve(pair.b);
    const heard: string[] = [];
    pair.a.open({ data: (bytes) => heard.push(Buffer.from(bytes).toString()), drain() {}, ended() {}, closed() {} });
    pair.a.write(Buffer.from('CONNECT\naccept-version:1.2\nhost:h\nheart-beat:10000,10000\n\n\0'));
    await until(() => heard.join('').includes('CONNECTED'), 'CONNECTED');
    pair.a.write(
      Buffer.from('SEND\ndestination:/queue/half\n\nx\0SUBSCRIBE\nid:1\ndestination:/queue/half\nack:client\n\n\0'),
    );
    await until(() => heard.join('').includes('MESSAGE'), 'MESSAGE');
    pair.cut('silent');
    const took = await passing(here, () => queue(here, 'half')?.unsettled === 0, 60_000);
    expect(took).toBeGreaterThanOrEqual(20_000); // twice the gap (H-06)
    await passing(here, () => here.broker.stats().connections === 1, 10_000);
    const heir = await here.connected();
    await heir.write('SUBSCRIBE\nid:1\ndestination:/queue/half\n\n\0');
    expect((await next(heir, 'MESSAGE')).headers.get('redelivered')).toBe('true');
    await bye(heir);
    await here.unharmed();
  });

  test.skipIf(process.platform !== 'linux')('M-97: without heart-beats TCP keep-alive watches', async () => {
    const here = await at();
    for (const url of [here.tcp, here.ws]) {
      const client = await here.connected('1.2', { url });
      const hex = (port: number | undefined) => (port ?? 0).toString(16).toUpperCase().padStart(4, '0');
      const between = new RegExp(
        `:${hex(client.socket.remotePort)} \\w+:${hex(client.socket.localPort)} 01 \\S+ (\\d\\d):`,
      );
      let timer: string | undefined;
      // 01 is a retransmission that is due sooner, 02 keep-alive.
      for (let tries = 0; timer !== '02' && tries < 1_000; tries++) {
        timer = between.exec(await readFile('/proc/net/tcp', 'latin1'))?.[1];
        await turn();
      }
      expect(timer).toBe('02');
      await bye(client);
    }
    await here.unharmed();
  });

  test('M-98: a broker that closes answers what it took, tells everybody, and takes no more', async () => {
    const here = await at();
    const busy = [await here.connected(), await here.connected('1.2', { url: here.ws })];
    for (const client of busy) {
      await told(client, 'SUBSCRIBE', 'id:1\ndestination:/queue/busy\nack:client\n');
      for (let i = 0; i < 2_000; i++) void client.write(`SEND\ndestination:/queue/busy\nreceipt:${i}\n\n\0`);
    }
    await until(() => here.broker.stats().received > 100, 'some to be read');
    const closing = here.broker.close();
    expect(here.broker.close()).toBe(closing);
    await expect(here.dial()).rejects.toThrow();
    const ends = await Promise.all([here.bystander, ...busy].map((client) => client.end()));
    await here.clock.advance(1_000); // lingerMs, for those who still send
    await closing;
    let receipts = 0;
    for (const end of ends) {
      theError(end, /shutting down/);
      const named = end.frames
        .map(({ headers }) => headers.get('receipt-id'))
        .filter((id) => id !== undefined && /^\d/.test(id));
      expect(named).toEqual(named.map((_, i) => String(i)));
      receipts += named.length;
    }
    expect(ends[2]?.code).toBe(1001);
    expect(receipts).toBe(here.broker.stats().received);
    expect(here.broker.stats().connections).toBe(0);
    expect(here.clock.alarms).toBe(0);
  });

  test('M-98: a client that does not read does not keep a broker from closing', async () => {
    const here = await at();
    const lazy = await here.connected();
    await told(lazy, 'SUBSCRIBE', 'id:1\ndestination:/topic/x\n');
    lazy.pause();
    const producer = await here.connected();
    await fill(producer, () => `SEND\ndestination:/topic/x\n\n${'x'.repeat(64 * KIB)}\0`, 500, 4);
    let closed = false;
    const closing = here.broker.close().then(() => {
      closed = true;
    });
    await passing(here, () => closed, 20_000);
    await closing;
    expect(here.clock.alarms).toBe(0);
  });
});
