// What the doctor finds: what was seen, how good that is, and what to do.

/** `good`: as it should be. `note`: good to know. `warning`: it will surprise somebody. `problem`: something does not work. */
export type Level = 'good' | 'note' | 'warning' | 'problem';

export interface Finding {
  /** One of the TOPICS. */
  readonly topic: Topic;
  readonly level: Level;
  /** What was seen, in a sentence. */
  readonly saw: string;
  /** What to do, or that nothing is to be done. */
  readonly advice: string;
  /** The same in numbers and words, for programs. */
  readonly data?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** What is looked at, in this order. */
export const TOPICS = [
  'connection',
  'certificate',
  'login',
  'version',
  'dialect',
  'heart-beats',
  'receipts',
  'ack modes',
  'bodies',
  'limits',
  'round trip',
  'idle',
] as const;

export type Topic = (typeof TOPICS)[number];

export interface Diagnosis {
  /** Without credentials. */
  readonly url: string;
  readonly server?: string;
  readonly findings: readonly Finding[];
  /** Queues that could not be emptied afterwards. */
  readonly left: readonly string[];
}
