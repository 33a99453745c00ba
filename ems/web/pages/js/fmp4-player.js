// Plays a live stream that comes as fragmented MP4 over a WebSocket, and keeps playing it.
//
// The server's first binary message is an initialisation segment (ftyp and moov), every further one a fragment (moof and
// mdat); a new initialisation segment in between says that the stream has changed. The player stays at the live edge, and
// gets over what happens to live streams: a source that goes and comes back, a server that restarts, a network that stutters,
// a fragment that cannot be decoded. Each time it connects anew, after a growing pause.

import { isInitSegment, readTracks } from "./mp4.js";
import { MediaSink, whyNot } from "./media-sink.js";
import { follow, LEAST_TARGET, MOST_TARGET, pauseBefore, ranges } from "./live-edge.js";

/** Milliseconds between two looks at the playing position. */
const LOOK_EVERY = 100;
/** A connection that brought media and then nothing for so many milliseconds is taken for dead. */
const LONGEST_SILENCE = 15_000;
/** A picture that stands for so many milliseconds although there is media to play is pushed, then the player begins anew. */
const LONGEST_FREEZE = 2500;
/** Media that comes for so many milliseconds without adding to what can be played is broken: a cut fragment swallows what follows. */
const LONGEST_BARREN = 3000;
/** After so many milliseconds without a stall the player dares to go a little nearer to the newest picture. */
const CALM = 10_000;

/** The states a player tells of. */
export const State = Object.freeze({
  STOPPED: "stopped",
  CONNECTING: "connecting",
  WAITING: "waiting for the stream",
  PLAYING: "playing",
  PAUSED: "paused",
  RETRYING: "connecting again",
  BLOCKED: "press Play: this browser does not start by itself",
  UNPLAYABLE: "cannot be played",
});

/**
 * A player of `url` (ws:// or wss://) in a video element. `onState(state, reason)` is told of every change; `log(text)` of
 * what happens in detail. `play` begins, `stop` ends it for good; pausing the video element pauses the stream.
 */
export class Fmp4Player {
  #video;
  #url;
  #onState;
  #log;
  #socket = null;
  #sink = null;
  #fresh = true;
  #timer = 0;
  #retry = 0;
  #attempt = 0;
  #target = LEAST_TARGET;
  #state = State.STOPPED;
  #listening = new AbortController();
  #arrived = 0;
  #stalled = 0;
  #moved = { time: -1, at: 0, pushed: false };
  #grown = { end: 0, at: 0 };
  #counts = { bytes: 0, messages: 0, connections: 0, seeks: 0, stalls: 0 };
  #tracks = [];

  constructor(video, url, { onState = () => {}, log = () => {} } = {}) {
    this.#video = video;
    this.#url = url;
    this.#onState = onState;
    this.#log = log;
  }

  get state() {
    return this.#state;
  }

  /** Connect, and play as soon as there is something to play. */
  play() {
    const { signal } = this.#listening;
    this.#video.addEventListener("waiting", () => this.#onStall(), { signal });
    this.#video.addEventListener("error", () => this.#onVideoError(), { signal });
    this.#video.addEventListener("playing", () => this.#setState(State.PLAYING), { signal });
    this.#video.addEventListener("pause", () => this.#onPause(), { signal });
    this.#video.addEventListener("play", () => this.#onPlay(), { signal });
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY);
    this.#connect();
  }

  /** End it; the video element is empty afterwards. */
  stop() {
    this.#listening.abort();
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    this.#hangUp();
    this.#sink?.close();
    this.#sink = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#setState(State.STOPPED);
  }

  /** How it goes: delays in seconds, what has come in so far, and what the video element has made of it. */
  stats() {
    const buffered = this.#sink?.buffered;
    const end = buffered?.length ? buffered.end(buffered.length - 1) : 0;
    const delay = end ? end - this.#video.currentTime : 0;
    const quality = this.#video.getVideoPlaybackQuality?.() ?? {};
    return {
      ...this.#counts,
      delay,
      // What has not come yet is late as well.
      latency: end ? delay + (performance.now() - this.#arrived) / 1000 : 0,
      target: this.#target,
      rate: this.#video.playbackRate,
      frames: quality.totalVideoFrames ?? 0,
      dropped: quality.droppedVideoFrames ?? 0,
      tracks: this.#tracks,
    };
  }

  #setState(state, reason = "") {
    if (state === this.#state && !reason) return;
    this.#state = state;
    this.#log(reason ? `${state}: ${reason}` : state);
    this.#onState(state, reason);
  }

  #connect() {
    if (this.#attempt === 0) this.#setState(State.CONNECTING);
    this.#counts.connections += 1;
    this.#fresh = true;
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch (error) {
      this.#setState(State.UNPLAYABLE, error.message);
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => socket === this.#socket && this.#setState(State.WAITING));
    socket.addEventListener("message", (event) => socket === this.#socket && this.#take(event.data));
    socket.addEventListener("close", (event) => {
      if (socket === this.#socket) this.#connectAgain(event.reason || `the connection closed (${event.code})`);
    });
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #connectAgain(reason) {
    this.#hangUp();
    clearTimeout(this.#retry);
    const pause = pauseBefore(this.#attempt);
    this.#attempt += 1;
    this.#setState(State.RETRYING, `${reason}; again in ${(pause / 1000).toFixed(1)} s`);
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  #take(message) {
    if (typeof message === "string") {
      this.#log(`the server says: ${message.slice(0, 200)}`);
      return;
    }
    this.#arrived = performance.now();
    this.#counts.messages += 1;
    this.#counts.bytes += message.byteLength;
    try {
      if (isInitSegment(message)) this.#begin(message);
      else if (!this.#fresh) this.#sink?.append(message);
    } catch (error) {
      this.#connectAgain(error.message);
    }
  }

  #begin(init) {
    const tracks = readTracks(init);
    const reason = whyNot(tracks);
    if (reason) {
      this.#hangUp();
      this.#setState(State.UNPLAYABLE, reason);
      return;
    }
    this.#tracks = tracks;
    this.#log(`the stream is ${tracks.map(describe).join(" and ")}`);
    if (this.#fresh || !this.#sink.fits(tracks)) this.#replaceSink(tracks);
    this.#fresh = false;
    this.#sink.appendInit(init, tracks);
  }

  #replaceSink(tracks) {
    this.#sink?.close();
    this.#moved = { time: -1, at: performance.now(), pushed: false };
    this.#grown = { end: 0, at: performance.now() };
    this.#sink = new MediaSink(this.#video, tracks, (reason) => this.#connectAgain(reason));
    this.#video.play().catch((error) => error.name === "NotAllowedError" && this.#setState(State.BLOCKED));
  }

  // Keep at the live edge, and notice when nothing moves.
  #look() {
    const now = performance.now();
    if (this.#video.paused) return;
    const buffered = this.#sink?.buffered;
    const trouble = this.#socket && !this.#fresh ? this.#troubleWith(buffered, now) : "";
    if (trouble) this.#connectAgain(trouble);
    if (trouble || !buffered?.length) return;
    if (now - this.#stalled > CALM) {
      this.#target = Math.max(LEAST_TARGET, this.#target * 0.9);
      this.#stalled = now;
    }
    const { seek, rate, delay } = follow(this.#video.currentTime, ranges(buffered), this.#target);
    if (seek !== undefined && !this.#video.seeking) this.#jump(seek);
    else if (Math.abs(this.#video.playbackRate - rate) > 0.005) this.#video.playbackRate = rate;
    this.#watchProgress(now, delay);
  }

  // Why this connection is of no use any more; "" while it is.
  #troubleWith(buffered, now) {
    const silence = now - this.#arrived;
    if (silence > LONGEST_SILENCE) return `no media for ${LONGEST_SILENCE / 1000} s`;
    const end = buffered?.length ? buffered.end(buffered.length - 1) : 0;
    if (end !== this.#grown.end || silence > LONGEST_BARREN) this.#grown = { end, at: now };
    return now - this.#grown.at > LONGEST_BARREN ? "what comes cannot be played" : "";
  }

  #jump(time) {
    this.#counts.seeks += 1;
    this.#log(`to the live edge, from ${this.#video.currentTime.toFixed(2)} to ${time.toFixed(2)} s`);
    this.#video.currentTime = time;
    this.#video.playbackRate = 1;
  }

  #watchProgress(now, delay) {
    if (this.#video.currentTime !== this.#moved.time || delay < 0.3) {
      if (this.#video.currentTime > this.#moved.time && this.#moved.time >= 0) this.#attempt = 0;
      this.#moved = { time: this.#video.currentTime, at: now, pushed: false };
    } else if (now - this.#moved.at > LONGEST_FREEZE) {
      if (this.#moved.pushed) {
        this.#connectAgain("the picture stands still");
      } else {
        this.#log("the picture stands still: a push");
        this.#video.currentTime += 0.05;
      }
      this.#moved = { time: this.#video.currentTime, at: now, pushed: !this.#moved.pushed };
    }
  }

  #onStall() {
    if (this.#state !== State.PLAYING || this.#video.seeking) return;
    this.#counts.stalls += 1;
    this.#stalled = performance.now();
    this.#target = Math.min(MOST_TARGET, this.#target * 1.3);
    this.#log(`a stall; ${this.#target.toFixed(2)} s from the live edge from now on`);
  }

  #onVideoError() {
    const { error } = this.#video;
    if (error && this.#sink) this.#connectAgain(`the browser cannot decode it: ${error.message || error.code}`);
  }

  #onPause() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send("pause");
    this.#setState(State.PAUSED);
  }

  #onPlay() {
    if (this.#state !== State.PAUSED || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#arrived = performance.now();
    this.#socket.send("resume");
  }
}

const describe = (track) => (track.kind === "video" ? `${track.codec}, ${track.width}×${track.height}` : track.codec);
