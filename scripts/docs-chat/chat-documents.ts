import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { terminalSvg } from './terminal-svg.ts'

export const README_FILE = fileURLToPath(new URL('../../README.md', import.meta.url))
export const SVG_FILE = fileURLToPath(new URL('../../docs/chat.svg', import.meta.url))

const BEGIN = '<!-- What follows is made by npm run docs:chat. -->\n'
const END = '<!-- Until here. -->\n'

/** The README with this conversation in it. @throws when it has no place for one */
export function withChat(readme: string, screen: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin === -1 || end < begin) throw new Error('README.md has no place for the conversation')
  const text = stripVTControlCharacters(screen)
    .replace(/[ \t]+$/gm, '')
    .trimEnd()
  return `${readme.slice(0, begin + BEGIN.length)}\n\`\`\`text\n${text}\n\`\`\`\n\n${readme.slice(end)}`
}

export function chatSvg(screen: string): string {
  return terminalSvg(screen, 100, 'A conversation with an agent: cloister session chat')
}
