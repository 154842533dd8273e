// Every rule id of conformance sections 2 (N, H, E), 3 (F, A, T, R) and 4 (S), and why some bind somebody else.

function ids(letter: string, last: number): string[] {
  return Array.from({ length: last }, (_, at) => `${letter}-${String(at + 1).padStart(2, '0')}`);
}

export const SESSION_RULES: readonly string[] = [
  ...ids('N', 22),
  ...ids('H', 12),
  ...ids('E', 10),
  ...ids('F', 12),
  ...ids('A', 13),
  ...ids('T', 10),
  ...ids('R', 9),
  ...ids('S', 15),
];

export const SESSION_RULES_ELSEWHERE: Readonly<Record<string, string>> = {
  'N-21': 'the timer of the session is M-42 and M-120; TCP, TLS and WebSocket come before it: client Connection',
  'H-11': 'browser timers are the business of whoever owns the clock: client Connection',
  'E-03': 'waiting for receipts takes promises: client Connection; `receipts` says which are out',
  'E-04': 'a transport that closes is seen by the client Connection',
  'E-05': 'half-close and draining: broker Peer and transport',
  'E-08': 'closing the transport: broker Peer',
  'E-09': 'what was received is in the events; that they are still carried out: broker Peer',
  'E-10': 'half-close by the client: broker Peer',
  'F-02': 'a SEND that cannot be carried out fails in the broker; how it is said: S-07',
  'F-04': 'a subscription that the broker cannot create; how it is said: S-07',
  'F-12': 'a selector is a header that the broker reads',
  'A-05': 'what NACK does: broker engine',
  'T-06': 'destinations and rights: broker; the ack id and the transaction are judged by T-04 and A-09 at enlistment',
  'R-04': 'the order of receipts follows the effects: broker Peer',
  'R-05': 'when a receipt inside a transaction is given: broker Peer',
  'R-08': 'receipts that never come: client Connection has the timeout',
};
