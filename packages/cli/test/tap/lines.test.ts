// One line for each frame: what it shows, and what it never shows.

import { frame } from '@stompbox/protocol';
import { expect, test } from 'vitest';
import type { Heard } from '../../src/tap/ear.ts';
import { lineOf, type Told } from '../../src/tap/lines.ts';

const same = (text: string): string => text;
const out = { dim: same, bold: same, bad: same };
const at = new Date('2026-11-20T12:34:56.789Z');

function said(what: Told['what'], { json = false, bodyChars = 20 } = {}): string {
  return lineOf({ connection: 3, at, from: 'client', what }, { json, bodyChars, out });
}

function heard(shown: Extract<Heard, { type: 'frame' }>['frame'], bodyBytes = shown.body.length): Heard {
  return { type: 'frame', frame: shown, bodyBytes };
}

test('a frame is a line: time, connection, direction, command, headers, body', () => {
  const send = frame('SEND', { destination: '/queue/a', receipt: 'r-1' }, 'hello');
  expect(said(heard(send))).toBe('12:34:56.789 #3 >>> SEND destination:/queue/a receipt:r-1, 5 bytes "hello"\n');
});

test('as JSON it is an object with the same in it', () => {
  const send = frame('SEND', { destination: '/queue/a' }, 'hello, everybody out there');
  expect(JSON.parse(said(heard(send, 9_000), { json: true }))).toEqual({
    time: '2026-11-20T12:34:56.789Z',
    connection: 3,
    from: 'client',
    command: 'SEND',
    headers: { destination: '/queue/a' },
    bytes: 9_000,
    body: 'hello, everybody out',
  });
});

test.for([false, true])('no secret keeps its value: headers, URLs and tokens in bodies (M-163), JSON: %s', (json) => {
  const connect = frame('CONNECT', { 'accept-version': '1.2', host: 'a', login: 'ann', passcode: 'hunter2' });
  const send = frame(
    'SEND',
    { destination: '/a', 'x-token': 'hunter2' },
    'see stomp://ann:hunter2@broker/ Bearer hunter2',
  );
  for (const one of [connect, send]) {
    expect(said(heard(one), { json, bodyChars: 100 })).toContain('***');
    expect(said(heard(one), { json, bodyChars: 100 })).not.toContain('hunter2');
    expect(said(heard(one), { json, bodyChars: 20 })).not.toContain('hunter');
  }
});

test.for([false, true])('nothing of a peer speaks to the terminal (M-160), JSON: %s', (json) => {
  const evil = 'a\u001b[31m\r\u202eb\u0007';
  const lines = [
    said(heard(frame('MESSAGE', { destination: evil, subscription: '1', 'message-id': '1', [evil]: evil }, evil)), {
      json,
    }),
    said({ type: 'damage', why: evil }, { json }),
    said({ type: 'closed', text: evil }, { json }),
  ];
  for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]+\n$/);
});

test('bodies may be left out', () => {
  const send = frame('SEND', { destination: '/a' }, 'private');
  expect(said(heard(send), { bodyChars: 0 })).toBe('12:34:56.789 #3 >>> SEND destination:/a, 7 bytes\n');
  expect(said(heard(send), { bodyChars: 0, json: true })).not.toContain('private');
});
