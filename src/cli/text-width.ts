const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** Columns that text takes on a terminal, as nearly as can be said without asking it: wide characters count two, marks none. */
export function textWidth(text: string): number {
  let width = 0
  for (const character of text) if (!/\p{Mark}/u.test(character)) width += WIDE.test(character) ? 2 : 1
  return width
}

/** As much of the text as fits into so many columns; what was left out is marked. */
export function cutToWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text
  let width = 0
  let fitting = ''
  for (const character of text) {
    width += textWidth(character)
    if (width > columns - 1) break
    fitting += character
  }
  return `${fitting}…`
}
