// Numbers and codes as people read them.

const CODECS = {
  VH264: "H.264",
  VH265: "H.265",
  VAV1: "AV1",
  VVP9: "VP9",
  VVP8: "VP8",
  VVP6: "VP6",
  VS263: "Sorenson H.263",
  AAAC: "AAC",
  AMP3: "MP3",
  AOPUS: "Opus",
  AFLAC: "FLAC",
  AAC3: "AC-3",
  AEAC3: "E-AC-3",
  AG711A: "G.711 A-law",
  AG711U: "G.711 µ-law",
  ASPEEX: "Speex",
};

/** The name of a codec tag of the runtime API; "" for one that stands for no track. */
export function codecName(tag) {
  if (!tag || /UNK$/.test(tag)) return "";
  return CODECS[tag] ?? tag.slice(1);
}

/** The tracks of a stream object in a few words: "H.264 1280×720 · AAC". */
export function tracksOf(stream) {
  const { video = {}, audio = {} } = stream;
  const size = video.width ? ` ${video.width}×${video.height}` : "";
  const parts = [codecName(video.codec) && codecName(video.codec) + size, codecName(audio.codec)];
  return parts.filter(Boolean).join(" · ") || "no media yet";
}

/** Bits a second: "1.52 Mbit/s". */
export function bitRate(bits) {
  if (bits >= 1e6) return `${(bits / 1e6).toFixed(2)} Mbit/s`;
  return `${Math.round(bits / 1e3)} kbit/s`;
}

/** Bytes: "12.3 MB". */
export function byteSize(bytes) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`;
  }
  return `${bytes} B`;
}

/** Milliseconds: "3 d 4 h", "12 min 5 s". */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** The time of day of a moment in milliseconds since 1970. */
export function clockTime(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString(undefined, { hour12: false });
}
