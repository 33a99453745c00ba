// Where the server's other doors are, for players.

const HOST = location.hostname || "127.0.0.1";
const SECURE = location.protocol === "https:";

/** The doors as shipped; `useServices` learns which they are on this server. A page over https may open wss:// only. */
const ports = {
  inboundWSFMP4: 8410,
  inboundWSSFMP4: 8420,
  wsJsonMeta: 8210,
  wssJsonMeta: 8433,
  inboundRtmp: 1935,
};

/** Take the ports from the services that `listServices` tells of. */
export function useServices(services) {
  for (const { protocol, port, enabled } of services ?? []) {
    if (enabled !== false && protocol in ports) ports[protocol] = port;
  }
}

/** The WebSocket door for media. */
export const mediaDoor = () => (SECURE ? `wss://${HOST}:${ports.inboundWSSFMP4}` : `ws://${HOST}:${ports.inboundWSFMP4}`);

/** The WebSocket door for metadata. */
export const metadataDoor = () => (SECURE ? `wss://${HOST}:${ports.wssJsonMeta}` : `ws://${HOST}:${ports.wsJsonMeta}`);

/** The address of a stream at a WebSocket door. Slashes in a name stay: they are part of the path. */
export const ofStream = (door, name) => `${door.replace(/\/+$/, "")}/${name.split("/").map(encodeURIComponent).join("/")}`;

/** Where to publish a stream of that name over RTMP. */
export const publishAddress = (name) => `rtmp://${HOST}:${ports.inboundRtmp}/live/${name}`;

/** The master playlist of an HLS group. */
export const playlistOf = (group) => new URL(`../${encodeURIComponent(group)}/playlist.m3u8`, import.meta.url).href;
