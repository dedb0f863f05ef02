/**
 * What came from a server, a model or a repository must not steer the terminal that it is printed on: move the cursor, set the
 * title, write to the clipboard, hide or reorder text.
 */

// Whole sequences go (colours of a test runner would only be noise); whatever is left of a broken one is made visible.
const SEQUENCES = new RegExp(
  [
    '\\u001b\\[[0-?]*[ -/]*[@-~]', // CSI
    '\\u009b[0-?]*[ -/]*[@-~]', // CSI, one character
    '\\u001b[\\]PX^_][^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)', // OSC, DCS, SOS, PM, APC
    '\\u001b(?:[ -/]+[0-~]|[0-OQ-WYZ\\\\`-~])', // two or three characters
  ].join('|'),
  'g',
)

/**
 * The same as hidden-text.ts of domain has, one by one: controls but tab and line feed, line and paragraph separators, and all that is
 * ignored where text is shown (marks that reorder, zero width, tags, variation selectors but the one that makes an emoji).
 */
const CONTROL = /(?!\t|\n|(?<=\p{Emoji})\ufe0f)[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\ufff9-\ufffb]/gu

/** Text of several lines. */
export function plainText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(SEQUENCES, '').replace(CONTROL, visible)
}

/** Text for one line, such as a table's cell. */
export function plainLine(text: string): string {
  return plainText(text).replace(/\n/g, '␊').replace(/\t/g, ' ')
}

/** JSON that means the same and has no character that a terminal acts on. */
export function plainJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(CONTROL, (character) =>
    [...Array(character.length).keys()].map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x20) return String.fromCodePoint(0x2400 + code)
  return code === 0x7f ? '␡' : '\ufffd'
}
