// `@stompbox/client/diagnostics`: what an observer sees, on channels of
// `node:diagnostics_channel`, where tools in the process listen without the application's
// help. Node, Deno and Bun; not for browsers.
//
//   hooks.observe('diagnostics', diagnostics());
//
//   channel                        message, besides `label`
//   stompbox:dial:start            { url }
//   stompbox:dial:failed           { url, error }
//   stompbox:connecting            { remote }
//   stompbox:connected             { frame }
//   stompbox:frame:sending         { frame }   also :sent :received :delivered
//   stompbox:heart-beat            { direction }
//   stompbox:heart-beat:lost       { error }
//   stompbox:receipt               { frame }   also stompbox:receipt:unexpected
//   stompbox:error                 { frame }
//   stompbox:reading:paused        { frames, bytes }
//   stompbox:reading:resumed       {}
//   stompbox:disconnecting         {}
//   stompbox:closed                { reason }

import { channel } from 'node:diagnostics_channel';
import type { EventName, Events, FrameEvent, Observer } from './observers/observer.ts';

/** The channel of each event. */
export const CHANNELS: { readonly [Event in EventName]: string } = {
  dialling: 'stompbox:dial:start',
  dialFailed: 'stompbox:dial:failed',
  connecting: 'stompbox:connecting',
  connected: 'stompbox:connected',
  frameSending: 'stompbox:frame:sending',
  frameSent: 'stompbox:frame:sent',
  frameReceived: 'stompbox:frame:received',
  frameDelivered: 'stompbox:frame:delivered',
  heartBeat: 'stompbox:heart-beat',
  heartBeatLost: 'stompbox:heart-beat:lost',
  receipt: 'stompbox:receipt',
  unexpectedReceipt: 'stompbox:receipt:unexpected',
  error: 'stompbox:error',
  paused: 'stompbox:reading:paused',
  resumed: 'stompbox:reading:resumed',
  disconnecting: 'stompbox:disconnecting',
  closed: 'stompbox:closed',
};

export interface DiagnosticsOptions {
  /** In every message, to tell several clients of one process apart. */
  readonly label?: string | undefined;
}

/**
 * An observer that publishes. Secrets are masked before they get here. A channel that nobody subscribes to gets nothing, and
 * costs the masking.
 */
export function diagnostics({ label }: DiagnosticsOptions = {}): Observer {
  const on = <Event extends EventName>(event: Event, message: (...told: Events[Event]) => object) => {
    const to = channel(CHANNELS[event]);
    return (...told: Events[Event]): void => {
      if (to.hasSubscribers) to.publish({ ...message(...told), label });
    };
  };
  const frame = (event: FrameEvent): Observer[FrameEvent] => on(event, (shown) => ({ frame: shown }));
  return {
    dialling: on('dialling', (url) => ({ url })),
    dialFailed: on('dialFailed', (url, error) => ({ url, error })),
    connecting: on('connecting', (remote) => ({ remote })),
    connected: frame('connected'),
    frameSending: frame('frameSending'),
    frameSent: frame('frameSent'),
    frameReceived: frame('frameReceived'),
    frameDelivered: frame('frameDelivered'),
    heartBeat: on('heartBeat', (direction) => ({ direction })),
    heartBeatLost: on('heartBeatLost', (error) => ({ error })),
    receipt: frame('receipt'),
    unexpectedReceipt: frame('unexpectedReceipt'),
    error: frame('error'),
    paused: on('paused', (waiting) => ({ ...waiting })),
    resumed: on('resumed', () => ({})),
    disconnecting: on('disconnecting', () => ({})),
    closed: on('closed', (reason) => ({ reason })),
  };
}
