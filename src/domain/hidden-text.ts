/**
 * What nobody sees, or what changes how the rest is seen: controls (tabs and line feeds are none), characters that are ignored where
 * text is shown (Default_Ignorable_Code_Point of Unicode: zero width, variation selectors, tags, marks that reorder), separators of
 * lines, annotations. A model reads all of it. What makes an emoji of the character before it (U+FE0F) is seen in what it does.
 */
const HIDDEN = /(?:(?!\t|\n|(?<=\p{Emoji})\ufe0f)[\p{Cc}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\ufff9-\ufffb])+/gu

/** With a space in the place of each run of it. */
export function withoutHidden(text: string): string {
  return text.replace(HIDDEN, ' ')
}

export function hasHidden(text: string): boolean {
  return text.search(HIDDEN) !== -1
}
