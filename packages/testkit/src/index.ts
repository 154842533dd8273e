// What tests share: wire vectors, cuts, session pairs, a clock by hand, arbitraries.
// Real brokers are behind `testkit/peers`, so that a unit test does not load them.

export { ManualClock, settled } from './clock.ts';
export { type Cut, cuts, inPieces, random } from './cuts.ts';
export { type PeerEvent, ScriptedPeer, type ScriptedPeerOptions } from './scripted-peer.ts';
export { connected, events, hear, type Listener, only, SessionPair, type SessionPairOptions } from './session-pair.ts';
export {
  CODEC_RULES,
  isRefusal,
  type Meaning,
  NOT_VECTORS,
  octets,
  type Pairs,
  type Reading,
  type Refusal,
  RULES,
  type RuleId,
  VECTORS,
  type Vector,
} from './vectors.ts'; // sections 1 to 4 as bytes and their meaning
