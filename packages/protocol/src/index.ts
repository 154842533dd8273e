export {
  type ClientEvent,
  ClientSession,
  type ClientSessionOptions,
  type ClientSubscription,
  type OwedMessage,
} from './client-session.ts'; // frames -> meaning, the client's end
export { Content } from './content.ts'; // what a MESSAGE carries over from its SEND
export {
  type Damage,
  DEFAULT_LIMITS,
  type Decoded,
  Decoder,
  type DecoderLeniency,
  type DecoderOptions,
  type Head,
  type HeartBeat,
  type Limits,
  type Piece,
} from './decoder.ts'; // bytes -> frames
export { Encoder, type EncoderOptions, encode } from './encoder.ts'; // frames -> bytes
export {
  PROTOCOL_RULES,
  ProtocolError,
  type ProtocolErrorCode,
  quote,
  StompError,
  UsageError,
  type UsageErrorCode,
} from './errors.ts'; // and when it fails
export {
  ACK_MODES,
  type AckMode,
  CLIENT_COMMANDS,
  type ClientCommand,
  type Command,
  Frame,
  frame,
  type HeaderName,
  type HeadersInit,
  type HeadersOf,
  isHandshake,
  mayHaveBody,
  SERVER_COMMANDS,
  type ServerCommand,
} from './frame.ts';
export { type HeaderPairs, Headers } from './headers.ts';
export {
  agree,
  formatHeartBeat,
  type HeartBeatOffer,
  type HeartBeatPeriods,
  type KeepAlive,
  keepAlive,
  NO_HEART_BEAT,
  parseHeartBeat,
} from './heart-beat.ts';
export { NameSet } from './name-set.ts';
export {
  type ServerEvent,
  type ServerLeniency,
  ServerSession,
  type ServerSessionOptions,
  type ServerStrictness,
  type ServerSubscription,
} from './server-session.ts'; // frames -> meaning, the server's end
export type { Fault, SessionOptions } from './session.ts';
export { move, type Role, type State, TRANSITIONS } from './transitions.ts';
export { chosen, GRAMMARS, type Grammar, negotiate, VERSIONS, type Version } from './version.ts';
