import { readFileSync, writeFileSync } from 'node:fs'
import { captureChat } from './docs-chat/capture-chat.ts'
import { chatSvg, README_FILE, SVG_FILE, withChat } from './docs-chat/chat-documents.ts'

/** Writes the conversation that the README shows, as `cloister session chat` has it now: `npm run docs:chat`. */
const screen = await captureChat()
writeFileSync(README_FILE, withChat(readFileSync(README_FILE, 'utf8'), screen))
writeFileSync(SVG_FILE, chatSvg(screen))
process.stderr.write('wrote README.md and docs/chat.svg\n')
