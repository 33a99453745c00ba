// The streams as the dashboard knows them: the newest stream objects, and the bit rate of each over the last minutes, worked out
// from the bytes that had come between two answers.

/** Answers that are kept for a curve; at one each two seconds they are two minutes. */
export const LENGTH = 60;

/** All streams by their unique id, in the order of the last answer. */
export class RateHistory {
  #histories = new Map();
  streams = [];

  /** Take an answer of `listInboundStreams`. Streams that are not in it are forgotten. */
  update(streams) {
    const before = this.#histories;
    this.#histories = new Map();
    for (const stream of streams) {
      const history = before.get(stream.uniqueId) ?? { rates: [], bytes: null, at: 0 };
      this.#add(history, stream);
      this.#histories.set(stream.uniqueId, history);
    }
    this.streams = streams;
  }

  /** Bits a second, the newest last; empty for a stream that has been seen once. */
  rates(id) {
    return this.#histories.get(id)?.rates ?? [];
  }

  /** The newest rate in bits a second. */
  rate(id) {
    return this.rates(id).at(-1) ?? 0;
  }

  /** The rate of all streams together; null before any has been seen twice. */
  total() {
    if (this.streams.length && !this.streams.some((stream) => this.rates(stream.uniqueId).length)) return null;
    return this.streams.reduce((sum, stream) => sum + this.rate(stream.uniqueId), 0);
  }

  #add(history, stream) {
    const bytes = (stream.audio?.bytesCount ?? 0) + (stream.video?.bytesCount ?? 0);
    const at = stream.queryTimestamp;
    if (history.bytes !== null && at > history.at) {
      history.rates.push(Math.max(0, ((bytes - history.bytes) * 8000) / (at - history.at)));
      if (history.rates.length > LENGTH) history.rates.shift();
    }
    history.bytes = bytes;
    history.at = at;
  }
}
