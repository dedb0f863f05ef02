import type { MarkedToken, Token } from 'marked'
import type { Part, Style } from '../output.ts'
import { plainText } from '../terminal-text.ts'
import { BREAK } from './wrap.ts'

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: ' ' }

type Format = Extract<Style, readonly unknown[]>[number]

/** The tokens of a paragraph as styled text. HTML stays as it was written, and the target of a link is always shown. */
export function inlineParts(tokens: readonly Token[], formats: readonly Format[] = []): Part[] {
  return tokens.flatMap((token) => parts(token as MarkedToken, formats))
}

function parts(token: MarkedToken, formats: readonly Format[]): Part[] {
  switch (token.type) {
    case 'text':
      return token.tokens ? inlineParts(token.tokens, formats) : [styled(token.text, formats)]
    case 'escape':
      return [styled(token.text, formats)]
    case 'strong':
      return inlineParts(token.tokens, [...formats, 'bold'])
    case 'em':
      return inlineParts(token.tokens, [...formats, 'italic'])
    case 'del':
      return inlineParts(token.tokens, [...formats, 'strikethrough'])
    case 'codespan':
      return [styled(token.text, [...formats, 'cyan'])]
    case 'link': {
      const label = inlineParts(token.tokens, [...formats, 'underline'])
      const same = token.href === token.text || token.href === `mailto:${token.text}`
      return same ? label : [...label, styled(` (${token.href})`, [...formats, 'dim'])]
    }
    case 'image':
      return [styled(`${token.text || 'image'} (${token.href})`, [...formats, 'dim'])]
    case 'checkbox':
      return [styled(token.checked ? '[x] ' : '[ ] ', formats)]
    case 'br':
      return [BREAK]
    default:
      return [styled(token.raw, formats)]
  }
}

/** Numeric entities are decoded by now: text that was harmless may hold control characters. */
function styled(text: string, formats: readonly Format[]): Part {
  const plain = plainText(text.replace(/&(amp|lt|gt|quot|nbsp);/g, (entity, name: string) => ENTITIES[name] ?? entity))
  return formats.length === 0 ? [plain] : [plain, [...formats]]
}
