// What a rule of the conformance matrix is to this program.

/** As the matrix writes it: its section's letter and a number. */
export type RuleId = `${'A' | 'C' | 'E' | 'F' | 'H' | 'M' | 'N' | 'R' | 'S' | 'T' | 'W'}-${string}`;

/** The id, a sentence, and why no conversation with a broker can decide it; without the last a check does. */
export type RuleRow = readonly [id: RuleId, says: string, beyond?: string];
