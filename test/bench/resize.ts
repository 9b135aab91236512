/** The jobs of `npm run bench -- thumbnail`: calls with plain arguments, so that they run inline and in a thread alike. */
import sharp from "sharp";
import { makeThumbnail } from "../../workers/thumbnail.ts";

/** The handler of `thumbnail`: sharp resizes on libuv's pool of threads, whoever calls it. */
export async function bySharp(source: string, target: string): Promise<void> {
  await makeThumbnail({ source, target, width: 320, height: 320 }, { id: "bench", signal: new AbortController().signal });
}

/** What a library without threads of its own would do: the pixels are averaged in JavaScript, in one go. */
export async function byJavaScript(source: string, target: string): Promise<void> {
  const { data, info } = await sharp(source).raw().toBuffer({ resolveWithObject: true });
  const small = averaged(data, info);
  await sharp(small.data, { raw: { width: small.width, height: small.height, channels: info.channels } }).toFile(target);
}

function averaged(data: Buffer, { width, height, channels }: { width: number; height: number; channels: number }): { data: Buffer; width: number; height: number } {
  const side = Math.ceil(Math.max(width, height) / 320);
  const small = { width: Math.floor(width / side), height: Math.floor(height / side), data: Buffer.alloc(Math.floor(width / side) * Math.floor(height / side) * channels) };
  for (let y = 0; y < small.height; y += 1) {
    for (let x = 0; x < small.width; x += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let down = 0; down < side; down += 1) {
          for (let right = 0; right < side; right += 1) sum += data[((y * side + down) * width + x * side + right) * channels + channel] ?? 0;
        }
        small.data[(y * small.width + x) * channels + channel] = sum / (side * side);
      }
    }
  }
  return small;
}
