// The log: which events there are, and that no secret has a way into it.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  EVENTS,
  type FieldsOf,
  jsonLines,
  LOG_LEVELS,
  type LogEvent,
  type Logger,
  type LogLevel,
  logTo,
  SILENT,
} from '../src/log.ts';

type Entry = readonly [level: LogLevel, event: LogEvent, fields: Readonly<Record<string, unknown>>];

function recording(level: LogLevel = 'debug') {
  const entries: Entry[] = [];
  const logger: Logger = { log: (...entry) => void entries.push(entry) };
  return { entries, log: logTo(logger, { level }) };
}

describe('the table', () => {
  test('every event has a level, a sentence, and no field for what is secret', () => {
    for (const [event, { level, fields, say }] of Object.entries(EVENTS)) {
      expect(event).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(LOG_LEVELS).toContain(level);
      expect(say).toMatch(/\.$/);
      for (const field of fields) expect(field).not.toMatch(/pass|secret|token|login|header|body|credential|hash|key/i);
    }
  });
  test('an event has the level of the table, and is told from the level that is asked for', () => {
    for (const least of LOG_LEVELS) {
      const { entries, log } = recording(least);
      for (const event of Object.keys(EVENTS) as LogEvent[]) log(event);
      const wanted = LOG_LEVELS.slice(LOG_LEVELS.indexOf(least));
      expect(entries.map(([level]) => level).every((level) => wanted.includes(level))).toBe(true);
      const expected = Object.values(EVENTS).filter(({ level }) => wanted.includes(level));
      expect(entries).toHaveLength(expected.length);
    }
  });
});

describe('fields', () => {
  test('what the table does not know is dropped', () => {
    const { entries, log } = recording();
    const tooMuch = { remote: '192.0.2.1:5', passcode: 'hunter2', login: 'hunter2', headers: { passcode: 'hunter2' } };
    log('login-refused', tooMuch);
    expect(entries).toEqual([['warn', 'login-refused', { remote: '192.0.2.1:5' }]]);
  });
  test('an error is its message and those of its causes, without stacks', () => {
    const { entries, log } = recording();
    log('fault', { error: new RangeError('outer', { cause: new Error('inner', { cause: 'why' }) }) });
    expect(entries[0]?.[2]).toEqual({ error: 'RangeError: outer <- Error: inner <- why' });
    const circle = new Error('round');
    circle.cause = circle;
    log('fault', { error: circle });
    log('fault', { error: { passcode: 'hunter2' } });
    log('fault', { error: undefined });
    expect(entries.slice(1).map(([, , { error }]) => error)).toEqual([
      Array(5).fill('Error: round').join(' <- '),
      '[object]',
      undefined,
    ]);
  });
  test('lines cannot be forged, texts are cut, and URLs lose what stands before the @', () => {
    const { entries, log } = recording();
    log('access-refused', { destination: '/queue/a\n{"level":"info"}\u202e\x1b[2J', identity: 'x'.repeat(5_000) });
    log('fault', { error: new Error('cannot dial stomp://app:hunter2@host:1/ or tcp://hunter2@x') });
    log('broker-started', { urls: ['ws://u:hunter2@h/stomp', `tcp://u:${'hunter2'.repeat(100)}@h`] });
    expect(entries[0]?.[2]).toEqual({
      destination: '/queue/a\\u000a{"level":"info"}\\u202e\\u001b[2J',
      identity: `${'x'.repeat(512)}…`,
    });
    expect(entries[1]?.[2]).toEqual({ error: 'Error: cannot dial stomp://***@host:1/ or tcp://***@x' });
    expect(entries[2]?.[2]).toEqual({ urls: ['ws://***@h/stomp', 'tcp://***@h'] });
  });
  test('fuzz: whatever is said becomes plain values of one line', () => {
    const { entries, log } = recording();
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...EVENTS['connection-closed'].fields), fc.anything()), (fields) => {
        log('connection-closed', fields as FieldsOf<'connection-closed'>);
        const said = entries.pop()?.[2];
        expect(said).toBeDefined();
        for (const value of Object.values(said ?? {}).flat()) {
          expect(typeof value).toMatch(/^(?:string|number|boolean)$/);
          expect(String(value)).not.toMatch(/[\x00-\x1f]/);
        }
      }),
    );
  });
});

test('a logger that throws does not reach the broker, and its owner hears of it once', () => {
  const faults: unknown[] = [];
  const logger: Logger = {
    log() {
      throw new Error('the disk is full');
    },
  };
  const log = logTo(logger, { onFault: (error) => void faults.push(error) });
  log('broker-started');
  log('broker-started');
  expect(faults).toEqual([new Error('the disk is full')]);
});

test('jsonLines: an object a line', () => {
  const lines: string[] = [];
  const logger = jsonLines(
    (line) => void lines.push(line),
    () => 0,
  );
  logTo(logger)('broker-stopped', { ms: 5, cut: 0 });
  logTo(logger)('connection-opened', { remote: 'x' }); // debug
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","event":"broker-stopped","ms":5,"cut":0}\n',
  ]);
});

test('SILENT tells nobody', () => expect(SILENT('fault', { error: 'x' })).toBeUndefined());
