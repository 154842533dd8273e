// A browser: a feed that shows what waits in a queue and takes nothing, page by page as
// far as its credit goes; then a last message that says `browser:end`. It looks at so
// much in one turn of the loop, and between two looks it holds nothing.

import { Content, type Encoder, frame, NameSet } from '@stompbox/protocol';
import type { Portion } from '../../store/store.ts';
import type { Feed, SubscriptionRequest } from '../engine.ts';
import { type Place, placeOf } from './backlog.ts';
import { Kept, NOBODY } from './delivery.ts';
import type { Walker } from './rounds.ts';

/** What waits in the queue behind `after`, in delivery order. None: there is no more. */
export type Peek = (after: Place | undefined, most: Portion) => Kept[];

const PAGE_BYTES = 262_144;
const MOST_READ = 128;
const LEAST_READ = 8;
const LOOKED_AT_ONCE = 512;
const NO_HEADERS = new NameSet([]);

/** Messages with the id `last` and later ones are not shown. `later` gives it another turn. */
export function browser(
  request: SubscriptionRequest,
  last: number,
  peek: Peek,
  later: (walker: Walker) => void,
  scratch: Encoder,
): Feed {
  const { destination, selects } = request;
  let after: Place | undefined;
  let over = false;
  let credit = 0;
  let isLooking = false; // or will, in a moment
  const show = ({ id, content }: Kept): void => {
    credit--;
    request.deliver(new Kept(id, destination.text, content, NOBODY));
  };
  const end = (): void => {
    over = true;
    show(new Kept(last, '', Content.of(frame('SEND', [['browser', 'end']]), NO_HEADERS, scratch), NOBODY));
  };
  const walk = (): void => {
    isLooking = true;
    let page: Kept[] = [];
    for (let left = LOOKED_AT_ONCE; credit > 0 && !over; left--) {
      if (left === 0) {
        later({ walk });
        return;
      }
      if (page.length === 0) {
        const messages = Math.max(LEAST_READ, Math.min(credit, MOST_READ));
        page = peek(after, { messages, bytes: PAGE_BYTES }).reverse();
      }
      const kept = page.pop();
      if (kept === undefined) end();
      else {
        after = placeOf(kept);
        if (kept.id < last && selects?.(kept.content) !== false) show(kept);
      }
    }
    isLooking = false;
  };
  return {
    request: (n) => {
      credit += n;
      if (!isLooking) walk();
    },
    close: () => {
      over = true;
    },
  };
}
