// One connection through the proxy: two sockets and a pipe each way.
//
//   client ══socket══ [ up: queue ─► weather ] ══socket══ broker
//                     [ weather ◄─ queue :down ]
//
// A pipe holds what came until it is due, writes as much as the weather lets through, and stops reading above a bound.
// Whatever a link waits for is one timer a pipe, cleared when the link ends.

import type { Socket } from 'node:net';

/** How bytes travel, both ways. What is not given does not happen. */
export interface Weather {
  /** Every byte is this much later. */
  readonly delayMs?: number;
  /** No write is larger: frames, headers and characters are cut anywhere. */
  readonly pieceBytes?: number;
  readonly bytesPerSecond?: number;
}

const MOST_QUEUED = 1 << 20;
const STEPS_PER_SECOND = 20; // how often a throttled pipe writes

/** What a pipe reads of its link. */
interface Way {
  readonly weather: Weather;
  readonly isSilent: boolean;
}

class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #way: Way;
  readonly #queue: { bytes: Uint8Array; readonly due: number }[] = [];
  #queued = 0;
  #timer: NodeJS.Timeout | undefined;
  #full = false; // the socket said so; 'drain' follows
  #ending = false;
  #ended = false;

  constructor(from: Socket, to: Socket, way: Way) {
    this.#from = from;
    this.#to = to;
    this.#way = way;
    from.on('data', (bytes: Uint8Array) => this.#came(bytes));
    from.on('end', () => {
      this.#ending = true;
      this.pump();
    });
    to.on('drain', () => {
      this.#full = false;
      this.pump();
    });
  }

  /** FIN to the receiver; what is queued, or still comes, goes nowhere. */
  cutOff(): void {
    this.#ended = true;
    this.stop();
    this.#queue.length = this.#queued = 0;
    this.#to.end();
    this.#from.resume();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly pump = (): void => {
    while (this.#timer === undefined && !this.#full && !this.#ended && !this.#way.isSilent) {
      const head = this.#queue[0];
      if (head === undefined) {
        if (this.#ending) this.#end();
        return;
      }
      const early = head.due - performance.now();
      if (early > 0) this.#wait(early);
      else this.#write(head);
    }
  };

  #came(bytes: Uint8Array): void {
    if (this.#ended) return;
    this.#queue.push({ bytes, due: performance.now() + (this.#way.weather.delayMs ?? 0) });
    this.#queued += bytes.length;
    if (this.#queued > MOST_QUEUED) this.#from.pause();
    this.pump();
  }

  #write(head: { bytes: Uint8Array }): void {
    const { pieceBytes = Number.POSITIVE_INFINITY, bytesPerSecond = Number.POSITIVE_INFINITY } = this.#way.weather;
    const most = Math.max(1, Math.min(pieceBytes, Math.floor(bytesPerSecond / STEPS_PER_SECOND)));
    const piece = head.bytes.subarray(0, most);
    if (piece.length === head.bytes.length) this.#queue.shift();
    else head.bytes = head.bytes.subarray(piece.length);
    this.#queued -= piece.length;
    if (this.#queued <= MOST_QUEUED) this.#from.resume();
    this.#full = !this.#to.write(piece);
    if (Number.isFinite(bytesPerSecond)) this.#wait((piece.length / bytesPerSecond) * 1_000);
    else if (piece.length < head.bytes.length) this.#wait(0); // a packet of its own
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.pump();
    }, ms);
  }

  #end(): void {
    this.#ended = true;
    this.#to.end();
  }
}

/** One connection through the proxy, until both its sockets are closed. */
export class Link {
  /** How bytes travel on this link. */
  #weather: Weather;
  #isSilent = false;
  readonly #client: Socket;
  readonly #broker: Socket;
  readonly #up: Pipe;
  readonly #down: Pipe;

  constructor(client: Socket, broker: Socket, weather: Weather, gone: (link: Link) => void) {
    this.#client = client;
    this.#broker = broker;
    this.#weather = weather;
    this.#up = new Pipe(client, broker, this);
    this.#down = new Pipe(broker, client, this);
    const over = (other: Socket, pipe: Pipe) => (failed: boolean) => {
      if (client.closed && broker.closed) {
        this.#up.stop();
        this.#down.stop();
        gone(this);
      }
      // A dead line carries no news of an end either.
      if (this.#isSilent || other.destroyed) return;
      if (failed) resetSocket(other);
      else pipe.pump();
    };
    client.on('error', ignore).on('close', over(broker, this.#up));
    broker.on('error', ignore).on('close', over(client, this.#down));
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    this.#weather = weather;
    this.#pump();
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Nobody is at the client's end, and the broker has not been told. */
  get isOrphan(): boolean {
    return this.#isSilent && (this.#client.readableEnded || this.#client.destroyed);
  }

  /** Both sides get a RST. */
  reset(): void {
    this.#up.stop();
    this.#down.stop();
    resetSocket(this.#client);
    resetSocket(this.#broker);
  }

  /** That side gets a FIN in the middle of whatever it was told, and can go on talking. */
  halfClose(side: 'client' | 'broker'): void {
    (side === 'client' ? this.#down : this.#up).cutOff();
  }

  /** Stays open and forwards nothing more, not even an end. */
  silence(): void {
    this.#isSilent = true;
  }

  /** What was held during the silence arrives late. A side that lost its peer meanwhile gets a RST. */
  heal(): void {
    if (!this.#isSilent) return;
    this.#isSilent = false;
    if (this.#client.destroyed || this.#broker.destroyed) this.reset();
    else this.#pump();
  }

  #pump(): void {
    this.#up.pump();
    this.#down.pump();
  }
}

const resetting = new WeakSet<Socket>();

/**
 * A RST; but no more than an end for one that had its FIN, or that does not read what waits to be written to it, which is
 * dropped: libuv resets none that is shutting down, and Node then leaves the socket open for ever.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed || socket.writableEnded || socket.writableLength > 0) dropSocket(socket);
  else {
    resetting.add(socket);
    socket.resetAndDestroy();
  }
}

/** Closes it at once, if it is not closing already. */
export function dropSocket(socket: Socket): void {
  if (!resetting.has(socket)) socket.destroy();
}

function ignore(): void {} // 'close' follows, and tells
