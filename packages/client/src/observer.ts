// What can be watched on a connection, and what is never shown to a watcher.

import { type Frame, frame, isHandshake } from '@stompbox/protocol';
import type { CloseReason } from './close-reason.ts';

/**
 * Each is called at once, in order, for one connection. Watching changes nothing: the calls are synchronous, so be quick,
 * and what they throw goes to `onError`.
 */
export interface Observer {
  /** CONNECTED came. */
  connected?(frame: Frame): void;
  /** Secrets are masked. A streamed body is not part of its frame. */
  frameSent?(frame: Frame): void;
  frameReceived?(frame: Frame): void;
  heartBeat?(direction: 'sent' | 'received'): void;
  /** A RECEIPT that nobody waits for: never asked for, a second one, or too late (M-132). */
  unexpectedReceipt?(frame: Frame): void;
  /** Reading stopped, since more than the bounds waits for readers. */
  paused?(waiting: { readonly frames: number; readonly bytes: number }): void;
  resumed?(): void;
  /** The last one. */
  closed?(reason: CloseReason): void;
}

const SECRET = /pass|secret|token|authorization|credential/i;

/** The frame as it may be shown: no CONNECT header that looks like a secret keeps its value. */
export function redacted(shown: Frame): Frame {
  if (!isHandshake(shown.command)) return shown;
  return frame(
    shown.command,
    [...shown.headers].map(([name, value]): [string, string] => [name, SECRET.test(name) ? '***' : value]),
  );
}
