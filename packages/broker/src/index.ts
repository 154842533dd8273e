// Who may come in, and what they may do.
export {
  type Authenticate,
  type Authorize,
  type Credentials,
  type Identity,
  passcodes,
  type Verb,
} from './access.ts';
// The front door.
export {
  type Broker,
  type BrokerStats,
  createBroker,
  type Leftover,
} from './broker.ts';
// The configuration file -> what createBroker takes.
export {
  type Configuration,
  type GivenValue,
  type LoadedConfiguration,
  parseConfig,
  type ReadConfigOptions,
  readConfig,
} from './config.ts';
export type { WhenFull } from './engine/embedded/options.ts';
// Where messages live: bring your own.
export {
  type Attributes,
  type Delivery,
  type Destination,
  type DurableView,
  type Engine,
  EngineError,
  type EngineErrorCode,
  type Feed,
  type Guarantees,
  type Inspection,
  type MessageView,
  PLAIN,
  type QueueView,
  type Send,
  type Settlement,
  type SubscriptionRequest,
  type Work,
} from './engine/engine.ts';
export { FileError, type Problem } from './file-error.ts';
// Every bound, once.
export { type BrokerLimits, LIMITS, type LimitName } from './limits.ts';
// What it tells about itself.
export { EVENTS, jsonLines, LOG_LEVELS, type LogEvent, type LogFields, type Logger, type LogLevel } from './log.ts';
// The operators' door for a user.
export { AccessError, type Management } from './manage.ts';
export { METRICS, METRICS_CONTENT_TYPE, type MetricName, type MetricsSnapshot, renderMetrics } from './metrics.ts';
export type { BrokerOptions, Clock, Reloaded } from './options.ts';
// Users, their passcodes, their certificates; and rules for them.
export { HASH_COST, type HashCost, hashPasscode, verifyPasscode } from './passcode.ts';
export { authorizeBy, type Rule } from './rules.ts';
export { SECTIONS, type Section, type Setting } from './settings.ts';
export { StoreError, type StoreErrorCode } from './store/store.ts';
export {
  type CertificateLogins,
  certificates,
  either,
  readUsers,
  removeUser,
  type User,
  type UsersFile,
  type UsersFileOptions,
  usersFile,
  writeUser,
} from './users.ts';
