// What the broker refuses although the frame was well-formed. Becomes the one ERROR.

export type RefusalCode =
  | 'access-refused' // wrong login, or no right to it
  | 'bad-destination'
  | 'bad-header'
  | 'unsupported' // the broker cannot do what was asked for, and would rather say so
  | 'limit' // a limit of ours; the message names it
  | 'closing'; // the broker is shutting down

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  constructor(code: RefusalCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
