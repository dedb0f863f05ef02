/** The whole as a stream would bring it: chunks of these lengths, and then the rest. */
export function pieces<Chunk extends { length: number; slice(from: number, to?: number): Chunk }>(
  whole: Chunk,
  lengths: readonly number[],
): Chunk[] {
  const chunks: Chunk[] = []
  let at = 0
  for (const length of lengths) {
    chunks.push(whole.slice(at, at + length))
    at += length
  }
  return [...chunks, whole.slice(at)]
}
