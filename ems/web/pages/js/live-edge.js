// Where a live player should be, as pure functions: how far behind the newest picture, and what to do about it.
//
// A player that is far behind jumps; one that is a little off plays a trifle faster or slower, which nobody hears; one that
// has nothing to play where it is, but later, goes there. All times are seconds of the media's own clock.

/** Behind by more than this, the player seeks instead of hurrying. */
export const LONGEST_DELAY = 1;
/** What lies behind the playing position by more than this may go. */
export const KEPT_BEHIND = 10;
/** Distances to the newest picture at which a player aims: the least, and the most that stalls may bring it to. */
export const LEAST_TARGET = 0.12;
export const MOST_TARGET = 0.6;
/** Within this of its aim a player is let alone. */
const TOLERANCE = 0.04;
const FASTEST = 1.25;
const SLOWEST = 0.95;
/** A gap shorter than this is jumped even when the player has not asked. */
const SLACK = 0.02;

/** A TimeRanges as a list of [start, end]. */
export function ranges(buffered) {
  return Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)]);
}

/**
 * What a live player at `time` with these buffered ranges should do: {seek} to a time, or play at {rate}, and its {delay}
 * behind the newest picture. With nothing buffered: rate 1, delay 0.
 */
export function follow(time, buffered, target) {
  if (buffered.length === 0) return { rate: 1, delay: 0 };
  const [start, end] = buffered.at(-1);
  const delay = end - time;
  const aim = Math.max(start, end - target);
  const inside = buffered.some(([from, to]) => time >= from - SLACK && time < to);
  if (delay > LONGEST_DELAY || (!inside && time < start)) return { seek: aim, rate: 1, delay: end - aim };
  // Ahead of everything there is: the clock of the stream began anew.
  if (delay < -LONGEST_DELAY) return { seek: aim, rate: 1, delay: end - aim };
  return { rate: rateFor(delay, target), delay };
}

/** The playback rate that brings a player from `delay` to `target` within a few seconds. */
export function rateFor(delay, target) {
  const off = delay - target;
  if (Math.abs(off) <= TOLERANCE) return 1;
  return Math.min(FASTEST, Math.max(SLOWEST, 1 + off / 2));
}

/** The range [from, to] that can be removed at `time`, or null: in pieces of some seconds, for removing costs time. */
export function removable(time, buffered) {
  if (buffered.length === 0) return null;
  const from = buffered[0][0];
  const to = time - KEPT_BEHIND;
  return to - from > KEPT_BEHIND / 2 ? [from, to] : null;
}

/** The pause in milliseconds before attempt `attempt` (from 0): half a second, doubled to 10 s, and up to a quarter less. */
export function pauseBefore(attempt, random = Math.random) {
  return Math.min(10_000, 500 * 2 ** Math.min(attempt, 10)) * (1 - random() / 4);
}
