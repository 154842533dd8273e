// The observers that come with the client: printing, statistics, recording, and diagnostics channels.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ConnectionLost, Hooks, printing, recording, statistics } from '@stompbox/client';
import { CHANNELS, diagnostics } from '@stompbox/client/diagnostics';
import { frame } from '@stompbox/protocol';
import { ManualClock } from 'testkit';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure, table } from './support.ts';

describe('printing', () => {
  test('is one line for each frame, with the telling headers and the size of the body', async () => {
    const lines: string[] = [];
    const hooks = new Hooks({ observer: printing({ write: (line) => lines.push(line) }) });
    const { connection } = await table({ hooks, login: 'me', passcode: 's3cret' });
    await connection.send('/queue/a', 'hello', { headers: { color: 'red' } });
    await connection.disconnect();
    expect(lines).toEqual([
      '--- connecting to memory:b',
      '>>> CONNECT (+5)',
      '<<< CONNECTED version:1.2 server:scripted/1 (+2)',
      '>>> SEND destination:/queue/a receipt:r-1 (+2), 5 bytes',
      '<<< RECEIPT receipt-id:r-1',
      '--- disconnecting',
      '>>> DISCONNECT receipt:r-2',
      '<<< RECEIPT receipt-id:r-2',
      '--- closed: disconnected',
    ]);
  });

  test('verbose shows every header, secrets masked, and the beginning of the body', () => {
    const lines: string[] = [];
    const hooks = new Hooks({
      observer: printing({ write: (line) => lines.push(line), verbose: true, maxBodyChars: 5 }),
    });
    hooks.show('frameSent', frame('CONNECT', { login: 'me', passcode: 's3cret' }));
    hooks.show(
      'frameReceived',
      frame('MESSAGE', { destination: '/q', 'message-id': '1', note: 'two words' }, 'hello world'),
    );
    hooks.tell('heartBeat', 'sent');
    expect(lines).toEqual([
      '>>> CONNECT login:me passcode:***',
      '<<< MESSAGE destination:/q message-id:1 note:"two words", 11 bytes "hello…"',
      '>>> heart-beat',
    ]);
  });

  test('M-160: what a peer wrote cannot speak to the terminal, break the line or turn it round', () => {
    const lines: string[] = [];
    const { frameReceived, closed } = printing({ write: (line) => lines.push(line), verbose: true });
    const hostile = '\x1b[2J\r\n>>> faked\u009b\u202e\u2066\u061c\u200b\u00ad\u{e0041}';
    frameReceived?.(frame('MESSAGE', { destination: hostile, [hostile]: 'x', 'message-id': '1' }, hostile));
    closed?.({ kind: 'closed', error: new Error(hostile) });
    expect(lines.length).toBe(2);
    expect(lines.join('')).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\p{Cf}]/u);
  });

  test('a secret in the body or in an error is masked even where the excerpt would cut it in two', () => {
    const lines: string[] = [];
    const { frameReceived, dialFailed } = printing({
      write: (line) => lines.push(line),
      verbose: true,
      maxBodyChars: 20,
    });
    frameReceived?.(frame('MESSAGE', { destination: '/q', 'message-id': '1' }, 'see stomp://me:s3cret@host'));
    dialFailed?.('stomp://host', new Error('stomp://me:s3cret@host is gone'));
    expect(lines.join('')).not.toMatch(/s3c/);
  });

  test('the line of a huge frame is short', () => {
    const lines: string[] = [];
    const { frameReceived } = printing({ write: (line) => lines.push(line), verbose: true });
    const big = 'x'.repeat(100_000);
    frameReceived?.(frame('MESSAGE', { destination: big, 'message-id': '1' }, big));
    expect(lines[0]?.length).toBeLessThan(1_000);
  });
});

describe('statistics', () => {
  test('count what happened on a connection, and report it', async () => {
    const counted = statistics();
    const { connection, peer } = await table({ observer: counted });
    const subscription = connection.subscribe('/q', { id: 's', ack: 'client-individual' });
    await subscription.ready;
    peer.deliver('s', 'one');
    peer.deliver('s', 'three');
    await (await subscription.next()).ack();
    await (await subscription.next()).nack();
    await connection.send('/q', 'four');
    await connection.disconnect();
    expect(counted.snapshot()).toEqual({
      connections: 1,
      disconnects: 1,
      failedDials: 0,
      errors: 0,
      messages: 2,
      messagesSent: 1,
      acks: 1,
      nacks: 1,
      receipts: 3,
      unexpectedReceipts: 0,
      framesSent: 6,
      framesReceived: 6,
      bodyBytesSent: 4,
      bodyBytesReceived: 8,
      heartBeatsSent: 0,
      heartBeatsReceived: 0,
      heartBeatsLost: 0,
      pauses: 0,
    });
    expect(String(counted).split('\n')).toEqual([
      'connections: 1',
      'disconnects: 1',
      'messages: 2',
      'messages sent: 1',
      'acks: 1',
      'nacks: 1',
      'receipts: 3',
      'frames sent: 6',
      'frames received: 6',
      'body bytes sent: 4',
      'body bytes received: 8',
    ]);
  });

  test('count heart-beats, lost ones, errors, pauses and dials that failed', () => {
    const counted = statistics();
    const hooks = new Hooks({ observer: counted });
    hooks.tell('heartBeat', 'sent');
    hooks.tell('heartBeat', 'received');
    hooks.tell('heartBeat', 'received');
    hooks.tell('paused', { frames: 1, bytes: 1 });
    hooks.tell('dialFailed', 'stomp://host', new Error());
    hooks.show('error', frame('ERROR', {}));
    hooks.show('unexpectedReceipt', frame('RECEIPT', { 'receipt-id': '1' }));
    expect(counted.snapshot()).toMatchObject({
      heartBeatsSent: 1,
      heartBeatsReceived: 2,
      pauses: 1,
      failedDials: 1,
      errors: 1,
      unexpectedReceipts: 1,
    });
  });

  test('a snapshot stays what it was, and reset begins again', () => {
    const counted = statistics();
    const hooks = new Hooks({ observer: counted });
    hooks.tell('heartBeat', 'sent');
    const before = counted.snapshot();
    hooks.tell('heartBeat', 'sent');
    expect([before.heartBeatsSent, counted.snapshot().heartBeatsSent]).toEqual([1, 2]);
    counted.reset();
    expect([counted.snapshot().heartBeatsSent, String(counted)]).toEqual([0, '']);
  });
});

describe('recording', () => {
  const sent = (text: string) => frame('SEND', { destination: '/q' }, text);

  test('keeps what went and what came, and answers each in order, once', async () => {
    const recorded = recording();
    const { connection } = await table({ observer: recorded });
    await connection.send('/q', '1');
    await connection.send('/q', '2');
    expect(recorded.sent('SEND').map((said) => said.text())).toEqual(['1', '2']);
    expect(recorded.received().map(({ command }) => command)).toEqual(['CONNECTED', 'RECEIPT', 'RECEIPT']);
    expect((await recorded.next('SEND')).frame?.text()).toBe('1');
    expect((await recorded.next('SEND')).frame?.text()).toBe('2');
    await connection.disconnect();
    expect((await recorded.next('closed')).told).toEqual([{ kind: 'disconnected' }]);
  });

  test('waits for what has not come: a command, an event, or whatever a function says', async () => {
    const recorded = recording();
    const hooks = new Hooks({ observer: recorded });
    const waiting = [
      recorded.next('ERROR'),
      recorded.next('heartBeatLost').then(({ event }) => event),
      recorded.next(({ frame: shown }) => shown?.body.length === 3).then(({ frame: shown }) => shown?.text()),
    ];
    hooks.show('frameSent', sent('abc'));
    hooks.show('frameReceived', frame('ERROR', { message: 'no' }));
    hooks.tell('heartBeatLost', new ConnectionLost('silent', 'silence'));
    expect(await Promise.all(waiting)).toEqual([
      expect.objectContaining({ event: 'frameReceived' }),
      'heartBeatLost',
      'abc',
    ]);
  });

  test('two that wait for the same get one each', async () => {
    const recorded = recording();
    const hooks = new Hooks({ observer: recorded });
    const both = Promise.all([recorded.next('SEND'), recorded.next('SEND')]);
    hooks.show('frameSent', sent('first'));
    hooks.show('frameSent', sent('second'));
    expect((await both).map(({ frame: shown }) => shown?.text())).toEqual(['first', 'second']);
  });

  test('what does not come is a TimeoutError that names it, and its alarm is gone either way', async () => {
    const clock = new ManualClock();
    const recorded = recording({ clock });
    const hooks = new Hooks({ observer: recorded });
    const late = failure(recorded.next('MESSAGE', { timeoutMs: 500 }));
    const inTime = recorded.next('SEND');
    hooks.show('frameSent', sent('x'));
    await inTime;
    expect(clock.alarms).toBe(1);
    await clock.advance(500);
    expect(await late).toMatchObject({ name: 'TimeoutError', what: 'MESSAGE', afterMs: 500 });
    expect(clock.alarms).toBe(0);
  });

  test('a signal calls waiting off, before and during', async () => {
    const recorded = recording({ clock: new ManualClock() });
    const reason = new Error('enough');
    expect(await failure(recorded.next('SEND', { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const waiting = failure(recorded.next('SEND', { signal: controller.signal }));
    controller.abort(reason);
    expect(await waiting).toBe(reason);
  });

  test('the oldest go where more than max come, and what was answered is not answered again', async () => {
    const recorded = recording({ max: 3 });
    const hooks = new Hooks({ observer: recorded });
    for (const text of ['1', '2', '3']) hooks.show('frameSent', sent(text));
    await recorded.next('SEND');
    await recorded.next('SEND');
    hooks.show('frameSent', sent('4'));
    expect(recorded.sent().map((shown) => shown.text())).toEqual(['2', '3', '4']);
    expect(recorded.dropped).toBe(1);
    expect((await recorded.next('SEND')).frame?.text()).toBe('3');
  });

  test('the oldest go where bodies are more than maxBytes, but never the last', () => {
    const recorded = recording({ maxBytes: 10 });
    const hooks = new Hooks({ observer: recorded });
    for (const text of ['12345', '12345', '123', 'x'.repeat(50)]) {
      hooks.show('frameSent', sent(text));
      expect(recorded.sent().at(-1)?.text()).toBe(text);
    }
    expect([recorded.events.length, recorded.dropped]).toEqual([1, 3]);
  });

  test('clear forgets, and what comes afterwards is found', async () => {
    const recorded = recording();
    const hooks = new Hooks({ observer: recorded });
    hooks.show('frameSent', sent('before'));
    recorded.clear();
    hooks.show('frameSent', sent('after'));
    expect((await recorded.next('SEND')).frame?.text()).toBe('after');
  });

  test('a bound that is none is refused', () => {
    expect(() => recording({ max: 0 })).toThrow(expect.objectContaining({ code: 'bad-option' }));
    expect(() => recording({ maxBytes: Number.NaN })).toThrow(expect.objectContaining({ code: 'bad-option' }));
  });
});

describe('diagnostics channels', () => {
  function hearing(channel: string): unknown[] {
    const heard: unknown[] = [];
    const listener = (message: unknown): void => void heard.push(message);
    subscribe(channel, listener);
    onTestFinished(() => void unsubscribe(channel, listener));
    return heard;
  }

  test('a subscriber hears what an observer sees, under the name of the event, labelled, secrets masked', async () => {
    const frames = hearing('stompbox:frame:sent');
    const closed = hearing('stompbox:closed');
    const { connection } = await table({ observer: diagnostics({ label: 'orders' }), passcode: 's3cret' });
    await connection.disconnect();
    expect(frames).toEqual([
      { frame: expect.objectContaining({ command: 'CONNECT' }), label: 'orders' },
      { frame: expect.objectContaining({ command: 'DISCONNECT' }), label: 'orders' },
    ]);
    expect(JSON.stringify(frames)).not.toContain('s3cret');
    expect(closed).toEqual([{ reason: { kind: 'disconnected' }, label: 'orders' }]);
  });

  test('every event has a channel of its own and is published there', () => {
    const hooks = new Hooks({ observer: diagnostics() });
    const heard = Object.values(CHANNELS).map((channel) => hearing(channel));
    const shown = frame('RECEIPT', { 'receipt-id': '1' });
    const error = new Error('lost');
    hooks.tell('dialling', 'stomp://host');
    hooks.tell('dialFailed', 'stomp://host', error);
    hooks.tell('connecting', 'host');
    hooks.tell('heartBeat', 'sent');
    hooks.tell('paused', { frames: 1, bytes: 2 });
    hooks.tell('resumed');
    hooks.tell('disconnecting');
    hooks.tell('closed', { kind: 'closed' });
    for (const event of ['connected', 'frameSending', 'frameSent', 'frameReceived', 'frameDelivered'] as const) {
      hooks.show(event, shown);
    }
    for (const event of ['receipt', 'unexpectedReceipt', 'error'] as const) hooks.show(event, shown);
    const silent = Object.keys(CHANNELS).filter((_, place) => heard[place]?.length !== 1);
    expect(silent).toEqual(['heartBeatLost']); // the one that was not told here
    expect(new Set(Object.values(CHANNELS)).size).toBe(Object.keys(CHANNELS).length);
  });

  test('nothing is published once nobody subscribes', () => {
    const hooks = new Hooks({ observer: diagnostics() });
    const heard: unknown[] = [];
    const listener = (message: unknown): void => void heard.push(message);
    subscribe(CHANNELS.resumed, listener);
    hooks.tell('resumed');
    unsubscribe(CHANNELS.resumed, listener);
    hooks.tell('resumed');
    expect(heard).toEqual([{ label: undefined }]);
  });
});
