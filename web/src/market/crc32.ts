/** CRC-32 as zlib computes it, of ASCII text. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

/** Goes on with what the text before gave; 0 in the beginning. */
export function crc32(text: string, before = 0): number {
  let value = ~before;
  for (let at = 0; at < text.length; at += 1) {
    value = (TABLE[(value ^ text.charCodeAt(at)) & 0xff] ?? 0) ^ (value >>> 8);
  }
  return ~value >>> 0;
}
