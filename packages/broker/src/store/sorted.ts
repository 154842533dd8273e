// A list in ascending order, for the store in memory. Most things are added at the end
// and leave at the beginning, which costs next to nothing; what leaves from the middle
// stays as a hole until half of the list is holes.

export class Sorted<E extends { readonly isGone: boolean }> {
  readonly #compare: (a: E, b: E) => number;
  #items: E[] = [];
  #head = 0;
  #holes = 0;

  constructor(compare: (a: E, b: E) => number) {
    this.#compare = compare;
  }

  add(item: E): void {
    const last = this.#items.at(-1);
    if (last === undefined || this.#compare(last, item) < 0) this.#items.push(item);
    else
      this.#items.splice(
        this.#search((each) => this.#compare(each, item)),
        0,
        item,
      );
  }

  /** One of the items has just become `isGone`. */
  left(): void {
    this.#holes++;
    while (this.#items[this.#head]?.isGone) {
      this.#head++;
      this.#holes--;
    }
    if (2 * (this.#head + this.#holes) <= this.#items.length) return;
    this.#items = this.#items.filter((each) => !each.isGone);
    this.#head = this.#holes = 0;
  }

  get first(): E | undefined {
    return this.#items[this.#head];
  }

  /** From the first one that `place` does not put below zero, or from the beginning. */
  *from(place?: (item: E) => number): Generator<E> {
    for (let i = place === undefined ? this.#head : this.#search(place); i < this.#items.length; i++) {
      const item = this.#items[i] as E;
      if (!item.isGone) yield item;
    }
  }

  #search(place: (item: E) => number): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (place(this.#items[middle] as E) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
