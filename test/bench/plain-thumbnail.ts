/** Runs `thumbnail` as a library without threads of its own would: the pixels are averaged in JavaScript, in one go. */
import { defineHandler } from "millrace";
import sharp from "sharp";
import { thumbnail } from "../../producers/jobs/thumbnail.ts";

export default defineHandler(thumbnail, {
  threads: { module: import.meta.url },
  async handle({ source, target, width }) {
    const { data, info } = await sharp(source).raw().toBuffer({ resolveWithObject: true });
    const small = averaged(data, info, width);
    const { size } = await sharp(small.data, { raw: { width: small.width, height: small.height, channels: info.channels } }).toFile(target);
    return { width: small.width, height: small.height, bytes: size };
  },
});

interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

function averaged(data: Buffer, { width, height, channels }: Pixels, most: number): { data: Buffer; width: number; height: number } {
  const side = Math.ceil(Math.max(width, height) / most);
  const [columns, rows] = [Math.floor(width / side), Math.floor(height / side)];
  const small = { width: columns, height: rows, data: Buffer.alloc(columns * rows * channels) };
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = 0;
        for (let down = 0; down < side; down += 1) {
          for (let right = 0; right < side; right += 1) sum += data[((y * side + down) * width + x * side + right) * channels + channel] ?? 0;
        }
        small.data[(y * columns + x) * channels + channel] = sum / (side * side);
      }
    }
  }
  return small;
}
