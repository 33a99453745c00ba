// Reads what a player must know out of an MP4 initialisation segment (ISO/IEC 14496-12): the codecs of its tracks as RFC 6381
// strings, which Media Source Extensions want before the first byte, and the size of the picture.
//
// A box is a 32-bit big-endian size, four characters of type, and a body; some bodies are boxes again. Every size is checked
// against what is there, so damaged bytes give an Mp4Error and never a wrong answer.

export class Mp4Error extends Error {}

const ascii = (view, offset) => String.fromCharCode(...[0, 1, 2, 3].map((index) => view.getUint8(offset + index)));
const hex = (number, digits = 2) => number.toString(16).padStart(digits, "0");
const decimal = (number, digits = 2) => String(number).padStart(digits, "0");

/** The boxes between two offsets of a DataView, as {type, start, end} of their bodies. Throws Mp4Error for impossible sizes. */
export function boxes(view, start = 0, end = view.byteLength) {
  const found = [];
  let offset = start;
  while (offset + 8 <= end) {
    let size = view.getUint32(offset);
    let header = 8;
    if (size === 1 && offset + 16 <= end) {
      size = Number(view.getBigUint64(offset + 8));
      header = 16;
    } else if (size === 0) {
      size = end - offset;
    }
    if (size < header || offset + size > end) {
      throw new Mp4Error(`a box of ${size} bytes at ${offset}, where ${end - offset} are left`);
    }
    found.push({ type: ascii(view, offset + 4), start: offset + header, end: offset + size });
    offset += size;
  }
  return found;
}

function child(view, parent, ...path) {
  let box = parent;
  for (const type of path) {
    box = box && boxes(view, box.start, box.end).find((one) => one.type === type);
  }
  return box;
}

/** Whether a message begins with an initialisation segment: ftyp or moov. */
export function isInitSegment(bytes) {
  if (bytes.byteLength < 8) return false;
  const type = ascii(new DataView(bytes), 4);
  return type === "ftyp" || type === "moov";
}

/**
 * The tracks of an initialisation segment (an ArrayBuffer): a list of {kind, codec, width, height}. `kind` is "video" or
 * "audio", `codec` the RFC 6381 string. Throws Mp4Error.
 */
export function readTracks(bytes) {
  const view = new DataView(bytes);
  try {
    const moov = boxes(view).find((one) => one.type === "moov");
    if (!moov) throw new Mp4Error("there is no moov box");
    return boxes(view, moov.start, moov.end)
      .filter((one) => one.type === "trak")
      .map((trak) => readTrack(view, trak))
      .filter(Boolean);
  } catch (error) {
    if (error instanceof RangeError) throw new Mp4Error("a box is cut off");
    throw error;
  }
}

/** What MediaSource.addSourceBuffer wants for these tracks: video/mp4; codecs="avc1.4d401f,mp4a.40.2". */
export function mimeType(tracks) {
  const container = tracks.some((track) => track.kind === "video") ? "video/mp4" : "audio/mp4";
  return `${container}; codecs="${tracks.map((track) => track.codec).join(",")}"`;
}

function readTrack(view, trak) {
  const handler = child(view, trak, "mdia", "hdlr");
  const kind = handler && { vide: "video", soun: "audio" }[ascii(view, handler.start + 8)];
  if (!kind) return null;
  const descriptions = child(view, trak, "mdia", "minf", "stbl", "stsd");
  // stsd: version and flags, number of entries, then the entries, which are boxes.
  const entry = descriptions && boxes(view, descriptions.start + 8, descriptions.end)[0];
  if (!entry) throw new Mp4Error("a track without a sample description");
  if (kind === "audio") return { kind, codec: audioCodec(view, entry), width: 0, height: 0 };
  const size = { width: view.getUint16(entry.start + 24), height: view.getUint16(entry.start + 26) };
  return { kind, codec: videoCodec(view, entry), ...size };
}

// The fields of a VisualSampleEntry take 78 bytes, those of an AudioSampleEntry 28; the codec's own boxes follow.
const configuration = (view, entry, fields, type) => {
  const found = boxes(view, entry.start + fields, entry.end).find((one) => one.type === type);
  if (!found) throw new Mp4Error(`${entry.type} without its ${type} box`);
  return found.start;
};

function videoCodec(view, entry) {
  const at = (type) => configuration(view, entry, 78, type);
  switch (entry.type) {
    case "avc1":
    case "avc3": {
      const avcC = at("avcC");
      return `${entry.type}.${[1, 2, 3].map((index) => hex(view.getUint8(avcC + index))).join("")}`;
    }
    case "hvc1":
    case "hev1":
      return `${entry.type}.${hevcProfile(view, at("hvcC"))}`;
    case "av01":
      return `av01.${av1Profile(view, at("av1C"))}`;
    case "vp09": {
      const vpcC = at("vpcC") + 4; // behind version and flags
      const depth = view.getUint8(vpcC + 2) >> 4;
      return `vp09.${decimal(view.getUint8(vpcC))}.${decimal(view.getUint8(vpcC + 1))}.${decimal(depth)}`;
    }
    default:
      return entry.type;
  }
}

// ISO/IEC 14496-15 E.3: profile, compatibility flags in reverse bit order, tier and level, constraint bytes without trailing zeros.
function hevcProfile(view, hvcC) {
  const first = view.getUint8(hvcC + 1);
  const space = ["", "A", "B", "C"][first >> 6];
  let compatibility = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    compatibility = compatibility * 2 + ((view.getUint32(hvcC + 2) >>> bit) & 1);
  }
  const tier = first & 0x20 ? "H" : "L";
  const constraints = [6, 7, 8, 9, 10, 11].map((index) => view.getUint8(hvcC + index));
  while (constraints.length && constraints.at(-1) === 0) constraints.pop();
  const parts = [`${space}${first & 0x1f}`, compatibility.toString(16), `${tier}${view.getUint8(hvcC + 12)}`];
  return [...parts, ...constraints.map((byte) => byte.toString(16))].join(".");
}

// AV1 in ISOBMFF §5: profile, level and tier, bit depth.
function av1Profile(view, av1C) {
  const profileAndLevel = view.getUint8(av1C + 1);
  const flags = view.getUint8(av1C + 2);
  const profile = profileAndLevel >> 5;
  const highDepth = flags & 0x40;
  const depth = highDepth && flags & 0x20 && profile === 2 ? 12 : highDepth ? 10 : 8;
  return `${profile}.${decimal(profileAndLevel & 0x1f)}${flags & 0x80 ? "H" : "M"}.${decimal(depth)}`;
}

function audioCodec(view, entry) {
  switch (entry.type) {
    case "mp4a":
      return mpeg4Audio(view, configuration(view, entry, 28, "esds") + 4, entry.end);
    case "Opus":
      return "opus";
    case "fLaC":
      return "flac";
    default:
      return entry.type;
  }
}

// ISO/IEC 14496-1 §7.2.6: descriptors are a tag, a length in groups of 7 bits, and a body. ES_Descriptor (3) holds
// DecoderConfigDescriptor (4), which begins with the object type and holds the AudioSpecificConfig (5).
function mpeg4Audio(view, start, end) {
  let objectType = 0;
  let offset = start;
  while (offset + 2 <= end) {
    const tag = view.getUint8(offset);
    let length = 0;
    do {
      offset += 1;
      length = length * 128 + (view.getUint8(offset) & 0x7f);
    } while (view.getUint8(offset) & 0x80);
    offset += 1;
    if (tag === 3) {
      const flags = view.getUint8(offset + 2);
      offset += 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x40 ? 1 + view.getUint8(offset + 3) : 0) + (flags & 0x20 ? 2 : 0);
    } else if (tag === 4) {
      objectType = view.getUint8(offset);
      if (objectType !== 0x40) break;
      offset += 13;
    } else if (tag === 5) {
      const config = view.getUint16(offset);
      const audioObjectType = config >> 11 === 31 ? 32 + ((config >> 5) & 0x3f) : config >> 11;
      return `mp4a.40.${audioObjectType}`;
    } else {
      offset += length;
    }
  }
  if (!objectType) throw new Mp4Error("mp4a without a decoder configuration");
  return `mp4a.${hex(objectType)}`;
}
