export { type Authenticate, type Authorize, type Credentials, type Identity, passcodes } from './access.ts'; // who may come in
export { type Broker, type BrokerOptions, type BrokerStats, type Clock, createBroker } from './broker.ts'; // the front door
export {
  type Delivery,
  type Destination,
  type Engine,
  EngineError,
  type EngineErrorCode,
  type Feed,
  type Guarantees,
  type Inspection,
  type QueueView,
  type Send,
  type Settlement,
  type SubscriptionRequest,
  type Work,
} from './engine/engine.ts'; // where messages live: bring your own
export { type BrokerLimits, LIMITS, type LimitName } from './limits.ts'; // what is bounded
