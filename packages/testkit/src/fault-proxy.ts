// A TCP proxy that breaks connections on command. It moves bytes and reads none, so TLS and WebSocket go through as well.
//
//   await using proxy = await FaultProxy.open(broker.url);
//   const connection = await connect(proxy.url);
//   proxy.reset();                                // every open connection
//   proxy.weather = { pieceBytes: 3 };            // open ones and those that come
//   proxy.refuse();                               // ECONNREFUSED, until accept()
//
// fault-proxy-plan.ts does such things at random, the same for the same seed.

import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { dropSocket, Link, resetSocket, type Weather } from './fault-proxy-link.ts';
import type { Breakable } from './fault-proxy-plan.ts';
import { freePorts } from './peers/ports.ts';

export { random } from './cuts.ts';
export { type Breakable, type Fault, type FaultPlanOptions, faultPlan, playFaults } from './fault-proxy-plan.ts';
export type { Link, Weather };

const HOLD_MS = 1_000; // a connection that waits to be overtaken, and never is

/** A connection that was accepted and not forwarded, so that the next one overtakes it. */
interface Held {
  readonly client: Socket;
  readonly timer: NodeJS.Timeout;
}

export class FaultProxy implements AsyncDisposable, Breakable {
  /** The broker's URL with our port in it. */
  readonly url: string;
  readonly port: number;
  #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  readonly #links = new Set<Link>();
  readonly #endings = new Set<() => void>();
  #server: Server | undefined;
  #weather: Weather = {};
  #holdsNext = false;
  #held: Held | undefined;
  #accepted = 0;
  #closing: Promise<void> | undefined;

  private constructor(target: URL, port: number) {
    this.#target = addressOf(target);
    this.port = port;
    const url = new URL(target);
    url.port = `${port}`;
    this.url = url.pathname === '' ? `${url}` : `${url}`.replace(/\/$/, '');
  }

  /** Listens on a free port of 127.0.0.1 and forwards to the host and port of `target`, whatever its scheme. */
  static async open(target: string): Promise<FaultProxy> {
    const [port = 0] = await freePorts(1);
    const proxy = new FaultProxy(new URL(target), port);
    await proxy.accept();
    return proxy;
  }

  /** Connections whose client is there, oldest first. */
  get links(): readonly Link[] {
    return [...this.#links].filter((link) => !link.isOrphan);
  }

  /** How many connections were accepted since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  get weather(): Weather {
    return this.#weather;
  }

  /** For open connections and those that come. `{}` is fair again. */
  set weather(weather: Weather) {
    this.#weather = weather;
    for (const link of this.#links) link.weather = weather;
  }

  /** Connections that come go there from now on: the broker was started again, somewhere else. */
  forwardTo(target: string): void {
    this.#target = addressOf(new URL(target));
  }

  /** Every open connection gets a RST on both sides. */
  reset(): void {
    for (const link of this.links) link.reset();
  }

  /** Every open connection: that side gets a FIN in the middle of whatever it was told. */
  halfClose(side: 'client' | 'broker'): void {
    for (const link of this.links) link.halfClose(side);
  }

  /** Every open connection stays open and forwards nothing more. */
  silence(): void {
    for (const link of this.links) link.silence();
  }

  /** What was held in silence arrives late. */
  heal(): void {
    for (const link of this.#links) link.heal();
  }

  /** The next connection is accepted, and forwarded only after the one that follows it; after a second at the latest. */
  reorder(): void {
    this.#holdsNext = true;
  }

  /** New connections are refused, until `accept()`. Open ones stay. */
  refuse(): void {
    const server = this.#server;
    this.#server = undefined;
    server?.close(); // it stops listening at once; its 'close' would wait for open connections
  }

  async accept(): Promise<void> {
    if (this.#server !== undefined || this.#closing !== undefined) return;
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#came(client));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  /** Ends every socket and every timer. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Calls `fn` when the proxy is closed. Answers how to call it off. */
  onClose(fn: () => void): () => void {
    if (this.#closing === undefined) this.#endings.add(fn);
    else fn();
    return () => void this.#endings.delete(fn);
  }

  async #close(): Promise<void> {
    for (const fn of this.#endings) fn();
    this.refuse();
    clearTimeout(this.#held?.timer);
    const sockets = [...this.#sockets];
    const closed = sockets.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    for (const link of this.#links) link.reset();
    for (const socket of sockets) dropSocket(socket);
    await Promise.all(closed);
  }

  #came(client: Socket): void {
    this.#accepted++;
    this.#keep(client);
    if (this.#closing !== undefined) client.destroy();
    else if (this.#holdsNext) {
      this.#holdsNext = false;
      this.#release();
      this.#held = { client, timer: setTimeout(() => this.#release(), HOLD_MS) };
    } else this.#forward(client);
  }

  #forward(client: Socket): void {
    const broker = new Socket({ allowHalfOpen: true });
    this.#keep(broker);
    const unreachable = () => resetSocket(client);
    broker.once('error', unreachable);
    broker.connect({ ...this.#target, noDelay: true }, () => {
      broker.off('error', unreachable);
      if (client.destroyed) resetSocket(broker);
      else this.#links.add(new Link(client, broker, this.#weather, (link) => this.#links.delete(link)));
      this.#release();
    });
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    clearTimeout(held?.timer);
    if (held !== undefined && !held.client.destroyed) this.#forward(held.client);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

function addressOf({ hostname, port }: URL): { host: string; port: number } {
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
