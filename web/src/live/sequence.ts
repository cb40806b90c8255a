/** Tells whether a connection's messages came without a hole; they are numbered 1, 2, 3… */
export class Sequence {
  #last = 0;

  /** Takes the next number; false means that something was missed or repeated. */
  accept(seq: number): boolean {
    if (seq !== this.#last + 1) return false;
    this.#last = seq;
    return true;
  }
}
