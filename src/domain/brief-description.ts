/** The first sentence of a tool's description; what a colon announces is left out. */
export function firstSentence(description: string): string {
  return /^.*?[.:](?= |$)/s.exec(description)?.[0]?.replace(/:$/, '.') ?? description
}

/** The first sentence in at most `maxBytes` of UTF-8, cut at a word, with an ellipsis where something is missing. */
export function briefDescription(description: string, maxBytes: number): string {
  const sentence = firstSentence(description)
  if (Buffer.byteLength(sentence) <= maxBytes) return sentence
  const room = maxBytes - Buffer.byteLength('…')
  // A character that the cut went through is decoded as U+FFFD.
  const cut = Buffer.from(sentence)
    .subarray(0, room)
    .toString()
    .replace(/\uFFFD$/, '')
  const space = cut.lastIndexOf(' ')
  return `${(space > 0 ? cut.slice(0, space) : cut).replace(/[ ,;(]+$/, '')}…`
}
