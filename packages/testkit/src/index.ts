// What tests share: wire vectors, cuts, session pairs, a clock by hand, arbitraries.
// Real brokers are behind `testkit/peers`, so that a unit test does not load them.

export { ManualClock, settled } from './clock.ts';
export { type Cut, cuts, inPieces, random } from './cuts.ts';
export {
  type RawClient,
  type RawEnd,
  type RawFrame,
  type RawOptions,
  rawClient,
  turn,
  webSocketFrame,
} from './raw-client.ts'; // bytes by hand
export { type PeerEvent, ScriptedPeer, type ScriptedPeerOptions } from './scripted-peer.ts';
export { connected, events, hear, type Listener, only, SessionPair, type SessionPairOptions } from './session-pair.ts';
