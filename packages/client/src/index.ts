export type { Endpoint, PeerInfo, TlsOptions, WebSocketDialOptions } from '@stompbox/transport';
export { type Clock, systemClock } from './clock.ts';
export type { Body, JsonValue, Source } from './connection/body.ts'; // what may be sent
export type { CloseReason } from './connection/close-reason.ts'; // how it ended
export { connect } from './connection/connect.ts'; // a URL -> a connection
export { Connection, type SendFrameOptions } from './connection/connection.ts'; // one connection and its verbs
export type { WaitOptions } from './connection/inbox.ts';
export { Message, type SettleOptions } from './connection/message.ts';
export {
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  type ConnectionSettings,
  type Dial,
  type OnUnhandled,
  resolveOptions,
} from './connection/options.ts';
export type { HeaderValue, SendHeaders, SendOptions } from './connection/send.ts';
export {
  type HandleOptions,
  type Handler,
  type SubscribeOptions,
  Subscription,
  type UnsubscribeOptions,
} from './connection/subscription.ts';
export { Transaction, type TransactionSendOptions, type TransactionSettleOptions } from './connection/transaction.ts';
export {
  BrokerError,
  ConnectFailed,
  ConnectionLost,
  type ConnectionLostCode,
  type FailedAttempt,
  OutboxError,
  type OutboxErrorCode,
  type Outcome,
  ProtocolError,
  RequestRefused,
  StompError,
  SubscriptionRefused,
  TimeoutError,
  UsageError,
} from './errors.ts'; // and when it fails
export { AuthenticationError, isAuthenticationFailure } from './managed/authentication.ts'; // and not a fault of the network
export { Client, type ClientSubscribeOptions } from './managed/client.ts'; // what applications use
export {
  type AttemptContext,
  CLIENT_OPTIONS,
  type ClientOptions,
  type ConnectHeaders,
  type Credentials,
  type PerAttempt,
} from './managed/client-options.ts';
export {
  type ClientHandler,
  ClientSubscription,
  type LeaveOptions,
  type ReadOptions,
  type RetryOptions,
  type Verdict,
} from './managed/client-subscription.ts';
export { ENDPOINTS_OPTIONS, type EndpointsOptions } from './managed/endpoints.ts'; // which one next
export { OUTBOX_OPTIONS, type OutboxOptions, type OutboxStore, type StoredSend } from './managed/outbox.ts';
export { POOL_OPTIONS, Pool, type PoolOptions } from './managed/pool.ts';
export { type ClientSendOptions, type CloseOptions, type Outgoing, Publisher } from './managed/publisher.ts';
export type { Where } from './managed/read-endpoints.ts';
export { type Decide, type Failure, RECONNECT_OPTIONS, type ReconnectOptions } from './managed/reconnect.ts'; // and when
export type { RequestManyOptions, RequestOptions } from './managed/request.ts';
export type { ClientTransaction, ClientTransactionSendOptions } from './managed/session.ts';
export type { ClientState, Status } from './managed/status.ts';
export { type WatchOptions, watchForSleep } from './managed/wake.ts'; // we were away
export { Hooks, type OnError } from './observers/hooks.ts'; // what is hung on a connection: watching,
export { type Interceptor, KEPT } from './observers/interceptors.ts'; // and rewriting
export { EVENTS, type EventName, type Events, type Observer, redacted, redactedText } from './observers/observer.ts';
export { type PrintingOptions, printing } from './observers/printing.ts'; // observers ready-made
export {
  type Recorded,
  type RecordedEvent,
  type Recording,
  type RecordingOptions,
  recording,
  type Wanted,
} from './observers/recording.ts';
export { type Counts, type Statistics, statistics } from './observers/statistics.ts';
export type { Check } from './option-table.ts';
export {
  detectProfile,
  type HeaderRecord,
  type MessageAttributes,
  messageAttributes,
  type PortableDestination,
  type PortableOption,
  type PortableSend,
  type PortableSubscribe,
  PROFILES,
  type Profile,
  type ProfileName,
  queue,
  type ReplyAddress,
  type Resolved,
  type SubscribeContext,
  type To,
  topic,
  UnsupportedByBroker,
} from './profiles/index.ts'; // in a broker's own words
export type { HeaderCommand, HeadersFor, KnownHeaders, WithHeaders } from './typed-headers.ts';
export { workerClock } from './worker-clock.ts';
