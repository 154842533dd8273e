// Counters and gauges: each once, with its name, help and labels; and the text that Prometheus reads (exposition format
// 0.0.4). The broker hands over a snapshot of figures it keeps anyway; nothing is counted here.
//
// Cost: one pass over the snapshot. Series with labels are bounded: above `maxSeries` for one metric the rest is left
// out, and `stompbox_series_left_out` says how many.

export const METRICS = {
  stompbox_info: { type: 'gauge', labels: ['version', 'engine'], help: 'Always 1; the labels say what runs here.' },
  stompbox_uptime_seconds: { type: 'gauge', labels: [], help: 'Since the start.' },
  stompbox_connections: { type: 'gauge', labels: ['transport'], help: 'Connections that are open.' },
  stompbox_connections_opened_total: { type: 'counter', labels: ['transport'], help: 'Connections accepted.' },
  stompbox_connections_refused_total: {
    type: 'counter',
    labels: ['limit'],
    help: 'Connections a limit closed at once.',
  },
  stompbox_logins_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'CONNECTs that were accepted, refused, or failed.',
  },
  stompbox_errors_total: { type: 'counter', labels: ['code'], help: 'ERROR frames sent.' },
  stompbox_frames_received_total: { type: 'counter', labels: ['command'], help: 'Frames from clients.' },
  stompbox_bytes_received_total: { type: 'counter', labels: [], help: 'Bytes from clients.' },
  stompbox_bytes_sent_total: { type: 'counter', labels: [], help: 'Bytes to clients.' },
  stompbox_messages_received_total: { type: 'counter', labels: [], help: 'SEND frames taken.' },
  stompbox_messages_delivered_total: {
    type: 'counter',
    labels: [],
    help: 'MESSAGE frames sent, redeliveries included.',
  },
  stompbox_messages_redelivered_total: {
    type: 'counter',
    labels: [],
    help: 'MESSAGE frames sent with redelivered:true.',
  },
  stompbox_messages_acked_total: { type: 'counter', labels: [], help: 'Deliveries that were acked.' },
  stompbox_messages_nacked_total: { type: 'counter', labels: [], help: 'Deliveries that were nacked.' },
  stompbox_messages_expired_total: { type: 'counter', labels: [], help: 'Messages whose time was over.' },
  stompbox_messages_dead_total: { type: 'counter', labels: ['reason'], help: 'Messages that became dead letters.' },
  stompbox_messages_returned_total: {
    type: 'counter',
    labels: [],
    help: 'Deliveries that went back because their connection ended.',
  },
  stompbox_messages_duplicate_total: { type: 'counter', labels: [], help: 'SENDs dropped because their id was known.' },
  stompbox_messages_dropped_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Messages given up for a limit, or for nobody.',
  },
  stompbox_messages_scheduled: { type: 'gauge', labels: [], help: 'Messages that wait for their time.' },
  stompbox_subscriptions: {
    type: 'gauge',
    labels: ['kind'],
    help: 'Subscriptions to queues and topics, and durable ones.',
  },
  stompbox_transactions: { type: 'gauge', labels: [], help: 'Open transactions.' },
  stompbox_producers_waiting: { type: 'gauge', labels: [], help: 'Connections that are slowed down.' },
  stompbox_queues: { type: 'gauge', labels: [], help: 'Queues that hold a message or have a consumer.' },
  stompbox_queue_messages: {
    type: 'gauge',
    labels: ['queue', 'state'],
    help: 'Messages in a queue, waiting or unsettled.',
  },
  stompbox_queue_bytes: { type: 'gauge', labels: ['queue'], help: 'Bytes in a queue.' },
  stompbox_queue_consumers: { type: 'gauge', labels: ['queue'], help: 'Subscriptions to a queue.' },
  stompbox_unsettled: { type: 'gauge', labels: [], help: 'Deliveries that wait for their ACK, all connections.' },
  stompbox_message_bytes: { type: 'gauge', labels: [], help: 'Bytes of all messages, wherever they are.' },
  stompbox_memory_bytes: { type: 'gauge', labels: [], help: 'Bytes of messages in memory, on disk as well or not.' },
  stompbox_store_bytes: { type: 'gauge', labels: [], help: 'Bytes of the data directory.' },
  stompbox_store_free_bytes: { type: 'gauge', labels: [], help: 'Bytes left where the data directory is.' },
  stompbox_store_commits_total: { type: 'counter', labels: [], help: 'Changes that the store kept.' },
  stompbox_store_commit_seconds_total: {
    type: 'counter',
    labels: [],
    help: 'Time from handing over each of them until it was kept, summed; changes that wait together share a flush.',
  },
  stompbox_store_failures_total: { type: 'counter', labels: [], help: 'Changes that the store could not keep.' },
  stompbox_limit: { type: 'gauge', labels: ['limit'], help: 'The limits in force, by their names.' },
  stompbox_limit_reached_total: { type: 'counter', labels: ['limit'], help: 'How often one refused something.' },
  stompbox_series_left_out: { type: 'gauge', labels: ['metric'], help: 'Series that were too many to be told.' },
} as const;

export type MetricName = keyof typeof METRICS;
type LabelOf<M extends MetricName> = (typeof METRICS)[M]['labels'][number];

/** One series of a metric with labels. */
export interface Sample<Label extends string = string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

/** Figures as they are now; what is not there is not told. */
export type MetricsSnapshot = {
  readonly [M in MetricName]?: [LabelOf<M>] extends [never] ? number : readonly Sample<LabelOf<M>>[];
};

/** For `Content-Type`. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The text for `/metrics`, in the order of the table. */
export function renderMetrics(snapshot: MetricsSnapshot, { maxSeries = 10_000 }: { maxSeries?: number } = {}): string {
  const lines: string[] = [];
  const leftOut: Sample[] = [...(snapshot.stompbox_series_left_out ?? [])];
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { type, labels, help } = METRICS[name];
    const given: number | readonly Sample[] | undefined =
      name === 'stompbox_series_left_out' ? leftOut : snapshot[name];
    if (given === undefined) continue;
    const samples: readonly Sample[] = typeof given === 'number' ? [{ labels: {}, value: given }] : given;
    if (samples.length === 0) continue;
    lines.push(`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`);
    for (const sample of samples.slice(0, maxSeries)) {
      const pairs = labels.map((label) => `${label}="${escapeLabel(sample.labels[label] ?? '')}"`);
      lines.push(`${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number(sample.value)}`);
    }
    if (samples.length > maxSeries) leftOut.push({ labels: { metric: name }, value: samples.length - maxSeries });
  }
  return lines.map((line) => `${line}\n`).join('');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
