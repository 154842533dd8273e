// Where the brokers are known to depart from the rules (conformance 6 and 7), so that a score tells news from old
// acquaintances. An entry names the ways in which the broker does it: departing in another way is a failure. It stands
// under the first rule of a check.

import type { ProfileName } from '@stompbox/client';
import type { RuleId } from './rule.ts';
import type { Way } from './verdict.ts';

export interface Known {
  readonly ways: readonly Way[];
  /** What it does, and the row of the matrix that says so. */
  readonly says: string;
}

type Habit = readonly [ids: string, ways: string, says: string];

// Measured on RabbitMQ 3.10.8.
const RABBITMQ: readonly Habit[] = [
  ['C-02 M-20', 'otherwise', 'the CR before LF is dropped in every version, X-02'],
  ['C-05 M-19', 'mute-close', 'a bare CR closes the connection without ERROR, X-02'],
  ['C-09 M-22', 'accepted', 'NUL between frames is skipped, X-03'],
  ['C-10 C-11 C-13 C-17 M-03 M-05 M-44', 'error-open', 'ERROR for an unknown command leaves the connection open, X-34'],
  ['C-12', 'accepted', 'NACK is taken in every version'],
  ['C-16', 'otherwise', 'it sends LF behind each frame, C-16'],
  ['C-21 M-08', 'mute-close', 'framing errors close TCP without ERROR, X-04'],
  ['C-22', 'accepted', 'an empty name is taken, X-05'],
  ['C-25', 'otherwise', 'it escapes towards 1.0 too, X-10'],
  ['C-32', 'accepted', 'the first content-length counts, X-08'],
  ['C-35', 'accepted', 'NUL in a header is delivered, X-17'],
  ['C-36', 'refused', 'CONNECT is unescaped, X-11'],
  ['C-37', 'otherwise', 'it unescapes and escapes in 1.0 too, X-10'],
  ['C-40', 'accepted', '\\r is read and sent in every version, X-09b'],
  ['C-41', 'mute-close', 'an undefined escape closes TCP without ERROR, X-09'],
  ['C-45', 'otherwise', 'it escapes towards 1.0 too, which is safe, X-12'],
  ['C-51 C-58 C-59 C-73 S-10 M-31', 'mute-close', 'framing errors close TCP without ERROR, X-08, X-29'],
  ['C-58', 'accepted', 'blanks and a plus sign are forgiven, X-08'],
  [
    'C-52 E-06 F-02 F-04 F-06 F-08 A-08 A-09 A-12 T-01 T-04 S-08 F-01 M-70',
    'error-open',
    'semantic errors leave the connection open, X-29',
  ],
  ['C-61 M-55', 'accepted', 'a stray body is dropped, X-18'],
  ['C-66', 'accepted', 'headers are relayed as octets, X-16'],
  ['N-04', 'accepted', 'it answers 1.0, N-04'],
  ['N-09', 'otherwise', 'a blank hides the version behind it, X-26'],
  ['N-10 N-17', 'error-open', 'a refused connection is held open for 10 s, X-24, X-25'],
  ['N-18', 'error-open', 'a frame before CONNECT gets ERROR, and the connection stays open, X-20'],
  ['N-18', 'mute-close', 'a second CONNECT closes TCP without ERROR, X-21'],
  ['H-09', 'error-open accepted', 'ERROR, and the connection stays open, X-22'],
  ['H-10', 'otherwise', 'heart-beats are agreed on in 1.0 too, X-23'],
  ['E-01', 'refused', 'over WebSocket the last RECEIPT is lost, X-30'],
  ['E-03', 'no-answer', 'receipts under way at DISCONNECT are lost, X-31'],
  ['E-10', 'no-answer', 'a half-closed connection is dropped, E-10'],
  ['F-03', 'accepted', 'headers of the protocol are repeated behind the real ones, X-13'],
  ['F-05', 'accepted', 'SUBSCRIBE without id is taken, X-40'],
  ['F-10', 'no-answer', 'unacked messages are kept until ACK or disconnect, X-45'],
  ['F-12', 'accepted', 'selector is ignored, 6.1'],
  ['A-02', 'otherwise', 'an ACK covers the whole connection, X-46'],
  ['A-09', 'otherwise accepted', '3.10 confirms first and refuses then, X-50'],
  ['A-11', 'accepted', 'the subscription is not asked for, A-11'],
  ['T-02', 'accepted', 'BEGIN of an open transaction begins anew, X-60'],
  ['T-06', 'accepted', 'the members of a transaction are applied one by one, X-62'],
  ['R-04', 'otherwise', 'a RECEIPT can be overtaken, X-68'],
  ['R-05', 'no-answer', 'the RECEIPT comes after COMMIT, X-64'],
  ['R-07', 'otherwise', 'ERROR and RECEIPT come both, and no receipt-id, X-65, X-66'],
  ['S-04', 'otherwise', 'it writes the destination its own way, S-04'],
  ['S-05', 'otherwise', 'no content-length for some bodies, X-76'],
  ['S-07', 'otherwise', 'ERROR never has a receipt-id, X-66'],
  ['M-10 M-13 C-70', 'accepted', '3.10 has no limit on lines, 1.5'],
  ['C-34 M-12', 'accepted no-answer', '3.10 has no limit on headers, 1.5'],
  ['T-07', 'accepted', '3.10 has no limit on transactions, M-73'],
  ['M-40 M-41 M-42', 'no-answer accepted', 'the connection is held open until the timer, M-40, M-41'],
  ['M-51', 'several-errors', 'one ERROR for each frame, M-51'],
  ['M-53', 'mute-close', 'CONNECT is unescaped, so a backslash closes TCP, X-11'],
  ['M-71', 'error-open', '3.10: ERROR, and the connection stays open, X-45'],
  ['M-94', 'accepted', 'a nacked message comes again at once, for ever, X-49'],
  ['F-05 A-01', 'mute-close', 'over WebSocket the last ERROR is lost, W-10'],
  ['R-01 R-07', 'refused', 'over WebSocket the last RECEIPT and ERROR are lost, X-30, W-10'],
  ['W-03', 'accepted', 'CONNECT decides the version, W-03'],
  ['W-07', 'otherwise', 'all goes out as text unless web_stomp.ws_frame = binary, W-07'],
  ['W-09 M-111', 'refused otherwise no-answer', '1007 for framing errors, without ERROR; 1000 else, W-09'],
  ['W-12', 'accepted', 'every Origin gets in, W-12'],
];

// Measured on ActiveMQ Classic 5.17.2.
const ACTIVEMQ: readonly Habit[] = [
  ['C-05 M-19', 'accepted', 'a bare CR is data, X-02'],
  ['C-09', 'accepted', 'NUL between frames is skipped, X-03'],
  ['C-11 M-03', 'accepted', 'commands are trimmed and matched by their beginning, X-19'],
  ['C-12', 'error-open', 'errors mostly leave the connection open, X-29'],
  ['C-16', 'otherwise', 'it sends LF behind each frame, C-16'],
  ['C-21 M-08', 'accepted', 'a line without a colon is a header without a value, X-04'],
  ['C-22', 'mute-close', 'an empty name closes TCP without ERROR, X-05'],
  ['C-29', 'otherwise', '1.0 values are trimmed on both sides, C-29'],
  ['C-32', 'accepted', 'the first content-length counts, X-08'],
  ['C-33', 'otherwise', 'headers come in any order, X-83'],
  ['C-35', 'accepted', 'NUL in a header is delivered, X-17'],
  ['C-37', 'otherwise', 'it unescapes in 1.0, and writes the result raw, X-10'],
  ['C-40', 'accepted', '\\r is kept as text in 1.1, X-09b'],
  ['C-41', 'accepted', 'an undefined escape is kept, X-09'],
  ['C-45', 'accepted', 'LF is written raw to a 1.0 consumer, X-12'],
  ['C-51 C-52 C-73 M-06', 'several-errors accepted error-open', 'it reads on after a fatal error, C-73'],
  ['C-55 S-05', 'otherwise', 'text messages have no content-length, X-76'],
  ['C-58', 'accepted', 'blanks and a plus sign are forgiven, X-08'],
  ['C-59', 'mute-close', 'a negative content-length closes TCP without ERROR, X-08'],
  ['C-61 M-55', 'accepted', 'a stray body is dropped, X-18'],
  ['C-66', 'accepted', 'invalid UTF-8 becomes U+FFFD, X-16'],
  ['N-04', 'accepted', 'it answers 1.0, N-04'],
  ['N-09', 'otherwise', 'a blank hides the version behind it, X-26'],
  ['N-10', 'otherwise', 'ERROR has no version, X-25'],
  ['N-16', 'otherwise', 'CONNECTED has a receipt-id, X-28'],
  ['N-17', 'otherwise', 'the ERROR names the user, X-24'],
  ['N-18', 'error-open', 'ERROR, and the connection stays open, X-20, X-21'],
  ['H-09', 'accepted', 'negative values are echoed, X-22'],
  ['H-10', 'otherwise', 'heart-beats are agreed on in 1.0 too, X-23'],
  [
    'E-06 F-02 F-04 F-08 A-01 A-08 A-09 A-11 A-12 T-01 T-02 T-04 S-08 F-01 M-70',
    'error-open',
    'semantic errors leave the connection open, X-29',
  ],
  ['F-03', 'accepted', 'ack comes through in mode auto, X-13'],
  ['F-05', 'accepted', 'an id may be used twice, X-41'],
  ['F-06', 'accepted', 'an unknown ack mode is auto, X-43'],
  ['A-04', 'otherwise', 'a NACK covers one message, X-47'],
  ['A-10', 'otherwise', 'deliveries of a message share its id, A-10'],
  ['R-07', 'accepted', 'an id may be used twice, X-41'],
  ['S-09', 'otherwise', 'ERROR holds a stack trace, S-09'],
  ['M-12', 'accepted', 'only distinct headers are counted, M-12'],
  ['M-31', 'several-errors', '2 to 4 ERRORs for one bad frame, X-32'],
  ['M-44', 'accepted', 'CONNECTED acts as CONNECT, M-44'],
  ['M-50', 'accepted', 'any period is agreed on, M-50'],
  ['M-61 M-83', 'mute-close', 'an empty destination, a priority or expiry that is no number close TCP, X-69'],
  ['M-71', 'accepted', 'a late ACK is confirmed, X-45'],
  ['T-07', 'accepted', 'transactions are not limited, M-73'],
];

function table(habits: readonly Habit[]): ReadonlyMap<string, readonly Known[]> {
  const known = new Map<string, Known[]>();
  for (const [ids, ways, says] of habits) {
    for (const id of ids.split(' ')) {
      known.set(id, [...(known.get(id) ?? []), { ways: ways.split(' ').filter(isWay), says }]);
    }
  }
  return known;
}

const WAYS: readonly string[] = [
  'mute-close',
  'error-open',
  'several-errors',
  'accepted',
  'no-answer',
  'refused',
  'otherwise',
] satisfies readonly Way[];

function isWay(text: string): text is Way {
  if (!WAYS.includes(text)) throw new RangeError(`${text} is no way to depart from a rule`);
  return true;
}

const DOCUMENTED: Partial<Record<ProfileName, ReadonlyMap<string, readonly Known[]>>> = {
  rabbitmq: table(RABBITMQ),
  activemq: table(ACTIVEMQ),
};

/** What is documented of this broker, this rule and this way of departing from it. */
export function documented(broker: ProfileName, id: RuleId, way: Way): Known | undefined {
  return DOCUMENTED[broker]?.get(id)?.find(({ ways }) => ways.includes(way));
}

/** Every rule that something is documented of, for a check of the tables. */
export function documentedRules(): string[] {
  return Object.values(DOCUMENTED).flatMap((known) => [...known.keys()]);
}
