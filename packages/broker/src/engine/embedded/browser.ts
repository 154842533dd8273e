// A browser: a feed that shows what waits in a queue and takes nothing, page by page as
// far as its credit goes; then a last message that says `browser:end`.

import { Content, type Encoder, frame, NameSet } from '@stompbox/protocol';
import type { Portion } from '../../store/store.ts';
import type { Feed, SubscriptionRequest } from '../engine.ts';
import type { Place } from './backlog.ts';
import { Kept, NOBODY } from './delivery.ts';

/** What waits in the queue behind `after`, in delivery order. None: there is no more. */
export type Peek = (after: Place | undefined, most: Portion) => Kept[];

const BROWSED_AT_ONCE = { messages: 100, bytes: 262_144 };
const NO_HEADERS = new NameSet([]);

/** Messages with the id `last` and later ones are not shown. */
export function browser(request: SubscriptionRequest, last: number, peek: Peek, scratch: Encoder): Feed {
  const { destination, selects } = request;
  let page: Kept[] = [];
  let after: Place | undefined;
  let over = false;
  let credit = 0;
  let delivering = false;
  const show = ({ id, content }: Kept): void => {
    credit--;
    request.deliver(new Kept(id, destination.text, content, NOBODY));
  };
  const turn = (): void => {
    page = peek(after, BROWSED_AT_ONCE).reverse();
    const [end] = page;
    if (end !== undefined) after = { priority: end.attributes.priority, id: end.id };
    else {
      over = true;
      show(new Kept(last, '', Content.of(frame('SEND', [['browser', 'end']]), NO_HEADERS, scratch), NOBODY));
    }
  };
  return {
    request: (n) => {
      credit += n;
      if (delivering) return;
      delivering = true;
      while (credit > 0 && !over) {
        const kept = page.pop();
        if (kept === undefined) turn();
        else if (kept.id < last && selects?.(kept.content) !== false) show(kept);
      }
      delivering = false;
    },
    close: () => {
      over = true;
    },
  };
}
