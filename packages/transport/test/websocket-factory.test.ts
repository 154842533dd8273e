// Sockets from a factory that are not quite WebSockets: SockJS (P19), React Native's (W-14).

import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Channel } from '../src/channel.ts';
import { dial as dialOnNode } from '../src/dial.ts';
import { dial } from '../src/dial-browser.ts';
import type { DialOptions } from '../src/dial-options.ts';
import type { BinaryMode, WebSocketLike, WebSocketLikeEvent } from '../src/websocket.ts';
import { Owner, utf8 } from './support.ts';

afterEach(() => {
  vi.unstubAllGlobals();
});

type Listener = (event: WebSocketLikeEvent) => void;

// What sockjs-client 1.6 has of a WebSocket: no binaryType, no bufferedAmount, and everything sent becomes a string.
class SockJs implements WebSocketLike {
  readonly protocol = '';
  readonly sent: string[] = [];
  readonly closes: (number | undefined)[] = [];
  readonly #listeners: [string, Listener][] = [];

  send(data: unknown): void {
    this.sent.push(`${data}`);
  }

  close(code?: number): void {
    this.closes.push(code);
    queueMicrotask(() => this.fire({ type: 'close', code: code ?? 1000, reason: 'Normal closure' }));
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.push([type, listener]);
  }

  removeEventListener(type: string, listener: Listener): void {
    const at = this.#listeners.findIndex((one) => one[0] === type && one[1] === listener);
    if (at !== -1) this.#listeners.splice(at, 1);
  }

  fire(event: WebSocketLikeEvent): void {
    for (const [type, listener] of [...this.#listeners]) if (type === event.type) listener(event);
  }
}

// React Native's: what it sends as text is cut at the first NUL by the native side.
class ReactNative extends SockJs {
  binaryType = 'blob';
  readonly bufferedAmount = 0;
  readonly messages: (string | Uint8Array)[] = [];
  override send(data: string | Uint8Array): void {
    this.messages.push(data);
  }
}

async function over<S extends SockJs>(socket: S, binary?: BinaryMode): Promise<[S, Owner, Channel]> {
  const dialling = dial('ws://broker/stomp', {
    webSocket: { factory: () => socket, ...(binary === undefined ? {} : { binary }) },
  });
  await Promise.resolve();
  socket.fire({ type: 'open' });
  const channel = await dialling;
  const owner = new Owner(channel);
  await Promise.resolve();
  return [socket, owner, channel];
}

describe('P19: a SockJS object from a factory', () => {
  test('carries frames both ways as text, is always ready for more, and ends in order', async () => {
    const [socket, owner, channel] = await over(new SockJs());
    expect(channel.peer.subprotocol).toBeUndefined();
    expect(channel.write(utf8('SEND\n\nπ\0'))).toBe(true);
    expect(channel.write(utf8('x'.repeat(1_000_000)))).toBe(true);
    expect(channel.buffered).toBe(0);
    expect(socket.sent[0]).toBe('SEND\n\nπ\0');
    socket.fire({ type: 'message', data: 'CONNECTED\n\n\0' });
    expect(Buffer.concat(owner.chunks).toString()).toBe('CONNECTED\n\n\0');
    channel.end();
    expect(await owner.whenClosed()).toEqual({ code: 1000, reason: 'Normal closure' });
  });

  test('never gets octets, which it would garble: they end the channel', async () => {
    const [socket, owner, channel] = await over(new SockJs());
    expect(channel.write(Uint8Array.of(0xff, 0))).toBe(false);
    expect((await owner.whenClosed()).error).toMatchObject({ code: 'unsupported' });
    expect(socket.sent).toEqual([]);
  });

  test('is refused where octets are asked for', async () => {
    const refused = dial('ws://broker/stomp', { webSocket: { factory: () => new SockJs(), binary: 'always' } });
    await expect(refused).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('text only') });
  });
});

test.each<[string, DialOptions]>([
  ['tls', { tls: { verify: true } }],
  ['localAddress', { localAddress: '127.0.0.1' }],
  ['headers', { webSocket: { headers: { Cookie: 'a' } } }],
])('what a factory cannot be told is refused, not dropped: %s', async (name, { webSocket, ...options }) => {
  const made = { ...options, webSocket: { ...webSocket, factory: () => new SockJs() } };
  await expect(dialOnNode('wss://broker/stomp', made)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining(`${name} is to be set there`),
  });
});

describe('React Native (W-14)', () => {
  const frame = utf8('SEND\n\nbody\0');

  test('frames go out as binary, which the NUL survives', async () => {
    vi.stubGlobal('navigator', { product: 'ReactNative' });
    const [socket, , channel] = await over(new ReactNative());
    channel.write(frame);
    expect(socket.binaryType).toBe('arraybuffer');
    expect(socket.messages).toEqual([frame]);
    channel.destroy();
  });

  test('text that came without the NUL that ended it gets it back, and a heart-beat stays one', async () => {
    vi.stubGlobal('navigator', { product: 'ReactNative' });
    const [socket, owner, channel] = await over(new ReactNative());
    for (const data of ['CONNECTED\n\n', '\n', 'MESSAGE\n\nπ']) socket.fire({ type: 'message', data });
    expect(Buffer.concat(owner.chunks).toString()).toBe('CONNECTED\n\n\0\nMESSAGE\n\nπ\0');
    channel.destroy();
  });

  test('unless somebody knows better', async () => {
    vi.stubGlobal('navigator', { product: 'ReactNative' });
    const [socket, , channel] = await over(new ReactNative(), 'auto');
    channel.write(frame);
    expect(socket.messages).toEqual(['SEND\n\nbody\0']);
    channel.destroy();
  });

  test('elsewhere the factory of a socket can ask for binary', async () => {
    const [socket, , channel] = await over(new ReactNative(), 'always');
    channel.write(frame);
    expect(socket.messages).toEqual([frame]);
    channel.destroy();
  });
});
