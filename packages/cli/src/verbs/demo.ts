// `npm start`: a broker in memory on this machine, and a small workload that goes
// through the real client and real sockets. What is told is what was counted.

import { type Broker, createBroker } from '@stompbox/broker';
import { type Connection, connect } from '@stompbox/client';
import { TransportError } from '@stompbox/transport';
import type { Command } from 'commander';
import { EXIT, SystemFailure } from '../exit-codes.ts';
import { examples, type House } from '../house.ts';
import type { Terminal } from '../terminal.ts';
import { fired } from '../time.ts';
import { whole } from '../values.ts';

interface DemoOptions {
  /** TCP port; 0 takes a free one. */
  readonly port: number;
  /** WebSocket port; 0 takes a free one. */
  readonly wsPort: number;
}

const DEADLINE = { timeoutMs: 5_000 };

export function demo(program: Command, house: House): void {
  const port = whole(0, 65_535);
  const command = program
    .command('demo')
    .description('a broker in memory on this machine, and a small workload against it')
    .option('-p, --port <port>', 'TCP port of the broker; 0 takes a free one', port, 61_613)
    .option('-w, --ws-port <port>', 'WebSocket port of the broker; 0 takes a free one', port, 61_680)
    .action(house.run<DemoOptions>((_, flags) => show(flags, house)));
  examples(command, [['stompbox demo --port 0 --ws-port 0', 'on free ports']]);
}

/** Runs until interrupted, which is how it is meant to end. */
async function show(options: DemoOptions, house: House): Promise<number> {
  const { out, world } = house;
  let broker: Broker;
  try {
    broker = await createBroker({
      listen: [`tcp://127.0.0.1:${options.port}`, `ws://127.0.0.1:${options.wsPort}/stomp`],
    });
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    const others = 'Choose other ports: npm start -- --port 61700 --ws-port 61701 (0 takes a free one).';
    const hint = error.code === 'address-in-use' ? ` ${others}` : '';
    throw new SystemFailure(`cannot start: ${error.message}.${hint}`, { cause: error });
  }
  const [tcp = '', ws = ''] = broker.urls;
  out.say(out.bold('A STOMP broker in memory, for this machine only'));
  const width = Math.max(tcp.length, ws.length) + 2;
  out.say(`  ${tcp.padEnd(width)}${out.dim('TCP')}`);
  out.say(`  ${ws.padEnd(width)}${out.dim('WebSocket')}`);
  out.say();
  try {
    await workload(tcp, out);
  } catch (error) {
    out.warn(`the workload failed: ${error instanceof Error ? error.message : String(error)}`);
    await broker.close();
    return EXIT.refused;
  }
  howToConnect(tcp, out);
  await fired(world.interrupted);
  const { connections } = broker.stats();
  out.say(`\nStopping${connections === 0 ? '' : `: ${connections} connected; each is told, then closed`}.`);
  await broker.close();
  return EXIT.done;
}

async function workload(url: string, out: Terminal): Promise<void> {
  out.say(out.bold('A small workload, through the client'));
  const open: Connection[] = [];
  const join = async (): Promise<Connection> => {
    const connection = await connect(url);
    open.push(connection);
    return connection;
  };
  const tell = (what: string, outcome: string): void => out.say(`  ${out.good('✓')} ${what.padEnd(14)}${outcome}`);
  try {
    const producer = await join();
    await queue(producer, await join(), await join(), tell);
    await topic(producer, await join(), await join(), tell);
    await transactions(producer, await join(), tell);
  } finally {
    await Promise.all(open.map((connection) => connection.disconnect(DEADLINE)));
  }
  out.say();
}

type Tell = (what: string, outcome: string) => void;

interface Order {
  readonly number: number;
}

const ORDERS = 10;
const REFUSED = 3;

async function queue(producer: Connection, first: Connection, second: Connection, tell: Tell): Promise<void> {
  const shipped = [0, 0];
  let again = '';
  const finished = new Promise<void>((resolve) => {
    for (const [worker, connection] of [first, second].entries()) {
      connection.subscribe<Order>(
        '/queue/orders',
        async (message) => {
          const { number } = message.json();
          if (number === REFUSED && !message.redelivered) {
            await message.nack();
            return;
          }
          if (message.redelivered) again = `came back as delivery ${message.headers.get('delivery-count')}`;
          await message.ack();
          shipped[worker] = (shipped[worker] ?? 0) + 1;
          if (shipped.reduce((sum, n) => sum + n) === ORDERS) resolve();
        },
        { ack: 'client-individual', prefetch: 1 },
      );
    }
  });
  for (let number = 1; number <= ORDERS; number++) await producer.send('/queue/orders', { number });
  await within(finished, 'ten orders to be shipped');
  tell('queue', `${ORDERS} orders sent, each confirmed by a receipt; two workers shipped ${shipped.join(' and ')}`);
  expect(again !== '', `order ${REFUSED} to come back`);
  tell('redelivery', `order ${REFUSED} was nacked, ${again}, and was shipped`);
}

async function topic(producer: Connection, all: Connection, euro: Connection, tell: Tell): Promise<void> {
  const everything = all.subscribe('/topic/prices.>');
  const euros = euro.subscribe('/topic/prices.eur');
  await Promise.all([everything.ready, euros.ready]);
  await producer.send('/topic/prices.eur', '1.07');
  await producer.send('/topic/prices.usd', '1.00');
  const heard = [await everything.next(DEADLINE), await everything.next(DEADLINE)].map((message) => message.text());
  const heardToo = (await euros.next(DEADLINE)).text();
  expect(heard.join() === '1.07,1.00' && heardToo === '1.07', 'the prices to reach both subscribers');
  tell('topic', 'two prices; /topic/prices.> heard both, /topic/prices.eur the one it asked for');
}

async function transactions(producer: Connection, consumer: Connection, tell: Tell): Promise<void> {
  await producer.transaction(async (tx) => {
    for (const bill of ['bill 1', 'bill 2', 'bill 3']) await tx.send('/queue/bills', bill);
  });
  const aborted = await producer.begin();
  await aborted.send('/queue/bills', 'a bill that nobody should get');
  await aborted.abort();
  await producer.send('/queue/bills', 'the last one');
  const bills = consumer.subscribe('/queue/bills');
  const got: string[] = [];
  while (got.at(-1) !== 'the last one') got.push((await bills.next(DEADLINE)).text());
  expect(got.length === 4, 'three bills and the last one');
  tell('transactions', 'one committed: its 3 bills arrived; one aborted: nothing of it did');
}

function expect(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`expected ${what}`);
}

async function within(work: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited 5 s for ${what}`)), DEADLINE.timeoutMs);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function howToConnect(url: string, out: Terminal): void {
  const { hostname, port } = new URL(url);
  out.say(out.bold('The broker stays up. From another terminal, in this folder:'));
  out.say(`  ${out.dim('# send a message, and read it')}`);
  out.say('  node --input-type=module -e "');
  out.say("    import { connect } from '@stompbox/client';");
  out.say(`    const connection = await connect('${url}');`);
  out.say("    await connection.send('/queue/hello', 'hi');");
  out.say("    console.log((await connection.subscribe('/queue/hello').next()).text());");
  out.say('    await connection.disconnect()"');
  out.say(`  ${out.dim('# or any other STOMP client, such as stomp.py (pip install stomp.py)')}`);
  out.say(`  python3 -m stomp -H ${hostname} -P ${port}`);
  out.say();
  out.say(out.dim('Ctrl-C stops it.'));
}
