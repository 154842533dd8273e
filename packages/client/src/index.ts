export type { Endpoint, PeerInfo, TlsOptions, WebSocketDialOptions } from '@stompbox/transport';
export { AuthenticationError, isAuthenticationFailure } from './authentication.ts'; // and not a fault of the network
export type { Body, JsonValue, Source } from './body.ts'; // what may be sent
export { Client, type ClientSubscribeOptions } from './client.ts'; // what applications use
export {
  type AttemptContext,
  CLIENT_OPTIONS,
  type ClientOptions,
  type ConnectHeaders,
  type Credentials,
  type PerAttempt,
} from './client-options.ts';
export {
  type ClientHandler,
  ClientSubscription,
  type LeaveOptions,
  type ReadOptions,
  type RetryOptions,
  type Verdict,
} from './client-subscription.ts';
export { type Clock, systemClock } from './clock.ts';
export type { CloseReason } from './close-reason.ts'; // how it ended
export { connect } from './connect.ts'; // a URL -> a connection
export { Connection, type SendFrameOptions } from './connection.ts'; // one connection and its verbs
export { ENDPOINTS_OPTIONS, type EndpointsOptions } from './endpoints.ts'; // which one next
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
export { Hooks, type OnError } from './hooks.ts'; // what is hung on a connection: watching,
export type { WaitOptions } from './inbox.ts';
export { type Interceptor, KEPT } from './interceptors.ts'; // and rewriting
export { Message, type SettleOptions } from './message.ts';
export { EVENTS, type EventName, type Events, type Observer, redacted, redactedText } from './observer.ts';
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
  CONNECTION_OPTIONS,
  type ConnectionOptions,
  type ConnectionSettings,
  type Dial,
  type OnUnhandled,
  resolveOptions,
} from './options.ts';
export { OUTBOX_OPTIONS, type OutboxOptions, type OutboxStore, type StoredSend } from './outbox.ts';
export { POOL_OPTIONS, Pool, type PoolOptions } from './pool.ts';
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
export { type ClientSendOptions, type CloseOptions, type Outgoing, Publisher } from './publisher.ts';
export type { Where } from './read-endpoints.ts';
export { type Decide, type Failure, RECONNECT_OPTIONS, type ReconnectOptions } from './reconnect.ts'; // and when
export type { RequestManyOptions, RequestOptions } from './request.ts';
export type { HeaderValue, SendHeaders, SendOptions } from './send.ts';
export type { ClientTransaction, ClientTransactionSendOptions } from './session.ts';
export type { ClientState, Status } from './status.ts';
export {
  type HandleOptions,
  type Handler,
  type SubscribeOptions,
  Subscription,
  type UnsubscribeOptions,
} from './subscription.ts';
export { Transaction, type TransactionSendOptions, type TransactionSettleOptions } from './transaction.ts';
export type { HeaderCommand, HeadersFor, KnownHeaders, WithHeaders } from './typed-headers.ts';
export { type WatchOptions, watchForSleep } from './wake.ts'; // we were away
export { workerClock } from './worker-clock.ts';
