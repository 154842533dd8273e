// Frames that belong to nobody else, for `receive()` and `for await` of a connection. A body
// that comes in pieces is put together first.

import { Frame, ProtocolError } from '@stompbox/protocol';
import type { Clock } from '../clock.ts';
import { ConnectionLost } from '../errors.ts';
import { type Gauge, Inbox, type WaitOptions } from './inbox.ts';

interface Gathered {
  readonly frame: Frame;
  readonly pieces: Uint8Array[];
  length: number;
}

export class RawInbox {
  readonly #inbox: Inbox<Frame>;
  readonly #maxBodyBytes: number;
  #gathered: Gathered | undefined; // the frame whose pieces are coming
  #isRead = false;

  constructor(shared: { readonly gauge: Gauge; readonly clock: Clock }, maxBodyBytes: number) {
    this.#inbox = new Inbox('a frame', ({ body }) => body.length, shared);
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Somebody has asked for raw frames, so strangers' messages are for him. */
  get isRead(): boolean {
    return this.#isRead;
  }

  async receive(options: WaitOptions): Promise<Frame> {
    this.#isRead = true;
    const next = await this.#inbox.next(options);
    if (next === undefined) throw new ConnectionLost('closed', 'the connection was closed here', { outcome: 'unsent' });
    return next;
  }

  frames(): AsyncIterator<Frame, undefined, undefined> {
    this.#isRead = true;
    return {
      next: async () => {
        const value = await this.#inbox.next();
        return value === undefined ? { done: true, value: undefined } : { done: false, value };
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  /** `streaming`: its body follows with `piece`. */
  put(frame: Frame, streaming: boolean): void {
    if (streaming) this.#gathered = { frame, pieces: [], length: 0 };
    else this.#inbox.put(frame);
  }

  /** The next piece of the body that is coming, if it is one of ours. Answers the error where it grows too large. */
  piece(bytes: Uint8Array, last: boolean): ProtocolError | undefined {
    const gathered = this.#gathered;
    if (gathered === undefined) return undefined;
    if (last) this.#gathered = undefined;
    gathered.pieces.push(bytes);
    gathered.length += bytes.length;
    const most = this.#maxBodyBytes;
    if (gathered.length > most) {
      return new ProtocolError('body-too-large', `a body of more than ${most} bytes came for receive()`);
    }
    if (last) this.#inbox.put(new Frame(gathered.frame.command, gathered.frame.headers, joined(gathered)));
    return undefined;
  }

  /** Nothing more comes; what is here may still be read. */
  end(error: Error | undefined): void {
    this.#inbox.end(error, false);
  }
}

function joined({ pieces, length }: Gathered): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
