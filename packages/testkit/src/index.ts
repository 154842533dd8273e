// What tests share: wire vectors, cuts, session pairs, a clock by hand, arbitraries.
// Real brokers are behind `testkit/peers`, so that a unit test does not load them.

export { bodies, chunkings, chunksOf, frames, headerNames, headerValues } from './arbitraries.ts'; // for fast-check
export { ManualClock, settled } from './clock.ts';
export { type Cut, cuts, inPieces, random } from './cuts.ts';
export {
  type EngineCase,
  type EngineContractOptions,
  type EngineSettings,
  type EngineUnderTest,
  engineContract,
} from './engine-contract.ts'; // what every engine promises
export { flood, HOSTILE, HOSTILITIES, type Hostile, type HostilityId, NOT_BYTES } from './hostile.ts'; // section 8.1 as bytes
export { MemoryClient, quiet } from './memory-client.ts'; // frames by hand, in this process
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
