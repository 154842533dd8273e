// Bytes to frames and frames to bytes: ours, @stomp/stompjs, stompit, and the floor, which is copying the bytes once.
//
// A stream of MESSAGE frames with seven headers is cut into chunks of 64 KiB, as a socket would. A contestant is set up
// once, like a connection, and a pass takes it through the whole stream. It answers how many body bytes (decoding) or
// wire bytes (encoding) it saw, so that nobody wins by leaving work undone.

import { Writable } from 'node:stream';
import { FrameImpl, Parser } from '@stomp/stompjs';
import { Decoder, Encoder, encode, frame } from '@stompbox/protocol';
import { do_not_optimize, measure } from 'mitata';
import stompit from 'stompit';
import { interleave, median, number, ratio, shown, target, times } from './harness.mjs';

const ROUNDS = 7;
const TURN_MS = 100;
const CHUNK_BYTES = 64 * 1024;
const STREAM_BYTES = 1024 * 1024;
const SIZES = { '64 B': 64, '1 KiB': 1024, '64 KiB': 64 * 1024, '1 MiB': 1024 * 1024 };

const VERSION = '1.2';
const COMMAND = 'MESSAGE';
/** The seventh header is content-length, which two of the three encoders write themselves. */
const HEADERS = {
  subscription: 'sub-0',
  'message-id': 'T_sub-0@@session-Ph8WzXb3gKd2@@4711',
  destination: '/queue/orders.incoming',
  ack: '1f3a-4711',
  'content-type': 'application/json',
  priority: '4',
};

// ------------------------------------------------------------------------------------------------------------ decoding

const DECODERS = {
  'Stompbox, 3 headers read': () =>
    decoding(({ headers }) => [headers.get('destination'), headers.get('subscription'), headers.get('message-id')]),
  'Stompbox, all headers read': () => decoding(({ headers }) => headers.toObject()),
  stompjs: () => {
    let bytes = 0;
    const onFrame = (raw) => {
      bytes += FrameImpl.fromRawFrame(raw, true).binaryBody.length;
    };
    const parser = new Parser(onFrame, () => {});
    return ({ chunks }) => {
      bytes = 0;
      for (const chunk of chunks) parser.parseChunk(chunk);
      return bytes;
    };
  },
  stompit: () => {
    const parser = new stompit.IncomingFrameStream();
    parser.setVersion(VERSION);
    let bytes = 0;
    let missing = 0;
    let finish = () => {};
    parser.on('data', (incoming) => {
      const parts = [];
      incoming.on('data', (part) => parts.push(part));
      incoming.on('end', () => {
        bytes += Buffer.concat(parts).length; // a whole body, as the others hand out
        if (--missing === 0) finish(bytes);
      });
    });
    return ({ chunks, count }) =>
      new Promise((resolve) => {
        bytes = 0;
        missing = count;
        finish = resolve;
        const write = (at) => {
          if (at < chunks.length) parser.write(chunks[at], () => write(at + 1));
        };
        write(0);
      });
  },
  floor: () => copying,
};

function decoding(read) {
  const decoder = new Decoder({ version: VERSION });
  return ({ chunks }) => {
    let bytes = 0;
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        do_not_optimize(read(event));
        bytes += event.body.length;
      }
    }
    return bytes;
  };
}

function copying({ chunks, copy, count, body }) {
  let at = 0;
  for (const chunk of chunks) {
    copy.set(chunk, at);
    at += chunk.length;
  }
  return at === copy.length ? count * body.length : 0;
}

// ------------------------------------------------------------------------------------------------------------ encoding

const ENCODERS = {
  'Stompbox, one buffer a turn': () => {
    const encoder = new Encoder({ version: VERSION });
    return ({ body, count }) => {
      let bytes = 0;
      for (let n = 0; n < count; n++) {
        encoder.frame(frame(COMMAND, HEADERS, body));
        if (encoder.length < CHUNK_BYTES && n + 1 < count) continue;
        for (const part of encoder.takeAll()) bytes += part.length; // as a connection hands them on
      }
      return bytes;
    };
  },
  'Stompbox, one by one':
    () =>
    ({ body, count }) => {
      let bytes = 0;
      for (let n = 0; n < count; n++) bytes += encode(frame(COMMAND, HEADERS, body), { version: VERSION }).length;
      return bytes;
    },
  stompjs:
    () =>
    ({ body, count }) => {
      let bytes = 0;
      const params = { command: COMMAND, headers: HEADERS, binaryBody: body, escapeHeaderValues: true };
      for (let n = 0; n < count; n++) bytes += new FrameImpl(params).serialize().byteLength;
      return bytes;
    },
  stompit: () => {
    let bytes = 0;
    const socket = new Writable({
      write(chunk, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });
    const out = new stompit.OutgoingFrameStream(socket);
    out.setVersion(VERSION);
    return ({ body, count }) =>
      new Promise((resolve, reject) => {
        bytes = 0;
        const headers = { ...HEADERS, 'content-length': body.length };
        const next = (n) => {
          if (n === count)
            resolve(bytes - count); // it ends every frame with a LF of its own
          else out.frame(COMMAND, headers).end(body, (error) => (error ? reject(error) : next(n + 1)));
        };
        next(0);
      });
  },
  floor: () => (stream) => (copying(stream) > 0 ? stream.wire.length : 0),
};

// ------------------------------------------------------------------------------------------------------------- the run

/** A stream of equal frames, whole and in chunks. */
function streamOf(size) {
  const body = Buffer.alloc(size, 'stompbox ');
  const one = encode(frame(COMMAND, HEADERS, body), { version: VERSION });
  const count = Math.max(2, Math.floor(STREAM_BYTES / one.length));
  const wire = Buffer.concat(Array.from({ length: count }, () => one));
  const chunks = [];
  for (let at = 0; at < wire.length; at += CHUNK_BYTES) chunks.push(wire.subarray(at, at + CHUNK_BYTES));
  return { body, count, wire, chunks, copy: new Uint8Array(wire.length) };
}

/** Frames per second by contestant, one figure for each round. */
async function race(contestants, stream, rounds, expected) {
  const passes = new Map();
  for (const [name, setUp] of Object.entries(contestants)) {
    const pass = setUp();
    const seen = await pass(stream);
    if (seen !== expected) throw new Error(`${name} saw ${seen} bytes of ${expected}`);
    passes.set(name, pass);
  }
  const options = { gc: false, min_cpu_time: TURN_MS * 1e6, min_samples: 1, warmup_samples: 1 };
  return interleave([...passes.keys()], rounds, async (name) => {
    const pass = passes.get(name);
    const { avg } = await measure(() => pass(stream), { ...options }); // nanoseconds; mitata keeps its options
    return (stream.count / avg) * 1e9;
  });
}

export async function run({ progress, rounds = ROUNDS }) {
  const figures = [];
  for (const [direction, contestants] of Object.entries({ decode: DECODERS, encode: ENCODERS })) {
    for (const [label, size] of Object.entries(SIZES)) {
      progress(`codec: ${direction} ${label}`);
      const stream = streamOf(size);
      const expected = direction === 'decode' ? stream.count * size : stream.wire.length;
      const turns = await race(contestants, stream, rounds, expected);
      figures.push({ direction, label, frameBytes: stream.wire.length / stream.count, turns });
    }
  }
  return {
    name: 'codec',
    title: 'Codec',
    legend: `MESSAGE frames with 7 headers, in chunks of 64 KiB; medians of ${rounds} interleaved rounds. The floor copies the bytes once.`,
    table: table(figures),
    targets: targets(figures),
    notes: [],
    figures: figures.map((each) => ({ ...each, turns: Object.fromEntries(each.turns) })),
  };
}

function table(figures) {
  const columns = [
    '',
    'frames/s',
    'MB/s',
    '× stompjs',
    '× stompit',
    'of the floor',
    'stompjs frames/s',
    'stompit frames/s',
  ];
  const rows = figures.flatMap(({ direction, label, frameBytes, turns }) => {
    const of = (name) => turns.get(name);
    const ours = [...turns.keys()].filter((name) => name.startsWith('Stompbox'));
    return ours.map((name) => [
      `${direction} ${label}: ${name.replace('Stompbox, ', '')}`,
      shown(of(name)),
      number((median(of(name)) * frameBytes) / 1e6),
      times(ratio(of(name), of('stompjs'))),
      times(ratio(of(name), of('stompit'))),
      `${number(ratio(of(name), of('floor')) * 100)} %`,
      shown(of('stompjs')),
      shown(of('stompit')),
    ]);
  });
  return { columns, rows };
}

function targets(figures) {
  const wanted = { '64 B': 10, '1 KiB': 10, '64 KiB': 50 };
  const ours = { decode: 'Stompbox, 3 headers read', encode: 'Stompbox, one buffer a turn' };
  return figures
    .filter(({ label }) => label in wanted)
    .map(({ direction, label, turns }) => {
      const over = (name) => ratio(turns.get(name), turns.get('stompjs'));
      return target(`${direction} ${label} against stompjs`, wanted[label], over(ours[direction]), over('floor'));
    });
}
