// stompit, the other client of Node, against our broker.

import { describe } from 'vitest';
import { talksToOurBroker } from './foreign/behaviours.ts';
import { stompIt } from './foreign/stompit.ts';

describe('stompit', () => {
  talksToOurBroker(stompIt);
});
