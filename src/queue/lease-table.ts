/**
 * What this process holds under a lease, in memory that the renewal thread reads as well: to note a lease, or that it
 * was let go, sends nothing and wakes nobody.
 *
 * A sheet holds records of one size. A record's version is odd while it is written: who reads looks at it before and
 * after. Text is kept as UTF-16, since copying its units costs a third of encoding it.
 *
 * ```
 * 0  version   4  queue (0: let go)   8  granted at   16  ends at   24  starts   28  length of id   32  of token   40  both
 * ```
 */
import type { Lease } from "../store/extend.ts";
import type { BatchToken } from "../store/reserve.ts";
import { copyText, TokenUnits } from "./token-units.ts";

export interface Sheet {
  readonly memory: SharedArrayBuffer;
  readonly recordBytes: number;
}

/** Who is to be told of a lease that is lost. */
export interface Holder {
  /** Called at most once, and not after the lease was let go: somebody else may have the job now. */
  leaseLost(): void;
}

const HEAD_BYTES = 40;
/** Enough for an id and a token of ours. */
const SMALLEST_BYTES = 128;
const RECORDS_A_SHEET = 256;
/** Counted in what each is read as: integers, floating numbers, units of text. */
const AT = { version: 0, queue: 1, grantedAt: 1, endsAt: 2, starts: 6, idLength: 7, tokenLength: 8, text: 20 } as const;

export class LeaseTable {
  readonly sheets: Sheet[] = [];
  readonly #slots: Slot[][] = [];
  readonly #token = new TokenUnits();
  readonly #smallest: Slot[] = [];
  /** By the size of the record. */
  readonly #free = new Map<number, Slot[]>([[SMALLEST_BYTES, this.#smallest]]);
  readonly #onSheet: (sheet: Sheet) => void;

  /** @param onSheet  told of every sheet that comes to those there were */
  constructor(onSheet: (sheet: Sheet) => void) {
    this.#onSheet = onSheet;
  }

  /** @param grantedAt  an `instant` before which it was not granted */
  keep(queue: number, { job: { id, starts }, token }: Lease, grantedAt: number, holder: Holder | undefined): KeptLease {
    this.#token.note(token);
    return this.#keep(queue, id, starts, grantedAt, holder);
  }

  /** What a request that is to be sent will lease. @param askedAt  `Infinity`: it stands, may be answered at any time, and is read then unless the loop is blocked */
  keepAll(queue: number, token: BatchToken, askedAt: number): KeptLease {
    this.#token.begin(token);
    return this.#keep(queue, "", 0, askedAt, undefined);
  }

  /** Tells the holder of a lease that a reader found. One that was let go meanwhile is nobody's concern. */
  lost({ sheet, index, version }: Position): void {
    const slot = this.#slots[sheet]?.[index];
    if (slot !== undefined && slot.ints[(slot.byte >> 2) + AT.version] === version) slot.kept?.lost();
  }

  #keep(queue: number, id: string, starts: number, grantedAt: number, holder: Holder | undefined): KeptLease {
    const bytes = HEAD_BYTES + 2 * (id.length + this.#token.length);
    const slot = bytes <= SMALLEST_BYTES ? this.#smallest.pop() ?? this.#addSheet(SMALLEST_BYTES) : this.#larger(bytes);
    write(slot, queue, id, starts, this.#token, grantedAt);
    slot.kept = new KeptLease(slot, holder);
    return slot.kept;
  }

  #larger(bytes: number): Slot {
    let recordBytes = SMALLEST_BYTES;
    while (recordBytes < bytes) recordBytes *= 2;
    return this.#free.get(recordBytes)?.pop() ?? this.#addSheet(recordBytes);
  }

  #addSheet(recordBytes: number): Slot {
    const sheet = { memory: new SharedArrayBuffer(RECORDS_A_SHEET * recordBytes), recordBytes };
    const free = this.#free.get(recordBytes) ?? [];
    this.#free.set(recordBytes, free);
    const views = viewsOf(sheet);
    const slots = Array.from({ length: RECORDS_A_SHEET }, (_, index): Slot => ({ ...views, byte: index * recordBytes, free, kept: undefined }));
    free.push(...slots.toReversed());
    this.sheets.push(sheet);
    this.#slots.push(slots);
    this.#onSheet(sheet);
    return free.pop()!;
  }
}

/** A lease that is kept, until it is let go. */
export class KeptLease {
  #slot: Slot | undefined;
  #holder: Holder | undefined;

  constructor(slot: Slot, holder: Holder | undefined) {
    this.#slot = slot;
    this.#holder = holder;
  }

  /** It is not renewed after that `instant`. */
  endAt(endsAt: number): void {
    if (this.#slot !== undefined) this.#slot.floats[(this.#slot.byte >> 3) + AT.endsAt] = endsAt;
  }

  /** Idempotent. */
  letGo(): void {
    const slot = this.#slot;
    if (slot === undefined) return;
    this.#slot = undefined;
    this.#holder = undefined;
    Atomics.store(slot.ints, (slot.byte >> 2) + AT.queue, 0);
    slot.kept = undefined;
    slot.free.push(slot);
  }

  lost(): void {
    const holder = this.#holder;
    this.#holder = undefined;
    holder?.leaseLost();
  }
}

/** Where one record stands, and what it holds now. */
interface Slot extends Views {
  readonly byte: number;
  readonly free: Slot[];
  kept: KeptLease | undefined;
}

function write({ ints, floats, units, byte }: Slot, queue: number, id: string, starts: number, token: TokenUnits, grantedAt: number): void {
  const int = byte >> 2;
  const float = byte >> 3;
  Atomics.add(ints, int + AT.version, 1);
  ints[int + AT.queue] = queue;
  floats[float + AT.grantedAt] = grantedAt;
  floats[float + AT.endsAt] = Infinity;
  ints[int + AT.starts] = starts;
  ints[int + AT.idLength] = id.length;
  ints[int + AT.tokenLength] = token.length;
  const text = (byte >> 1) + AT.text;
  copyText(id, units, text);
  for (let i = 0; i < token.length; i += 1) units[text + id.length + i] = token.units[i]!;
  Atomics.add(ints, int + AT.version, 1);
}

/** Where a lease stands; another one there has another version. */
export interface Position {
  readonly sheet: number;
  readonly index: number;
  readonly version: number;
}

/** A lease as a reader finds it. */
export interface FoundLease extends Lease, Position {
  readonly queue: number;
  /** The `instant` of its grant, or of what was noted of it since; `Infinity` of a request that stands, `NaN` of what is lost. */
  readonly renewedAt: number;
  readonly endsAt: number;
}

/** Reads one sheet, in whatever thread, and notes there when each of its leases was renewed. */
export class SheetReader {
  readonly #sheet: number;
  readonly #size: number;
  readonly #views: Views;
  readonly #recordBytes: number;
  readonly #renewedAt: Float64Array;
  readonly #renewed: Int32Array;

  /** @param number  the sheet's place in its table */
  constructor(sheet: Sheet, number: number) {
    this.#sheet = number;
    this.#views = viewsOf(sheet);
    this.#recordBytes = sheet.recordBytes;
    this.#size = sheet.memory.byteLength / sheet.recordBytes;
    this.#renewedAt = new Float64Array(this.#size);
    this.#renewed = new Int32Array(this.#size).fill(-1);
  }

  /** The leases of which that holds; what is being written is left out. */
  *find(matches: (lease: Pick<FoundLease, "queue" | "renewedAt" | "endsAt">) => boolean): Generator<FoundLease> {
    const { ints, floats, units } = this.#views;
    for (let index = 0; index < this.#size; index += 1) {
      const byte = index * this.#recordBytes;
      const [int, float, unit] = [byte >> 2, byte >> 3, byte >> 1];
      const version = Atomics.load(ints, int + AT.version);
      const queue = Atomics.load(ints, int + AT.queue);
      if (queue === 0 || version % 2 !== 0) continue;
      const renewedAt = this.#renewed[index] === version ? this.#renewedAt[index]! : floats[float + AT.grantedAt]!;
      const endsAt = floats[float + AT.endsAt]!;
      if (!matches({ queue, renewedAt, endsAt })) continue;
      const text = unit + AT.text;
      const idEnd = text + ints[int + AT.idLength]!;
      const id = textOf(units.subarray(text, idEnd));
      const token = textOf(units.subarray(idEnd, idEnd + ints[int + AT.tokenLength]!));
      const starts = ints[int + AT.starts]!;
      if (Atomics.load(ints, int + AT.version) === version) yield { job: { id, starts }, token, queue, renewedAt, endsAt, sheet: this.#sheet, index, version };
    }
  }

  /** It is renewed until at least so long after that `instant`; `NaN`: it is lost. */
  renewed({ index, version }: Position, at: number): void {
    this.#renewed[index] = version;
    this.#renewedAt[index] = at;
  }
}

interface Views {
  readonly ints: Int32Array;
  readonly floats: Float64Array;
  readonly units: Uint16Array;
}

function viewsOf({ memory }: Sheet): Views {
  return { ints: new Int32Array(memory), floats: new Float64Array(memory), units: new Uint16Array(memory) };
}

function textOf(units: Uint16Array): string {
  let text = "";
  for (const unit of units) text += String.fromCharCode(unit);
  return text;
}
