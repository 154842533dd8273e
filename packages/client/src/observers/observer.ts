// What can be watched on a connection, and what is never shown to a watcher.
//
//   connecting ─► connected ─► frames, heart-beats, receipts … ─► disconnecting ─► closed
//
//   frameSending ─► checks, books ─► frameSent         frameReceived ─► books, rewriting ─► frameDelivered

import { type Frame, frame } from '@stompbox/protocol';
import type { CloseReason } from '../connection/close-reason.ts';
import type { ConnectionLost } from '../errors.ts';

/** What is told, and with what. In every frame secrets are masked, as `redacted` does; a streamed body is not part of its frame. */
export interface Events {
  /** A channel to that URL is being opened: DNS, TCP, TLS, WebSocket. Not where a channel was handed in. */
  dialling: [url: string];
  /** None could be opened, for this reason. */
  dialFailed: [url: string, error: unknown];
  /** The channel is there, and CONNECT is about to go. `closed` will follow, whatever happens between. */
  connecting: [remote: string];
  /** CONNECTED came. */
  connected: [frame: Frame];
  /** Before a frame is checked and written; `frameSent` does not follow where it is refused. */
  frameSending: [frame: Frame];
  /** A frame was written, as interceptors made it. */
  frameSent: [frame: Frame];
  /** A frame came, and nobody has acted on it yet. */
  frameReceived: [frame: Frame];
  /** It was handed on, as interceptors made it: a MESSAGE waits for its reader, who need not have seen it. */
  frameDelivered: [frame: Frame];
  heartBeat: [direction: 'sent' | 'received'];
  /** The broker was silent for too long (H-05), and the connection is given up. */
  heartBeatLost: [error: ConnectionLost];
  /** The RECEIPT somebody waits for. */
  receipt: [frame: Frame];
  /** A RECEIPT that nobody waits for: never asked for, a second one, or too late (M-132). */
  unexpectedReceipt: [frame: Frame];
  /** The broker sent ERROR. */
  error: [frame: Frame];
  /** Reading stopped, since more than the bounds waits for readers. */
  paused: [waiting: { readonly frames: number; readonly bytes: number }];
  resumed: [];
  /** This side begins to end it, whether by `disconnect()`, `close()` or `destroy()`. */
  disconnecting: [];
  /** It is over: the last one of a connection. */
  closed: [reason: CloseReason];
}

export type EventName = keyof Events;
/** The events that show a frame. */
export type FrameEvent = {
  [Event in EventName]: Events[Event] extends [frame: Frame] ? Event : never;
}[EventName];

/**
 * Each is called at once, in order. Watching changes nothing: the calls are synchronous, so be quick, and what they throw
 * goes to `onError`. What it watches is read when it is hung up.
 */
export type Observer = { readonly [Event in EventName]?: ((...told: Events[Event]) => void) | undefined };

const EACH: { readonly [Event in EventName]: true } = {
  dialling: true,
  dialFailed: true,
  connecting: true,
  connected: true,
  frameSending: true,
  frameSent: true,
  frameReceived: true,
  frameDelivered: true,
  heartBeat: true,
  heartBeatLost: true,
  receipt: true,
  unexpectedReceipt: true,
  error: true,
  paused: true,
  resumed: true,
  disconnecting: true,
  closed: true,
};

/** Their names. */
export const EVENTS: readonly EventName[] = Object.keys(EACH) as EventName[];

const SECRET = /pass|pwd|secret|token|authorization|credential|cookie|api-?key/i;
const MASK = '***';

/** A text as it may be shown: without the password and the telling parameters of URLs in it, or what follows Bearer and Basic. */
export function redactedText(text: string): string {
  return text
    .replace(/(\/\/[^\s/?#:@]*:)[^\s/?#]*@/g, `$1${MASK}@`)
    .replace(/([?&;]([^\s=&;?]+)=)[^\s&;#]+/g, (whole, kept: string, name: string) =>
      SECRET.test(name) ? kept + MASK : whole,
    )
    .replace(/\b(Bearer|Basic)\s+\S+/gi, `$1 ${MASK}`);
}

/**
 * The frame as it may be shown, in which no secret keeps its value: headers whose names speak of one (`passcode`,
 * `authorization`, `x-api-token` …), and what `redactedText` masks in the values of the others. Bodies are left as they are.
 */
export function redacted(shown: Frame): Frame {
  let masked = false;
  const pairs = [...shown.headers].map(([name, value]): [string, string] => {
    const kept = SECRET.test(name) ? MASK : redactedText(value);
    if (kept !== value) masked = true;
    return [name, kept];
  });
  return masked ? frame(shown.command, pairs, shown.body) : shown;
}
