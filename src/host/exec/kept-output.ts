/** Of a long output the beginning and the end are kept, this much of each. */
const HEAD_BYTES = 4 * 1024 * 1024
const TAIL_BYTES = 4 * 1024 * 1024
const FIRST_BLOCK = 1024
const LARGEST_BLOCK = 64 * 1024
const HEADER = 5

/** Bytes of an output in the order they came: `[channel, length, data]` records packed into a buffer, so that a million one-byte writes cost no objects. */
interface Block {
  buffer: Buffer
  used: number
  /** Where its last record starts, so that it can be extended. */
  last: number
  /** Data bytes of the whole output before it. */
  start: number
}

export type Piece = { channel: 1 | 2; data: Buffer } | { gap: number }

/** Where a reader is. Made by `KeptOutput.cursor`, moved by `next`. */
export interface Cursor {
  /** Counts all blocks that ever were. */
  block: number
  /** Of the record in the block. */
  record: number
  /** Bytes of the record's data that were read. */
  within: number
  /** Data bytes of the whole output that were read or reported as a gap. */
  position: number
}

/** The bounded memory of one operation's output. */
export class KeptOutput {
  readonly #maxHead: number
  readonly #maxTail: number
  #head: Block[] = []
  #tail: Block[] = []
  #headBytes = 0
  #tailBytes = 0
  /** Between head and tail. */
  #droppedBlocks = 0
  #totalBytes = 0

  /** @param maxHead,maxTail bytes of memory for the beginning and the end */
  constructor(maxHead: number = HEAD_BYTES, maxTail: number = TAIL_BYTES) {
    this.#maxHead = maxHead
    this.#maxTail = maxTail
  }

  /** Memory held. */
  get bytes(): number {
    return this.#headBytes + this.#tailBytes
  }

  append(channel: 1 | 2, data: Buffer): void {
    for (let rest = data; rest.length > 0; ) {
      const block = this.#blockFor(channel)
      const extend = block.used > 0 && block.buffer[block.last] === channel
      const room = block.buffer.length - block.used - (extend ? 0 : HEADER)
      const part = rest.subarray(0, room)
      if (!extend) {
        block.last = block.used
        block.buffer[block.used] = channel
        block.buffer.writeUInt32LE(0, block.used + 1)
        block.used += HEADER
      }
      part.copy(block.buffer, block.used)
      block.buffer.writeUInt32LE(block.buffer.readUInt32LE(block.last + 1) + part.length, block.last + 1)
      block.used += part.length
      this.#totalBytes += part.length
      rest = rest.subarray(part.length)
    }
  }

  cursor(): Cursor {
    return { block: 0, record: 0, within: 0, position: 0 }
  }

  /**
   * The next piece after the cursor, at most `max` bytes, or null when there is none yet. The data is a copy.
   * What was dropped since the cursor's last piece is reported as a gap.
   */
  next(cursor: Cursor, max: number): Piece | null {
    for (;;) {
      const dropped = this.#skipDropped(cursor)
      if (dropped > 0) return { gap: dropped }
      const block = this.#at(cursor.block)
      if (!block) return null
      if (cursor.record < block.used) {
        const length = block.buffer.readUInt32LE(cursor.record + 1)
        if (cursor.within < length) {
          const start = cursor.record + HEADER + cursor.within
          const data = Buffer.from(block.buffer.subarray(start, start + Math.min(max, length - cursor.within)))
          cursor.within += data.length
          cursor.position += data.length
          return { channel: block.buffer[cursor.record] as 1 | 2, data }
        }
        // The last record may still grow: stay on it.
        if (cursor.record === block.last && !this.#exists(cursor.block + 1)) return null
        cursor.record += HEADER + length
        cursor.within = 0
      } else {
        if (!this.#exists(cursor.block + 1)) return null
        cursor.block += 1
        cursor.record = 0
        cursor.within = 0
      }
    }
  }

  /** Frees everything; readers get it as one gap. */
  forget(): void {
    this.#droppedBlocks += this.#head.length + this.#tail.length
    this.#head = []
    this.#tail = []
    this.#headBytes = 0
    this.#tailBytes = 0
  }

  #skipDropped(cursor: Cursor): number {
    const from = this.#head.length
    if (cursor.block < from || cursor.block >= from + this.#droppedBlocks || this.#droppedBlocks === 0) return 0
    cursor.block = from + this.#droppedBlocks
    cursor.record = 0
    cursor.within = 0
    const missed = (this.#tail[0]?.start ?? this.#totalBytes) - cursor.position
    cursor.position += missed
    return missed
  }

  /** Is or was there a block of this number? */
  #exists(block: number): boolean {
    return block < this.#head.length + this.#droppedBlocks + this.#tail.length
  }

  #at(block: number): Block | undefined {
    return block < this.#head.length ? this.#head[block] : this.#tail[block - this.#head.length - this.#droppedBlocks]
  }

  /** The block that the next record goes to. */
  #blockFor(channel: 1 | 2): Block {
    const current = this.#tail.at(-1) ?? (this.#droppedBlocks === 0 ? this.#head.at(-1) : undefined)
    if (current) {
      const needed = current.buffer[current.last] === channel ? 1 : HEADER + 1
      if (current.buffer.length - current.used >= needed) return current
    }
    const size = Math.min(LARGEST_BLOCK, this.#maxTail / 4, current ? current.buffer.length * 4 : FIRST_BLOCK)
    const block = { buffer: Buffer.allocUnsafeSlow(size), used: 0, last: 0, start: this.#totalBytes }
    if (this.#tail.length === 0 && this.#droppedBlocks === 0 && this.#headBytes + size <= this.#maxHead) {
      this.#head.push(block)
      this.#headBytes += size
      return block
    }
    this.#tail.push(block)
    this.#tailBytes += size
    while (this.#tailBytes > this.#maxTail) {
      const oldest = this.#tail.shift() as Block
      this.#tailBytes -= oldest.buffer.length
      this.#droppedBlocks += 1
    }
    return block
  }
}
